"""`wesher join`: redeem an invitation, then be the agent, or start the service."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from loguru import logger

import wesher.agent.agent
from wesher.agent.joining import Redeemed, clock_skew, redeem, settings_of, state_of
from wesher.base.errors import CommandError, ConfigError, StartError, printable
from wesher.config import config
from wesher.config.config import Config
from wesher.config.options import CONFIG_FILE, DEFAULT_FILE, OPTIONS, SAVE_ONLY, TOKEN, TOKEN_FILE
from wesher.mesh.base.identity import SEED_SIZE, Identity, fingerprint
from wesher.mesh.invitations import Token, read_token
from wesher.system import files, log, shell
from wesher.system.files import InterfaceLock
from wesher.system.interface import check_requirements
from wesher.system.invitation_file import InvitationFile
from wesher.system.state_file import StateFile, StateFileError

_FROM_STDIN = "-"
_MAX_TOKEN_FILE = 4096  # bytes
_NOT_THE_AGENTS = {TOKEN.name, TOKEN_FILE.name, SAVE_ONLY.name}
_SYSTEMD = Path("/run/systemd/system")  # there when systemd is what runs this host
_UNITS = tuple(map(Path, ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")))
_PATIENCE = 90.0  # seconds for the service to be up, more than the unit's TimeoutStartSec


def run(given: Mapping[str, str]) -> int:
    """Join the mesh that a token invites to; returns the exit code."""
    environ = dict(os.environ)
    options = {name: value for name, value in given.items() if name not in _NOT_THE_AGENTS}
    settings = config.load(options, os.environ)
    log.set_up(settings.log_level)
    token = _token(given)
    _check_keyless(settings)
    check_requirements()
    with InterfaceLock(settings.run_dir, settings.interface):
        redeemed = _redeem(token, settings)
    file = Path(given.get(CONFIG_FILE.name) or environ.get(CONFIG_FILE.env) or DEFAULT_FILE)
    theirs = settings_of(redeemed.grant, settings)
    _tell(redeemed)
    agree = _settle(theirs, settings, file)
    unit = None if "save_only" in given else _unit(settings, file)
    if "save_only" in given or (unit and not agree):
        log.tell("all is saved: `systemctl enable --now wesher` or `wesher` starts as a member")
        return 0 if agree else 1
    if unit:
        return _start_service(unit)
    options.pop("init", None)
    options |= theirs
    return wesher.agent.agent.run(
        config.load(options, os.environ), lambda: config.load(options, dict(environ))
    )


def _token(given: Mapping[str, str]) -> Token:
    """Read the token from where it was given; raises ConfigError."""
    word, file = given.get(TOKEN.name), given.get(TOKEN_FILE.name)
    if (word is None) == (file is None):
        raise ConfigError(
            "give the token that `wesher invite` has printed on a member, "
            f"or a file with it by {TOKEN_FILE.flag}, not both"
        )
    try:
        return read_token(word if word not in (None, _FROM_STDIN) else _text(file or _FROM_STDIN))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _text(file: str) -> str:
    """Return what a file holds, `-` being standard input, or a person at a terminal."""
    if file == _FROM_STDIN and sys.stdin.isatty():
        try:
            asked: str = import_module("wesher.config.prompt").ask("token: ")
        except EOFError:
            raise ConfigError("no token was typed") from None
        return asked
    try:
        if file == _FROM_STDIN:
            return sys.stdin.read(_MAX_TOKEN_FILE)
        with Path(file).open(encoding="ascii", errors="replace") as opened:
            return opened.read(_MAX_TOKEN_FILE)
    except OSError as error:
        raise ConfigError(f"{TOKEN_FILE.flag}: cannot read {file}: {error.strerror}") from error


def _check_keyless(settings: Config) -> None:
    """Refuse a cluster key that is configured beside: the next start would go by it."""
    if settings.cluster_keys:
        names = ("cluster_key", "cluster_key_file")
        [source] = [settings.sources[one] for one in names if settings.given(one)]
        raise ConfigError(f"{source}: not together with an invitation, which brings the key")


def _redeem(token: Token, settings: Config) -> Redeemed:
    """Redeem the token and save what it brings; raises StartError, with all as it was."""
    file = StateFile(settings.state_dir, settings.interface)
    earlier = file.load(key_needed=False)
    if earlier.cluster_key and not settings.init:
        raise StartError(
            f"this host is a member of a mesh already, by {file.path}: start it with `wesher`, "
            "or have --init set that aside and join another"
        )
    kept = None if settings.init or settings.fresh_key else earlier.identity
    identity = Identity(kept or os.urandom(SEED_SIZE))
    redeemed = asyncio.run(redeem(token, settings.node_name, identity))
    InvitationFile(settings.state_dir, settings.interface).discard()
    old = file.set_aside() if settings.init else None
    try:
        file.save(state_of(redeemed, identity))
    except StateFileError as error:
        if old:
            file.put_back(old)
        raise StartError(f"{error}; the invitation is used, make another") from error
    if old:
        logger.warning("set the earlier state aside as {path}", path=old)
    return redeemed


def _tell(redeemed: Redeemed) -> None:
    grant = redeemed.grant
    inviter, identity = printable(grant.inviter), fingerprint(grant.identity)
    log.tell(f"invited by {inviter} (identity {identity}) at {redeemed.at}")
    if skew := clock_skew(grant.at):
        logger.warning("{skew}: set it", skew=skew)


def _settle(theirs: Mapping[str, str], settings: Config, file: Path) -> bool:
    """See to it that the next start has the mesh's settings; tell whether it will have them.

    What nobody has set on this host is added to the configuration file.
    """
    keys = {option.name: option.key for option in OPTIONS}
    for name in filter(settings.given, theirs):
        logger.warning(
            "{source} is {ours}, but the mesh has {theirs}: change it",
            source=settings.sources[name],
            ours=getattr(settings, name),
            theirs=theirs[name],
        )
    lines = [
        f"{keys[name]} = {json.dumps(value)}"
        for name, value in theirs.items()
        if not settings.given(name)
    ]
    if lines:
        try:
            files.add_lines(file, ["# Of the mesh that this host was invited to:", *lines], 0o600)
        except OSError as error:
            told = f"cannot write {file} ({files.reason(error)})"
            logger.warning("{told}: put there: {lines}", told=told, lines=", ".join(lines))
            return False
        log.tell(f"added to {file}: {', '.join(lines)}")
    return not any(map(settings.given, theirs))


def _unit(settings: Config, file: Path) -> str | None:
    """Return the service that a start with this configuration file is; None where there is none."""
    at, name = Path(DEFAULT_FILE), file.stem
    if not _SYSTEMD.is_dir() or file.parent != at.parent or file.suffix != at.suffix:
        return None
    unit, installed = "wesher.service", "wesher.service"
    if name != at.stem:
        unit, installed = f"wesher@{name}.service", "wesher@.service"
    if not any((directory / installed).exists() for directory in _UNITS):
        return None
    own = ("--", "WESHER_")
    only_here = [
        one for one in settings.sources.values() if one.startswith(own) and one != "--init"
    ]
    if only_here:
        log.tell(f"{unit} is not started: it has no {', '.join(only_here)}; put that into {file}")
        return None
    return unit


def _start_service(unit: str) -> int:
    """Have systemd start the service, now and at every boot."""
    try:
        asyncio.run(shell.run("systemctl", "enable", "--now", unit, timeout=_PATIENCE))
    except CommandError as error:
        raise StartError(
            f"all is saved, but {unit} did not start: see `journalctl -u {unit}` ({error})"
        ) from error
    log.tell(f"{unit} runs, now and at every boot: `wesher status` shows the mesh")
    return 0
