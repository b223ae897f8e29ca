"""`wesher install-unit`: the units of systemd, for an installation by pip or pipx.

The wheel brings the units of the Debian package. They get the path of this installation and go
where an administrator's own units are, each with a first line that says whose it is: no other file
is ever replaced or removed. Nothing is started or enabled; what to do is said.
"""

import asyncio
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import wesher
from wesher.base.errors import StartError, WesherError
from wesher.base.frozen import frozen
from wesher.cli.client import show
from wesher.system import shell

MARK = "# Written by `wesher install-unit`, which replaces it; with --uninstall it removes it.\n"
UNITS = (
    "wesher.service",
    "wesher@.service",
    "wesher-metrics.socket",
    "wesher-metrics@.service",
    "wesher-events.service",
)
_ROOT = Path(wesher.__file__).parents[1]
_CHECKOUT = (_ROOT / "packaging/debian", _ROOT / "packaging/systemd")
_PACKAGED = "/usr/bin/wesher"  # what the units start as they come
_PLAIN = re.compile(r"[\w@+=:,./-]+")  # what a unit takes in a path without quotes
_HOMES = ("home", "root", "run/user")  # what ProtectHome= hides
_HIDDEN = ("tmp", "var/tmp")  # what PrivateTmp= hides


@frozen
class Places:
    """Where systemd has its files; `root` is / but in tests."""

    root: Path

    @property
    def packaged(self) -> Iterator[Path]:
        """Yield where a package has its unit."""
        return (
            self.root / one / UNITS[0] for one in ("usr/lib/systemd/system", "lib/systemd/system")
        )

    @property
    def own(self) -> Path:
        return self.root / "etc/systemd/system"

    def target(self, name: str) -> Path:
        if name.endswith(".tmpfiles"):
            return self.root / "etc/tmpfiles.d/wesher.conf"
        return self.own / name

    @property
    def runs(self) -> bool:
        """Tell whether systemd is what runs here, not just installed, as in a chroot."""
        return (self.root / "run/systemd/system").is_dir()

    def wanted(self) -> list[str]:
        """Return the units of ours that are enabled or run."""
        enabled = {path.name for path in self.own.glob("*.wants/wesher*")}
        running = self.root.glob("sys/fs/cgroup/system.slice/wesher*.service")
        return sorted(enabled | {path.name for path in running})


@frozen
class Installation:
    """What starts this program, the first word a whole path, and the files that takes."""

    program: tuple[str, ...]
    needs: tuple[Path, ...]


def run(given: Mapping[str, str]) -> int:
    """Write the units or remove them; StartError where they cannot be or are not ours to touch."""
    places = Places(Path("/"))
    if shell.find_tool("systemctl") is None:
        raise StartError(
            "there is no systemd on this host: have its init system start "
            f"`{' '.join(_this().program)} --log-level info` as root"
        )
    lines = uninstall(places) if "uninstall" in given else install(places, _this())
    show([*lines, *asyncio.run(_tell_systemd(places))])
    return 0


def install(places: Places, installation: Installation) -> list[str]:
    """Write the units, which start this installation; returns what to say."""
    for packaged in places.packaged:
        if packaged.exists():
            raise StartError(
                f"a package has brought {packaged}, which runs another wesher than this one: "
                "use it (`systemctl enable --now wesher`), or remove the package first"
            )
    for name in _names():
        _must_be_ours(places.target(name))
    command = _command(installation)
    in_home = any(_is_below(path, _HOMES) for path in installation.needs)
    for name in _names():
        text = _template(name).replace(_PACKAGED, command)
        if in_home:
            text = text.replace("ProtectHome=yes", "ProtectHome=read-only")
        _write(places.target(name), MARK + text)
    return [
        *(f"wrote {places.target(name)}" for name in _names()),
        f"they start {command}",
        *_remarks(installation),
        *_next_steps(places),
    ]


def uninstall(places: Places) -> list[str]:
    """Remove what `install` wrote; returns what to say."""
    if wanted := places.wanted():
        raise StartError(
            f"{', '.join(wanted)} would be left without a unit: first run "
            f"`systemctl disable --now {' '.join(wanted)}`"
        )
    removed = [path for name in _names() if _is_ours(path := places.target(name))]
    for path in removed:
        path.unlink()
    return [f"removed {path}" for path in removed] or ["there are no units of ours"]


async def _tell_systemd(places: Places) -> list[str]:
    """Have systemd read what has changed; returns what has to be done by hand."""
    if not places.runs:
        return ["systemd does not run here: it reads them when it starts"]
    by_hand = []
    for command in (
        ("systemctl", "daemon-reload"),
        ("systemd-tmpfiles", "--create", "wesher.conf"),
    ):
        try:
            await shell.run(*command)
        except WesherError as error:
            by_hand.append(f"run `{' '.join(command)}`: {error}")
    return by_hand


def _names() -> tuple[str, ...]:
    return (*UNITS, "wesher.tmpfiles")


def _this() -> Installation:
    program = _program()
    needs = (*program, sys.executable, sys.prefix, wesher.__file__)
    return Installation(program, tuple(dict.fromkeys(Path(one).resolve() for one in needs)))


def _program() -> tuple[str, ...]:
    typed = Path(os.path.abspath(sys.argv[0]))
    beside = Path(sys.executable).with_name("wesher")
    for script in (typed, beside):
        if script.name == "wesher" and script.is_file() and os.access(script, os.X_OK):
            return (str(script),)
    return (sys.executable, str(_ROOT / "wesher.py"))


def _command(installation: Installation) -> str:
    """Return the program as a unit has it; StartError when the service could not start it."""
    for word in installation.program:
        if not _PLAIN.fullmatch(word):
            raise StartError(f"{word}: install wesher where the path has only letters and digits")
    for path in installation.needs:
        if _is_below(path, _HIDDEN):
            raise StartError(f"{path} cannot be seen by a service: install wesher elsewhere (/opt)")
    return " ".join(installation.program)


def _is_below(path: Path, directories: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(f"/{one}") for one in directories)


def _remarks(installation: Installation) -> Iterator[str]:
    for path in (one for need in installation.needs for one in (need, *need.parents)):
        if owner := path.stat().st_uid:
            yield (
                f"warning: {path} belongs to user {owner}, who could so become root: "
                "install wesher as root, as under /opt"
            )
            return


def _next_steps(places: Places) -> Iterator[str]:
    if "wesher.service" in places.wanted():
        yield "next: `systemctl restart wesher`, which loses no packet"
        return
    yield "next: on all hosts but the first put into /etc/wesher/wesher.toml (mode 0600)"
    yield '    cluster-key = "KEY"'
    yield '    join = ["HOST"]'
    yield "then: `systemctl enable --now wesher`; the first tells its key by `wesher key show`"


def _template(name: str) -> str:
    for directory in (*_shared(), *_CHECKOUT):
        if (file := directory / name).is_file():
            return file.read_text()
    raise StartError(f"this installation lacks {name}: install wesher again")


def _shared() -> Iterator[Path]:
    """Yield where the wheel's units are: below the environment, or /usr/local."""
    try:
        files = importlib.metadata.files("wesher")
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files or ():
        if file.name == UNITS[0]:
            yield Path(str(file.locate())).parent


def _must_be_ours(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not _is_ours(path)):
        raise StartError(f"{path} is not of `wesher install-unit`: move it away first")


def _is_ours(path: Path) -> bool:
    try:
        return path.read_text().startswith(MARK)
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}; only root can") from error
