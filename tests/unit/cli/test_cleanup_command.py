import json
import os

import pytest
from loguru import logger

from wesher.cli import main
from wesher.system.lock import InterfaceLock

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
def fakes(tmp_path, monkeypatch):
    """A directory whose `ip` stands first on PATH, on a host without interfaces."""
    directory = tmp_path / "fakes"
    directory.mkdir()
    (directory / "ip").write_text(FAKE_IP)
    (directory / "ip").chmod(0o755)
    (directory / "answer").write_text("[]\n[]\n[]\n")
    monkeypatch.setenv("FAKES", str(directory))
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr("wesher.config.DEFAULT_FILE", str(tmp_path / "none.toml"))
    yield directory
    logger.remove()


@pytest.fixture
def cleanup(tmp_path, fakes):
    """Run `wesher cleanup` on files of this test."""
    (tmp_path / "hosts").write_text(FOREIGN)
    paths = ["--hosts-file", str(tmp_path / "hosts"), "--run-dir", str(tmp_path / "run")]

    def run(*arguments):
        return main(["cleanup", "--interface", "wg0", *paths, *arguments])

    return run


def put_interface(fakes, alias):
    link = {"ifname": "wg0", "flags": ["UP"], "mtu": 1420, "ifalias": alias}
    (fakes / "answer").write_text(f"[]\n{json.dumps([link])}\n[]\n")


def test_where_nothing_is_left_nothing_is_done(cleanup, fakes, capsys):
    assert cleanup() == 0

    assert capsys.readouterr().out == "nothing to clean up\n"
    assert not (fakes / "changes").exists()


def test_what_a_crashed_agent_left_is_removed(cleanup, fakes, tmp_path, capsys):
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


def test_an_interface_without_our_mark_stays(cleanup, fakes):
    put_interface(fakes, "office vpn")

    assert cleanup() == 0
    assert not (fakes / "changes").exists()


def test_a_running_agent_is_left_alone(cleanup, fakes, tmp_path, capsys):
    (tmp_path / "hosts").write_text(FOREIGN + OURS)
    put_interface(fakes, "wesher")

    with InterfaceLock(tmp_path / "run", "wg0"):
        code = cleanup()

    assert code == 1
    assert "another wesher (pid " in capsys.readouterr().err
    assert (tmp_path / "hosts").read_text() == FOREIGN + OURS
    assert not (fakes / "changes").exists()


def test_what_could_not_be_undone_is_named_with_the_command(cleanup, fakes, tmp_path, capsys):
    (tmp_path / "hosts").write_text(FOREIGN + OURS)
    put_interface(fakes, "wesher")
    (fakes / "refuse").touch()

    code = cleanup()

    assert code == 1
    assert (tmp_path / "hosts").read_text() == FOREIGN
    error = capsys.readouterr().err
    assert error == "wesher: interface wg0 is left; run: ip link del wg0\n"


def test_a_hosts_file_that_resists_does_not_save_the_interface(cleanup, fakes, tmp_path, capsys):
    (tmp_path / "hosts").unlink()
    (tmp_path / "hosts").mkdir()
    put_interface(fakes, "wesher")

    code = cleanup()

    assert code == 1
    assert "our lines of the hosts file are left" in capsys.readouterr().err
    assert (fakes / "changes").read_text() == "link del dev wg0\n"
