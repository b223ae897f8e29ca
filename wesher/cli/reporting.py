"""What `wesher report` gathers, and how it is packed.

What cannot be had is left out and said in its place: a report is made when something is broken.
"""

import asyncio
import base64
import gzip
import io
import json
import os
import socket
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wesher import __version__
from wesher.base.errors import CommandError, StartError, WesherError
from wesher.cli.asking import MeshAnswers, ask_mesh
from wesher.cli.client import Agent, show
from wesher.cli.mapping import survey_of
from wesher.cli.mesh_diagnosis import as_json as doctor_as_json
from wesher.cli.mesh_diagnosis import findings_of
from wesher.config import config
from wesher.config.config import Config
from wesher.doctor.of_mesh import by_cause
from wesher.mesh.base.questions import Topic
from wesher.survey.stand_ins import StandIns
from wesher.survey.survey import as_json as survey_as_json
from wesher.system import files, log
from wesher.system.shell import run
from wesher.system.state_file import State, decode
from wesher.system.terminal import Waiting
from wesher.system.wireguard import read_wireguard

TOOL_PATIENCE = 5.0  # seconds
_TABLES = {
    "ip-link.txt": ("ip", "-details", "link", "show"),
    "ip-address.txt": ("ip", "address", "show"),
    "ip-route.txt": ("ip", "route", "show", "table", "all"),
    "ip-rule.txt": ("ip", "rule", "show"),
    "ip-version.txt": ("ip", "-V"),
    "wg-version.txt": ("wg", "--version"),
}
_FULL = "Secrets are left out; names and addresses are in it."
_STANDING_IN = """\
Secrets are left out. Names of hosts, addresses and public keys have stand-ins, the same for the
same thing in every file. What people wrote in texts besides is not known to be a name: look through
the files before you send them."""

Texts = dict[str, str]


def report(given: Mapping[str, str], agent: Agent, wait: Waiting) -> int:
    """Write the archive; returns the exit code. Raises StartError when that cannot be done."""
    full = "full" in given
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = Path(given.get("file") or f"wesher-report-{stamp}.tar.gz")
    settings = config.load({"interface": agent.interface}, dict(os.environ))
    log.set_up("error")
    wait.begins("what all members tell, and their doctors, up to 25 s")
    texts, stand_ins = asyncio.run(_gathered(agent, settings, full=full))
    wait.ends()
    told = {name: stand_ins.replaced(text) for name, text in sorted(texts.items())}
    _write(path, _packed(f"wesher-report-{stamp}", told))
    left = "names and addresses have stand-ins" if not full else "names and addresses are in it"
    show([f"wrote {path}: {len(told)} files, no secrets; {left}"])
    return 0


async def _gathered(agent: Agent, settings: Config, *, full: bool) -> tuple[Texts, StandIns]:
    keys = agent.ask("key")["keys"]
    topics = (Topic.TUNNELS, Topic.EVENTS, Topic.SETTINGS)
    asked = await asyncio.to_thread(ask_mesh, agent, topics)
    found = await findings_of(agent, settings)
    account = agent.ask("account")
    state = _state(settings)
    survey = survey_of(asked, time.clock_gettime(time.CLOCK_REALTIME))
    texts = {
        "README.txt": f"Made by `wesher report`, wesher {__version__}.\n\n"
        f"{_FULL if full else _STANDING_IN}\n",
        "status.json": _json(asked.status),
        "account.json": _json(account),
        "map.json": _json(survey_as_json(survey)),
        "doctor.json": _json(doctor_as_json(found, by_cause(found))),
        "settings.json": _json({name: one.settings for name, one in asked.answers.items()}),
        "state.json": _json(_state_as_json(state)),
        "versions.txt": _versions(asked),
    }
    for name, argv in _TABLES.items():
        texts[name] = await _tool(argv)
    texts["wg.txt"], secrets = await _wireguard(agent.interface)
    secrets += [form for one in keys for form in _forms(base64.b64decode(one["key"]))]
    names = [*_names(asked, account, state), *(one.member for one in survey.events)]
    public = _public_keys(asked.status)
    return texts, StandIns(secrets, public, names, full=full)


def _forms(secret: bytes) -> Iterator[str]:
    """Yield a secret in the forms in which it might be written."""
    yield base64.b64encode(secret).decode()
    yield base64.urlsafe_b64encode(secret).decode()
    yield base64.b64encode(secret).decode().rstrip("=")
    yield secret.hex()


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def _state(settings: Config) -> State:
    try:
        return decode(files.read(settings.state_dir / f"{settings.interface}.json"))
    except (OSError, ValueError, WesherError):
        return State()


def _state_as_json(state: State) -> dict[str, Any]:
    """Return what the state file holds besides keys."""
    mesh = state.mesh
    return {
        "overlay_address": str(mesh.overlay_addr),
        "incarnation": mesh.incarnation,
        "fixed": mesh.fixed,
        "keys": len(state.other_keys) + (state.cluster_key is not None),
        "by_original": state.by_original,
        "members": [
            {"name": one.name, "address": str(one.address), "left": one.left}
            for one in mesh.members
        ],
        "tombstones": [one.name for one in mesh.tombstones],
    }


def _versions(asked: MeshAnswers) -> str:
    lines = [f"wesher {__version__}", f"python {sys.version}", " ".join(os.uname()[::2])]
    lines += [
        f"member {name}: {one.get('implementation')} {one.get('version')}"
        for name, one in asked.members.items()
    ]
    return "\n".join(lines) + "\n"


async def _tool(argv: tuple[str, ...]) -> str:
    try:
        return await run(*argv, timeout=TOOL_PATIENCE)
    except CommandError as error:
        return f"not to be had: {error}\n"


async def _wireguard(interface: str) -> tuple[str, list[str]]:
    """Return what `wg show` tells but for keys that are secret, and those."""
    try:
        async with asyncio.timeout(TOOL_PATIENCE):
            told = await read_wireguard(interface)
    except (CommandError, TimeoutError) as error:
        return f"not to be had: {error}\n", []
    lines = [f"interface: {interface}", f"  listening port: {told.listen_port}"]
    for key, peer in told.peers.items():
        allowed = ", ".join(sorted(map(str, peer.allowed_ips)))
        lines += [
            f"peer: {key}",
            f"  endpoint: {peer.endpoint}",
            f"  allowed ips: {allowed}",
            f"  latest handshake: {peer.latest_handshake}",
            f"  received, sent: {peer.received}, {peer.sent}",
            f"  persistent keepalive: {peer.keepalive}",
        ]
    secrets = list(_forms(base64.b64decode(told.private_key))) if told.private_key else []
    return "\n".join(lines) + "\n", secrets


def _names(asked: MeshAnswers, account: Mapping[str, Any], state: State) -> Iterator[str]:
    """Yield every name of a host that is known."""
    yield from (socket.gethostname(), socket.getfqdn())
    yield from asked.members
    yield from (one["name"] for one in asked.status["members"])
    yield from (one.name for one in state.mesh.members)
    yield from (one.name for one in state.mesh.tombstones)
    joins = [account["settings"].get("join") or []]
    joins += [(one.settings or {}).get("join", "").split(",") for one in asked.answers.values()]
    for seeds in joins:
        yield from (seed.rpartition(":")[0].strip("[]") for seed in seeds)


def _public_keys(status: Mapping[str, Any]) -> list[str]:
    members = [status["node"], *status["members"]]
    return [one["public_key"] for one in members if one["public_key"]]


def _packed(directory: str, texts: Texts) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name, text in texts.items():
            data = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"{directory}/{name}")
            entry.size, entry.mode = len(data), 0o600
            entry.mtime = int(time.clock_gettime(time.CLOCK_REALTIME))
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        files.replace(path, data, path.with_name(f".{path.name}.tmp"), mode=0o600)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror or error}") from error
