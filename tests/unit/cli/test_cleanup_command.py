import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from loguru import logger

from wesher.cli import main
from wesher.system.files import InterfaceLock

OURS = "10.0.0.1\tnorth\t# ! managed automatically by wesher interface wg0\n"
FOREIGN = "127.0.0.1 localhost\n"

# Answers the query with $FAKES/answer, and notes and refuses or accepts all changes.
FAKE_IP = """#!/bin/sh
set -eu
case "$*" in *-json*) cat >/dev/null; exec cat "$FAKES/answer" ;; esac
cat >>"$FAKES/changes"
[ ! -e "$FAKES/refuse" ] || { echo "Error: refused" >&2; echo "Command failed -:1" >&2; exit 1; }
"""


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory whose `ip` stands first on PATH, on a host without interfaces."""
    directory = tmp_path / "fakes"
    directory.mkdir()
    (directory / "ip").write_text(FAKE_IP)
    (directory / "ip").chmod(0o755)
    (directory / "answer").write_text("[]\n[]\n[]\n")
    monkeypatch.setenv("FAKES", str(directory))
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(tmp_path / "none.toml"))
    yield directory
    logger.remove()


class Cleanup(Protocol):
    """Runs `wesher cleanup`; returns its exit code."""

    def __call__(self, *arguments: str) -> int: ...


@pytest.fixture
def cleanup(tmp_path: Path, fakes: Path) -> Cleanup:
    """Run `wesher cleanup` on files of this test."""
    (tmp_path / "hosts").write_text(FOREIGN)
    paths = ["--hosts-file", str(tmp_path / "hosts"), "--run-dir", str(tmp_path / "run")]

    def run(*arguments: str) -> int:
        return main(["cleanup", "--interface", "wg0", *paths, *arguments])

    return run


def put_interface(fakes: Path, alias: str) -> None:
    put_interfaces(fakes, wg0=alias)


def put_interfaces(fakes: Path, **aliases: str) -> None:
    links = [
        {"ifname": name, "flags": ["UP"], "mtu": 1420, "ifalias": alias}
        for name, alias in aliases.items()
    ]
    (fakes / "answer").write_text(f"[]\n{json.dumps(links)}\n[]\n")


def test_where_nothing_is_left_nothing_is_done(
    cleanup: Cleanup, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cleanup() == 0

    assert capsys.readouterr().out == "nothing to clean up\n"
    assert not (fakes / "changes").exists()


def test_what_a_crashed_agent_left_is_removed(
    cleanup: Cleanup, fakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts").write_text(FOREIGN + OURS)
    put_interface(fakes, "wesher")

    code = cleanup()

    assert code == 0
    assert (tmp_path / "hosts").read_text() == FOREIGN
    assert (fakes / "changes").read_text() == "link del dev wg0\n"
    assert capsys.readouterr().out.splitlines() == [
        "removed our lines of the hosts file",
        "removed interface wg0",
    ]


def test_an_interface_without_our_mark_stays(cleanup: Cleanup, fakes: Path) -> None:
    put_interface(fakes, "office vpn")

    assert cleanup() == 0
    assert not (fakes / "changes").exists()


def test_a_running_agent_is_left_alone(
    cleanup: Cleanup, fakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts").write_text(FOREIGN + OURS)
    put_interface(fakes, "wesher")

    with InterfaceLock(tmp_path / "run", "wg0"):
        code = cleanup()

    assert code == 1
    assert "another wesher (pid " in capsys.readouterr().err
    assert (tmp_path / "hosts").read_text() == FOREIGN + OURS
    assert not (fakes / "changes").exists()


def test_what_could_not_be_undone_is_named_with_the_command(
    cleanup: Cleanup, fakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts").write_text(FOREIGN + OURS)
    put_interface(fakes, "wesher")
    (fakes / "refuse").touch()

    code = cleanup()

    assert code == 1
    assert (tmp_path / "hosts").read_text() == FOREIGN
    error = capsys.readouterr().err
    assert error == "wesher: interface wg0 is left; run: ip link del wg0\n"


def test_a_hosts_file_that_resists_does_not_save_the_interface(
    cleanup: Cleanup, fakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts").unlink()
    (tmp_path / "hosts").mkdir()
    put_interface(fakes, "wesher")

    code = cleanup()

    assert code == 1
    assert "our lines of the hosts file are left" in capsys.readouterr().err
    assert (fakes / "changes").read_text() == "link del dev wg0\n"


def test_all_of_ours_are_found(
    cleanup: Cleanup, fakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_interfaces(fakes, wg0="wesher", lab="wesher", elsewhere="wesher", office="office vpn")
    for interface in ("lab", "office"):
        InterfaceLock(tmp_path / "run", interface).release()
    hosts = tmp_path / "hosts"
    hosts.write_text(FOREIGN + OURS + OURS.replace("wg0", "gone") + OURS.replace("wg0", "../bad"))

    code = cleanup("--all")

    assert code == 0
    assert hosts.read_text() == FOREIGN + OURS.replace("wg0", "../bad")
    changes = (fakes / "changes").read_text().splitlines()
    assert changes == ["link del dev lab", "link del dev wg0"]
    assert capsys.readouterr().out.count("removed ") == 4


def test_of_all_interfaces_the_one_that_an_agent_holds_is_left(
    cleanup: Cleanup, fakes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_interfaces(fakes, wg0="wesher", lab="wesher")
    InterfaceLock(tmp_path / "run", "wg0").release()

    with InterfaceLock(tmp_path / "run", "lab"):
        code = cleanup("--all")

    assert code == 1
    assert "runs on interface lab" in capsys.readouterr().err
    assert (fakes / "changes").read_text() == "link del dev wg0\n"


def test_where_nothing_of_ours_is_left_there_is_nothing_to_do(
    cleanup: Cleanup, fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_interfaces(fakes, office="office vpn", elsewhere="wesher")

    assert cleanup("--all") == 0

    assert capsys.readouterr().out == "nothing to clean up\n"
