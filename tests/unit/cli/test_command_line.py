import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wesher import __version__
from wesher.agent import agent
from wesher.base.errors import ConfigError, StartError
from wesher.cli import COMMANDS, main
from wesher.config.command_line import parse_arguments, parser
from wesher.config.config import Config
from wesher.config.options import CONFIG_FILE, GROUPS, OPTIONS, Option

HEAVY = ("asyncio", "cryptography", "loguru", "sh", "tenacity", "msgpack", "wesher.gossip")


def parsed(*arguments: str) -> dict[str, str]:
    return parse_arguments(parser("wesher", OPTIONS), arguments)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Give pytest its signals back, which an agent takes from its first moment on."""
    taken = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    handlers = {number: signal.getsignal(number) for number in taken}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configurations the agent was started with, instead of starting it."""
    started = []

    def run(config: Config, _reread: Callable[[], Config]) -> int:
        started.append(config)
        return 0

    monkeypatch.setattr(agent, "run", run)
    return started


def test_no_word_starts_the_agent(agents: list[Any]) -> None:
    code = main(["--interface", "wg7"])

    assert code == 0
    assert [config.interface for config in agents] == ["wg7"]


def test_the_exit_code_of_the_agent_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "run", lambda config, reread: 1)

    assert main([]) == 1


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_version_and_help_import_nothing_heavy(flag: str) -> None:
    script = (
        "import sys; from wesher.cli import main; code = main(sys.argv[2:]);"
        "print('loaded', [name for name in sys.argv[1].split(',') if name in sys.modules], code)"
    )
    argv = [sys.executable, "-c", script, ",".join(HEAVY), flag]

    output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert output.splitlines()[-1] == "loaded [] 0"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--version"])

    assert code == 0
    assert capsys.readouterr().out == f"wesher {__version__}\n"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_help_shows_every_option(option: Option, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--help"])

    assert code == 0
    assert f"  {option.flag}" in capsys.readouterr().out


def test_the_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])

    output = capsys.readouterr().out
    before, title, after = output.partition("\ncommands, each with --help:\n")
    assert "--" not in before
    assert title
    for command, line in zip(COMMANDS.items(), after.splitlines(), strict=False):
        word, told = command[0], command[1].description
        assert re.fullmatch(rf"  {word}( \w+)? +{re.escape(told)}", line)
    assert CONFIG_FILE.flag in after


@pytest.mark.parametrize("word", COMMANDS)
def test_every_command_has_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([word, "--help"])

    assert code == 0
    assert f"usage: wesher {word} " in capsys.readouterr().out


@pytest.mark.parametrize("columns", [50, 80, 200])
@pytest.mark.parametrize("word", ["", *COMMANDS])
def test_no_line_of_the_help_is_wider_than_the_terminal(
    word: str,
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    main([*([word] if word else []), "--help"])

    widest = max(capsys.readouterr().out.splitlines(), key=len)
    assert len(widest) <= min(columns, 80)


def test_every_option_of_the_agent_is_in_one_group_of_its_help() -> None:
    grouped = [name for names in GROUPS.values() for name in names]

    assert sorted(grouped) == sorted(option.name for option in (CONFIG_FILE, *OPTIONS))


def test_a_command_takes_what_the_agent_does_but_shows_what_matters_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wesher.cli.doctor.run", lambda given: 0)

    assert main(["--init", "--timing", "lan", "doctor"]) == 0
    assert main(["doctor", "--help"]) == 0

    shown = capsys.readouterr().out
    assert "--join" in shown
    assert not re.search("--(init|fresh-key|timing|log-level|version)", shown)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["help"], "usage: wesher [OPTION]...\n       wesher COMMAND [OPTION]...\n"),
        (["help", "status"], "usage: wesher status [OPTION]...\n"),
        (["help", "help"], "usage: wesher [OPTION]...\n"),
        (["help", "key"], "usage: wesher key [show|list|status|rotate|install|use|remove] [OPT"),
        (["help", "info"], "usage: wesher info [OPTION]... NAME\n"),
        (["version"], f"wesher {__version__}\n"),
        (["--interface", "wg7", "version"], f"wesher {__version__}\n"),
    ],
)
def test_who_asks_for_help_by_a_word_gets_it(
    arguments: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(shown)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["clean-up"], "unknown command 'clean-up'; did you mean cleanup? commands: status, "),
        (["list"], "unknown command 'list'; did you mean members? commands: status, "),
        (["start"], "the agent starts without a command: `wesher [OPTION]...`"),
        (["stop"], "Ctrl-C or SIGTERM stops the agent"),
        (["status-of-x"], "unknown command 'status-of-x'; did you mean status?"),
        (["--cluster-port", "x"], "--cluster-port: 'x' is not a port"),
        (["--cluster-port"], "--cluster-port: expected one argument"),
        (["--bogus"], "unknown option --bogus; see wesher --help"),
        (["--jion", "x"], "unknown option --jion; the nearest is --join"),
        (["status", "--jsno"], "unknown option --jsno; the nearest is --json"),
        (["--clus", "x"], "unknown option --clus"),
        (["--interface", "wg0", "clean-up"], "unknown command 'clean-up'; did you mean cleanup?"),
        (["--interface", "averyveryverylongname"], "longer than the 15 characters"),
        (["--overlay-net", "10.0.0.0/33"], "is not a network: write it like 10.0.0.0/8"),
        (["--init=yes"], "--init"),
        (["cleanup", "--join", "x"], "unknown option --join"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(arguments)

    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("wesher: ")
    assert error.count("\n") == 1
    assert reason in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["--interface", "wg7", "status", "--json"],
        ["--interface=wg7", "status", "--json"],
        ["status", "--interface", "wg7", "--json"],
    ],
)
def test_general_options_may_stand_before_the_command(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def run(given: dict[str, Any]) -> int:
        asked.append(given)
        return 0

    monkeypatch.setattr("wesher.cli.status.run_status", run)

    assert main(arguments) == 0
    (given,) = asked
    assert given["interface"] == "wg7"
    assert "json" in given


def test_variables_that_look_like_ours_are_named(
    agents: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WESHER_FOO", "1")
    monkeypatch.setenv("WESHER_SERVICE_HOST", "10.96.0.7")
    monkeypatch.setenv("WESHER_PORT_7946_UDP_ADDR", "10.96.0.7")

    assert main([]) == 0

    told = capsys.readouterr().err
    assert "WESHER_FOO is no variable of wesher's" in told
    assert "SERVICE" not in told
    assert "PORT" not in told


def test_the_value_of_an_unknown_option_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed("--cluster_key=c2VjcmV0")

    assert "c2VjcmV0" not in str(caught.value)


def test_what_could_not_be_done_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(config: Config, _reread: Callable[[], Config]) -> None:
        raise StartError("port 7946 is taken:\nchoose another")

    monkeypatch.setattr(agent, "run", refuse)

    assert main([]) == 1
    assert capsys.readouterr().err == "wesher: port 7946 is taken: choose another\n"


def test_a_bug_shows_its_traceback_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: Config, _reread: Callable[[], Config]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(agent, "run", fail)

    assert main([]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert error.splitlines()[-1].startswith("wesher: ")


def test_an_interrupt_before_anything_runs_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(config: Config, _reread: Callable[[], Config]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(agent, "run", interrupt)

    assert main([]) == 1
    assert capsys.readouterr().err == "wesher: interrupted\n"


def test_the_names_of_the_first_releases_still_work() -> None:
    assert parsed("--clusterkey", "k", "--joinaddrs", "a,b") == {"cluster_key": "k", "join": "a,b"}


def test_join_may_be_repeated() -> None:
    assert parsed("--join", "a", "--join", "b,c") == {"join": "a,b,c"}


def test_options_that_were_not_given_are_absent() -> None:
    assert parsed("--init", "--interface=wg1") == {"init": "true", "interface": "wg1"}


def test_a_shortage_of_memory_is_said_and_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_arguments: list[Any]) -> None:
        raise MemoryError

    monkeypatch.setattr("wesher.cli._run", run)

    assert main([]) == 1
    assert "out of memory" in capsys.readouterr().err
