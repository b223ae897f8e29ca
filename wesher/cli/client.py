"""What the commands that ask an agent have in common: which agent, and how they print."""

import json
import os
import signal
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wesher.base.errors import ConfigError, NoAgentError, StartError, printable
from wesher.base.frozen import frozen
from wesher.config.config import resolve
from wesher.config.options import CLIENT_NAMES, pick
from wesher.system import control_client
from wesher.system.control_client import PATIENCE
from wesher.system.terminal import ANYWHERE, Line, Screen, painted, screen_of, wrapped

NOTHING = "-"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


@frozen
class Agent:
    """The agent that a command is about."""

    run_dir: Path
    interface: str

    def ask(self, command: str, *, patience: float = PATIENCE, **arguments: Any) -> Any:
        """Return its answer; raises what `control_client.ask` raises."""
        return control_client.ask(
            self.run_dir, self.interface, command, patience=patience, **arguments
        )

    def follow(self) -> Generator[Any, None, None]:
        """Yield an event at once, then all that come; raises what `asking.follow` raises."""
        return control_client.follow(self.run_dir, self.interface)


def choose_agent(given: Mapping[str, str], *, configured: bool = False) -> Agent:
    """Return the agent on `--interface`, else the only one that runs.

    Raises NoAgentError when none does, and ConfigError when there are several to choose from,
    unless the `configured` one is meant: the agent that this configuration would start.
    """
    settings = resolve(pick(CLIENT_NAMES), given, os.environ)
    run_dir: Path = settings.values["run_dir"]
    if settings.given("interface"):
        return Agent(run_dir, settings.values["interface"])
    found = control_client.running(run_dir)
    if not found:
        raise NoAgentError(
            f"no agent runs on this host (there is no socket in {run_dir}): start one with "
            "`wesher`, or with `systemctl start wesher`"
        )
    if configured and settings.values["interface"] in found:
        return Agent(run_dir, settings.values["interface"])
    if len(found) > 1:
        raise ConfigError(f"several agents run: choose one with --interface: {', '.join(found)}")
    return Agent(run_dir, found[0])


def show(lines: Iterable[Line], *, at_once: bool = False) -> None:
    """Print the lines, `at_once` each when it is there.

    A reader that has enough, as `head`, ends us quietly. Members name themselves: what could drive
    a terminal is escaped. Raises StartError where nothing can be written, as on a full disk.
    """
    # Only meanwhile: an agent that hangs up on us must not end us without a word.
    colours = screen_of(sys.stdout).colours
    usual = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        for line in lines:
            print(painted(line, colours=colours), flush=at_once)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer is written when we exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise StartError(f"cannot write to standard output: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGPIPE, usual)


def show_json(value: object) -> None:
    """Print a value as indented JSON."""
    show(as_json(value, indent=2).splitlines())


def as_json(value: object, indent: int | None = None) -> str:
    """Return JSON that a terminal may be shown as it is: `json` leaves a DEL in texts."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def duration(seconds: float | None) -> str:
    """Render seconds with their two greatest units: `3m12s`, `2d04h`, `0.4s`."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, name, lesser, lesser_name in _STEPS:
        if whole >= unit:
            return f"{whole // unit}{name}{whole % unit // lesser:02}{lesser_name}"
    return f"{whole}s"


def size(count: int | None) -> str:
    """Render bytes with three digits: `512B`, `1.21MiB`."""
    if count is None:
        return NOTHING
    amount, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.{0 if unit == 'B' or amount >= 100 else 1 if amount >= 10 else 2}f}{unit}"


def milliseconds(seconds: float | None) -> str:
    """Render a round trip: `0.42ms`, `31ms`."""
    if seconds is None:
        return NOTHING
    amount = seconds * 1000
    return f"{amount:.{0 if amount >= 100 else 1 if amount >= 10 else 2}f}ms"


def facts(pairs: Sequence[tuple[str, str]], screen: Screen = ANYWHERE) -> Iterator[str]:
    """Yield lines for each pair, the names in a column of their own."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        yield from wrapped(printable(f"{name:<{width}}  {value}"), screen.columns, width + 2)
