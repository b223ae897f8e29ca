"""Fixtures for every layer."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.testbed.tools import Tools

pytest_plugins = ["tests.testbed.secrecy"]

if os.environ.get("CI") != "true":
    # A machine that is busy is no failure; in CI hypothesis itself sees to that, and to the seed.
    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Put the fake `wg`, `ip` and `wireguard-go` first on PATH, on a host of their own."""
    fakes = Tools(tmp_path / "host")
    for name in ("PATH", "FAKES", "FAKES_PYTHON"):
        monkeypatch.setenv(name, fakes.env[name])
    return fakes
