"""The demonstration, as a person runs it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    """A demonstration of two nodes that has just begun."""
    argv = [sys.executable, "scripts/lib/demo.py", "-n", "2"]
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(
        argv, cwd=_ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process
        process.terminate()


def test_it_shows_every_node_and_ping(demo: subprocess.Popen[str]) -> None:
    output, errors = demo.communicate(timeout=90)

    assert demo.returncode == 0
    assert errors == ""
    lines = output.splitlines()
    assert re.fullmatch(r"node1: 10\.[0-9.]+ on wgoverlay, and sees", lines[0])
    assert {"node1 pings node2: answered", "node2 pings node1: answered"} < set(lines)
    assert lines[-1] == "demo: 2 nodes, 2/2 pings answered"


def test_a_reader_that_goes_away_ends_it_quietly(demo: subprocess.Popen[str]) -> None:
    """As `scripts/demo | head -n 1` does."""
    assert demo.stdout
    assert demo.stderr
    first = demo.stdout.readline()
    demo.stdout.close()

    assert first.startswith("node1: ")
    assert demo.wait(90) == 141
    assert demo.stderr.read() == ""
