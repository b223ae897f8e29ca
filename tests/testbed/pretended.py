"""A pretended agent that answers what it is told to, and commands that ask it on a terminal."""

import asyncio
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.testbed.agents import NAME, PATIENCE, WESHER
from wesher.system.control_server import Answer, ControlServer

Told = Callable[[Mapping[str, Any]], object]
"""Makes a reply of a request."""


@contextmanager
def pretended_agent(
    run_dir: Path, answers: Mapping[str, Told], interface: str = NAME
) -> Iterator[None]:
    """Have somebody answer on a control socket meanwhile, who is no agent."""
    loop = asyncio.new_event_loop()
    server = ControlServer({word: _answer(told) for word, told in answers.items()})
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.open(run_dir, interface), loop).result(PATIENCE)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _answer(told: Told) -> Answer:
    async def answer(arguments: Mapping[str, Any]) -> object:
        return told(arguments)

    return answer


class Terminal:
    """A command of wesher's on a terminal of its own."""

    def __init__(
        self,
        *words: str,
        columns: int = 80,
        lines: int = 24,
        prefix: Sequence[str] = (),
        **env: str,
    ) -> None:
        self.began = time.monotonic()
        self._ours, theirs = pty.openpty()
        self.resize(columns, lines)
        self.settings = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.shown = ""
        self.times: list[tuple[float, str]] = []
        unwanted = ("NO_COLOR", "COLUMNS", "WESHER_CONFIG", "WESHER_INTERFACE")
        usual = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.process = subprocess.Popen(
            [*prefix, "setsid", "--ctty", *WESHER, *words],
            env=usual | {"TERM": "xterm"} | env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal so large."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def read(self, patience: float = 0.05) -> None:
        """Take in what is shown within so many seconds."""
        while select.select([self._ours], [], [], patience)[0]:
            text = os.read(self._ours, 65536).decode(errors="replace")
            self.times.append((time.monotonic() - self.began, text))
            self.shown += text
            patience = 0.0

    def shows(self, text: str) -> None:
        """Wait until it shows this."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            self.read()
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"

    def wait(self) -> int:
        """Wait for the end of the command; returns its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < deadline, self.shown
        self.read()
        return self.process.returncode

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal's settings are those from before the command."""
        return bool(termios.tcgetattr(self._theirs) == self.settings)

    def close(self) -> None:
        """End the command, if it runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
