"""The doctor of this host, run for other members: as a process, and once in a while."""

import asyncio
import json
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

from wesher.base.errors import CommandError
from wesher.config.config import Config
from wesher.mesh.base.questions import MAX_DOCTOR
from wesher.system.shell import follow

REST = 10.0  # seconds for which one run serves everybody who asks
PATIENCE = 16.0  # seconds; each check of the doctor gives up after 12
_ROOT = str(Path(__file__).parents[2])
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from wesher.__main__ import start; sys.exit(start())"
)
"""Starts the wesher that we are, wherever it lies."""

Json = dict[str, Any]


class DoctorRuns:
    """Runs of the doctor, one at a time, none sooner than `REST` after another."""

    def __init__(self) -> None:
        self._running = asyncio.Lock()
        self._told: Json = {}
        self._at = float("-inf")

    async def told(self, config: Config) -> Json:
        """Return what `wesher doctor --json` prints here, or `error` with the reason."""
        async with self._running:
            now = asyncio.get_running_loop().time()
            if now - self._at > REST:
                self._told = await _run(config)
                self._at = now
        return self._told


async def _run(config: Config) -> Json:
    words = ("doctor", "--json", f"--interface={config.interface}", f"--run-dir={config.run_dir}")
    printed = ""
    try:
        async with asyncio.timeout(PATIENCE):
            process = follow("nice", "-n", "10", sys.executable, "-c", _PROGRAM, _ROOT, *words)
            async with aclosing(process) as lines:
                async for some in lines:
                    printed += some
                    if len(printed) > MAX_DOCTOR:
                        return {"error": "the doctor has found too much to tell"}
    except TimeoutError:
        return {"error": f"the doctor has not ended within {PATIENCE:g} s"}
    except CommandError as error:
        return {"error": f"the doctor could not be run: {error}"}
    return parsed(printed)


def parsed(printed: str) -> Json:
    """Return the JSON that the doctor printed, perhaps after a warning or two."""
    start = printed.find("{\n")
    try:
        told = json.loads(printed[start:]) if start >= 0 else None
    except ValueError:
        told = None
    if isinstance(told, dict):
        return told
    lines = printed.strip().splitlines()
    return {"error": lines[-1] if lines else "the doctor has printed nothing"}
