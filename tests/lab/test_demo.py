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


def test_it_shows_the_mesh_a_crash_and_what_doctor_says_of_a_firewall(
    demo: subprocess.Popen[str],
) -> None:
    output, errors = demo.communicate(timeout=90)

    assert demo.returncode == 0
    assert errors == ""
    assert "node1 $ wesher status" in output
    assert "the other member is reached" in output
    assert re.search(r"^it starts again: 0 of [0-9]+ packets lost$", output, re.MULTILINE)
    assert "node2 is reached by gossip, but answers nothing through WireGuard" in output
    assert "node1 pings node2: answered" in output
    assert output.splitlines()[-1] == "demo: 2 nodes, 2/2 pings answered"


def test_a_reader_that_goes_away_ends_it_quietly(demo: subprocess.Popen[str]) -> None:
    """As `scripts/demo | head -n 1` does."""
    assert demo.stdout
    assert demo.stderr
    first = demo.stdout.readline()
    demo.stdout.close()

    assert first.startswith("2 hosts")
    assert demo.wait(90) == 141
    assert demo.stderr.read() == ""
