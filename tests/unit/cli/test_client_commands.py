import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.test_command_line import HEAVY
from wesher.base.errors import AgentError, ConfigError, NoAgentError
from wesher.cli import COMMANDS, main
from wesher.cli.client import choose_agent, show, show_json
from wesher.config.options import CLIENT_NAMES, pick
from wesher.system.control_server import listen

NO_AGENT = 3
ARGUMENTS = {
    "info": ["web"],
    "ping": ["web"],
    "forget": ["web"],
    "trust": ["web"],
    "key": ["show", "--force"],
}
CLIENTS = [
    word
    for word, command in COMMANDS.items()
    if command.options[: len(pick(CLIENT_NAMES))] == pick(CLIENT_NAMES) and word != "doctor"
]


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory of our own, and no configuration of this machine."""
    monkeypatch.setenv("WESHER_RUN_DIR", str(tmp_path))
    monkeypatch.delenv("WESHER_CONFIG", raising=False)
    monkeypatch.delenv("WESHER_INTERFACE", raising=False)
    return tmp_path


@pytest.mark.parametrize("word", CLIENTS)
def test_a_command_imports_neither_crypto_nor_gossip(word: str, run_dir: Path) -> None:
    script = (
        "import sys; from wesher.cli import main; code = main(sys.argv[2:]);"
        "print('loaded', [name for name in sys.argv[1].split(',') if name in sys.modules], code)"
    )
    argv = [sys.executable, "-c", script, ",".join(HEAVY), word, *ARGUMENTS.get(word, [])]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    *_, line = done.stdout.splitlines()
    assert line == f"loaded [] {NO_AGENT}", done


@pytest.mark.parametrize("word", CLIENTS)
def test_a_command_about_a_named_interface_says_which_agent_is_missing(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([word, *ARGUMENTS.get(word, []), "--interface=wg7"])

    assert code == NO_AGENT
    assert "no agent runs on interface wg7" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["info", "ping", "forget"])
def test_a_command_about_something_says_what_it_lacks(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([word])

    assert code == 2
    assert "required" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["members", "--state=gone"], "--state: 'gone' is none of alive, suspect, failed, left"),
        (["export", "--format=xml"], "--format: 'xml' is none of wg, json"),
        (["export", "--json", "--format=wg"], "--format wg and --json contradict each other"),
        (["key", "hide"], "invalid choice: 'hide'"),
        (["status", "web"], "'web' is one word too many; see wesher status --help"),
        (["info", "web", "db"], "'db' is one word too many; see wesher info --help"),
    ],
)
def test_wrong_usage_is_said_before_any_agent_is_asked(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(arguments)

    assert code == 2
    assert reason in capsys.readouterr().err


def test_without_an_agent_there_is_none_to_choose() -> None:
    with pytest.raises(NoAgentError, match="no agent runs on this host"):
        choose_agent({})


def test_the_only_agent_needs_no_name(run_dir: Path) -> None:
    with listen(run_dir, "wg3"):
        assert choose_agent({}).interface == "wg3"


def test_of_several_agents_those_that_are_gone_do_not_count(run_dir: Path) -> None:
    listen(run_dir, "wg1").close()
    with listen(run_dir, "wg2"):
        assert choose_agent({}).interface == "wg2"
        with (
            listen(run_dir, "wg3"),
            pytest.raises(ConfigError, match="choose one with --interface: wg2, wg3"),
        ):
            choose_agent({})


def test_of_several_agents_a_reload_is_for_the_configured_one(run_dir: Path) -> None:
    with listen(run_dir, "wglab"), listen(run_dir, "wgoverlay"):
        assert choose_agent({}, configured=True).interface == "wgoverlay"


def test_a_reload_of_the_only_agent_needs_no_name(run_dir: Path) -> None:
    with listen(run_dir, "wglab"):
        assert choose_agent({}, configured=True).interface == "wglab"


def test_the_interface_of_the_environment_is_the_one(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WESHER_INTERFACE", "wg9")

    assert choose_agent({}).interface == "wg9"


def test_an_agent_that_hangs_is_named_by_its_process(run_dir: Path) -> None:
    (run_dir / "wg3.lock").write_text(f"{os.getpid()}\n")
    with (
        listen(run_dir, "wg3"),
        pytest.raises(AgentError, match=rf"wg3 \(pid {os.getpid()}\) does not answer: it hangs"),
    ):
        choose_agent({}).ask("status", patience=0.1)


def test_a_reader_that_goes_ends_only_what_is_shown_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGPIPE)

    show(["line"])

    assert capsys.readouterr().out == "line\n"
    assert signal.getsignal(signal.SIGPIPE) is before is not signal.SIG_DFL


def test_a_name_that_would_drive_the_terminal_is_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    evil = "evil\x1b[2J\x7f\u202e\nname"

    show([evil])
    show_json({"name": evil})

    output = capsys.readouterr().out
    shown, *document = output.splitlines()
    assert shown == "evil\\x1b[2J\\x7f\\u202e\\nname"
    assert json.loads("\n".join(document)) == {"name": evil}
    assert all(line.isprintable() for line in document)
