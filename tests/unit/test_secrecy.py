"""The watch over secrets finds one that was planted, wherever and however it was shown."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.testbed.secrecy import Watch, values_in
from wesher.mesh.base.invitation import Invitation
from wesher.system.invitation_file import InvitationFile

ROOT = Path(__file__).parents[2]
SECRET = bytes(range(1, 33))
TEXT = base64.b64encode(SECRET).decode()

PLANTED = """
import base64, logging, sys

def secret_in(tmp_path, number):
    secret = bytes(range(number, number + 32))
    text = base64.b64encode(secret).decode()
    (tmp_path / "wgoverlay.json").write_text('{"ClusterKey": "%s"}' % text)
    return secret, text

def test_stdout(tmp_path):
    print(secret_in(tmp_path, 1)[1])

def test_stderr(tmp_path):
    sys.stderr.write(secret_in(tmp_path, 2)[0].hex())

def test_log(tmp_path):
    logging.error("%r", secret_in(tmp_path, 3)[0])

def test_argv(tmp_path):
    (tmp_path / "calls").write_text(f"wg set x private-key {secret_in(tmp_path, 4)[1]}")

def test_environment(tmp_path):
    (tmp_path / "environ").write_text(f"A=B\\0KEY={secret_in(tmp_path, 5)[1]}\\n")

def test_agent(tmp_path):
    (tmp_path / "wgoverlay.err").write_text(f"{secret_in(tmp_path, 6)[1]} is wrong")
"""
HARMLESS = """
def test_harmless(tmp_path):
    (tmp_path / "wgoverlay.json").write_text('{"ClusterKey": "%s"}')
    print("%s")
"""


@pytest.mark.parametrize(
    "written",
    [
        TEXT,
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(SECRET).decode(),
        f"key={TEXT} and more",
        f"before{TEXT}",
        f"wg set wgoverlay private-key {TEXT}\n",
        SECRET.hex(),
        SECRET.hex().upper(),
        f"0x{SECRET.hex()}",
        repr(SECRET),
        f"State(cluster_key={SECRET!r})",
    ],
)
def test_a_value_is_recognised_however_it_is_written(written: str) -> None:
    assert SECRET in set(values_in(written.encode()))


@pytest.mark.parametrize("written", ["", "no key at all", "A" * 42, TEXT[:40], "b'\\x'"])
def test_what_is_no_value_is_none(written: str) -> None:
    assert SECRET not in set(values_in(written.encode()))


def run(tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests under the plugin, in a place that nobody else looks at."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "test_planted.py")
        file.write_text(tests)
        options = ["-p", "tests.testbed.secrecy", "-c", "/dev/null", f"--rootdir={directory}"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--basetemp={directory}/t", *options, file],
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )


def test_planted_leaks_fail_the_run_and_are_named_without_being_shown() -> None:
    done = run(PLANTED)

    assert done.returncode == 1, done.stdout + done.stderr
    named = done.stdout.partition("secrets were shown")[2].splitlines()
    for leak in ("stdout", "stderr", "log", "argv", "environment", "agent"):
        assert [line for line in named if f"test_{leak}" in line], leak
    assert TEXT not in done.stdout


def test_a_run_that_shows_nothing_secret_passes() -> None:
    other = base64.b64encode(bytes(range(9, 41))).decode()

    done = run(HARMLESS % (TEXT, other))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 secrets, and none among 1 values shown" in done.stdout


def test_secrets_are_taken_from_state_files_and_from_what_wg_was_given(tmp_path: Path) -> None:
    watch = Watch()
    private = base64.b64encode(bytes(range(3, 35))).decode()
    (tmp_path / "private-keys").write_text(f"{private}\n")
    (tmp_path / "wgoverlay.json").write_text(f'{{"ClusterKey": "{TEXT}", "Nodes": []}}')

    watch.gather(tmp_path)

    assert watch.secrets == {SECRET, bytes(range(3, 35))}


def test_every_key_of_several_is_a_secret_wherever_it_is_configured_or_saved(
    tmp_path: Path,
) -> None:
    secrets = [bytes(range(first, first + 32)) for first in range(1, 9)]
    texts = [base64.b64encode(secret).decode() for secret in secrets]
    others = [{"Key": text, "Check": "00"} for text in texts[1:3]]
    ours = {"OtherKeys": others, "IdentityKey": texts[7]}
    state = {"ClusterKey": texts[0], "Nodes": [], "Wesher": ours}
    (tmp_path / "wgoverlay.json").write_text(json.dumps(state))
    (tmp_path / "keys").write_text(f"{texts[3]}\n{texts[4]}\n")
    (tmp_path / "wesher.toml").write_text(f"cluster-key = {texts[5:7]!r}\n")
    watch = Watch()

    watch.gather(tmp_path)

    assert watch.secrets == set(secrets)


def test_keys_of_invitations_are_secrets(tmp_path: Path) -> None:
    made = Invitation("abcdefgh", SECRET, 0, 60, 1)
    InvitationFile(tmp_path, "wgoverlay").save([made])
    watch = Watch()

    watch.gather(tmp_path)

    assert watch.secrets == {SECRET}
