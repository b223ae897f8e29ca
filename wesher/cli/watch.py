"""`wesher status --watch`: the status again and again on a screen of its own, as top does."""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn

from wesher.base.errors import AgentError, ConfigError, NoAgentError, printable
from wesher.base.frozen import frozen
from wesher.cli.client import choose_agent
from wesher.cli.members import Rates
from wesher.config.options import WATCH
from wesher.system.terminal import (
    ELLIPSIS,
    Line,
    Screen,
    Span,
    Style,
    painted,
    screen_of,
    size_of,
    wrapped,
)

_TICK = 0.25  # seconds until a screen of another size is noticed
_QUIT = (b"q", b"Q", b"")  # nothing at all is read once the terminal is gone
_NOTHING = b" "
_CONTROL_CHARACTERS = 6  # where tcgetattr tells them
# xterm's control sequences: another screen without cursor and wrapping; home; ends of line, screen.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _LINE_ENDS, _SCREEN_ENDS = "\x1b[H", "\x1b[K\n", "\x1b[K\x1b[J"

Render = Callable[..., Iterable[Line]]
Show = Callable[[Screen], Iterable[Line]]


@frozen
class Sample:
    """What was counted of the members, by public key, and when on the monotonic clock."""

    at: float
    counts: Mapping[str, tuple[int, int]]


def sample_of(status: Mapping[str, Any], at: float) -> Sample:
    """Return the counts of a status."""
    counted = (one for one in status["members"] if one["public_key"] and one["sent"] is not None)
    return Sample(at, {one["public_key"]: (one["received"], one["sent"]) for one in counted})


def rates_between(before: Sample | None, now: Sample) -> Rates:
    """Return bytes a second of all that were counted twice, and not from the beginning between."""
    if before is None or now.at <= before.at:
        return {}
    passed = now.at - before.at
    return {
        key: ((received - earlier[0]) / passed, (sent - earlier[1]) / passed)
        for key, (received, sent) in now.counts.items()
        if (earlier := before.counts.get(key)) and received >= earlier[0] and sent >= earlier[1]
    }


def watch(given: Mapping[str, str], render: Render) -> int:
    """Show what `render` makes of the status until q or Ctrl-C; returns the exit code."""
    try:
        every: float = WATCH.parse(given[WATCH.name])
    except ValueError as error:
        raise ConfigError(f"{WATCH.flag}: {error}") from error
    if "json" in given:
        raise ConfigError(f"{WATCH.flag} and --json contradict each other")
    if not sys.stdout.isatty():
        raise ConfigError(f"{WATCH.flag} needs a terminal to draw on")
    choose_agent(given)  # without an agent nothing is to be seen, and that is said as ever
    with suppress(KeyboardInterrupt), _own_screen():
        _watch(given, render, every)
    return 0


def _watch(given: Mapping[str, str], render: Render, every: float) -> None:
    before = None
    while True:
        due = time.monotonic() + every
        try:
            status = choose_agent(given).ask("status")
        except (AgentError, NoAgentError) as error:  # it may be restarted while we watch
            before, shown = None, _complaint(str(error))
        else:
            now = sample_of(status, time.monotonic())
            shown = partial(render, status, rates=rates_between(before, now))
            before = now
        if _shows_until(due, shown, every):
            return


def _complaint(text: str) -> Show:
    return lambda screen: wrapped(printable(text), screen.columns, 0)


def _shows_until(due: float, show: Show, every: float) -> bool:
    """Draw, and again when the terminal's size changes; tells whether somebody has had enough."""
    drawn = None
    while (left := due - time.monotonic()) > 0:
        size = size_of(sys.stdout)
        if size != drawn:
            _draw(show(screen_of(sys.stdout)), size[1], every)
            drawn = size
        if _pressed(min(_TICK, left)) in _QUIT:
            return True
    return False


def _draw(lines: Iterable[Line], height: int, every: float) -> None:
    """Draw as many of the lines as there is room for."""
    head = f"wesher status, every {every:g} s, at {time.strftime('%H:%M:%S')}; q ends"
    every_line = [(Span(head, Style.HEAD),), *lines]
    shown = every_line[:height]
    if len(every_line) > height:
        shown[-1] = f"{ELLIPSIS} and {len(every_line) - height + 1} more lines"
    colours = screen_of(sys.stdout).colours
    text = _LINE_ENDS.join(painted(line, colours=colours) for line in shown)
    sys.stdout.write(f"{_HOME}{text}{_SCREEN_ENDS}")
    sys.stdout.flush()


def _pressed(patience: float) -> bytes:
    """Return what somebody presses meanwhile: nothing where there is no keyboard."""
    if not sys.stdin.isatty():
        time.sleep(patience)
        return _NOTHING
    ready, _, _ = select.select([sys.stdin], [], [], patience)
    return os.read(sys.stdin.fileno(), 1) if ready else _NOTHING


@contextmanager
def _own_screen() -> Iterator[None]:
    """Draw beside what the terminal shows, and read keys at once; all is as before afterwards."""
    _on_end_signals(_end)
    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = termios.tcgetattr(keys) if keys is not None else None
    try:
        if keys is not None:
            _read_keys_at_once(keys)
        sys.stdout.write(_ENTER)
        yield
    finally:
        _on_end_signals(signal.SIG_IGN)  # or a second one would leave the terminal as it is
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        if keys is not None and before is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _read_keys_at_once(keys: int) -> None:
    """Nor let Ctrl-Z stop us, which would leave the terminal as it is."""
    tty.setcbreak(keys)
    settings = termios.tcgetattr(keys)
    settings[_CONTROL_CHARACTERS][termios.VSUSP] = b"\0"
    termios.tcsetattr(keys, termios.TCSADRAIN, settings)


def _on_end_signals(handler: Callable[[int, object], NoReturn] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _end(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
