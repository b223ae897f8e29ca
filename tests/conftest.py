"""Fixtures for every layer."""

from pathlib import Path

import pytest

from tests.tools import Tools

pytest_plugins = ["tests.secrecy"]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Put the fake `wg`, `ip` and `wireguard-go` first on PATH, on a host of their own."""
    fakes = Tools(tmp_path / "host")
    for name in ("PATH", "FAKES", "FAKES_PYTHON"):
        monkeypatch.setenv(name, fakes.env[name])
    return fakes
