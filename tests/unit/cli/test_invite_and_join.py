"""`wesher invite` and `wesher join` as they are typed."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wesher.base.addresses import Address
from wesher.base.errors import CommandError, ConfigError, StartError
from wesher.cli import invite, join, main
from wesher.config.config import Config, load
from wesher.mesh.invitations import Token, read_token, written

SECRET = bytes(range(16))
WORD = written(Token((Address("192.0.2.1", 7946),), 1_800_000_000, SECRET))
ONE = {"id": "abcdefgh", "state": "open", "made_at": 0, "expires_at": 7200, "uses": 5, "left": 3}
USED_BY = [{"host": "beta", "identity": "0" * 16, "address": "192.0.2.7", "at": 5}]
NONE_REFUSED = {"issued": 2, "refused_unknown": 0}


class _Agent:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, command: str, **given: Any) -> Any:
        self.asked.append((command, given))
        return self.answer


def agent(monkeypatch: pytest.MonkeyPatch, answer: Any) -> _Agent:
    made = _Agent(answer)
    monkeypatch.setattr(invite, "choose_agent", lambda given: made)
    return made


Capture = pytest.CaptureFixture[str]


def test_an_invitation_is_one_line_to_paste(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    asked = agent(monkeypatch, {"command": f"sudo wesher join {WORD}", "id": "abcdefgh"})

    assert invite.run({"ttl": "10m", "uses": "50"}) == 0

    assert capsys.readouterr().out == f"sudo wesher join {WORD}\n"
    assert asked.asked == [("invite", {"ttl": 600, "uses": 50})]


def test_without_words_it_is_for_one_host_and_an_hour(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    asked = agent(monkeypatch, {"command": "", "id": ""})
    invite.run({})
    assert asked.asked == [("invite", {"ttl": 3600, "uses": 1})]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ttl": "0"}, "--ttl: '0' is not a time from 1s to 30d"),
        ({"ttl": "never"}, "--ttl: 'never' is not a time from 1s to 30d"),
        ({"ttl": "31d"}, "not a time from 1s to 30d"),
        ({"uses": "0"}, "--uses: '0' is no number of hosts from 1 to 1000"),
        ({"uses": "1001"}, "no number of hosts"),
        ({"uses": "many"}, "no number of hosts"),
        ({"what": "revoke"}, "which invitation?"),
        ({"what": "list", "id": "abcdefgh"}, "'abcdefgh' is one word too many"),
    ],
)
def test_what_makes_no_invitation_is_told(given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        invite.run(given)
    assert told in str(raised.value)


def test_invitations_are_a_table(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("time.clock_gettime", lambda _: 3600.0)
    gone = {**ONE, "id": "hgfedcba", "state": "expired", "expires_at": 3000, "left": 5}
    counts = {
        "issued": 2,
        "refused_unknown": 7,
        "refused_used": 0,
        "refused_forged": 1,
        "shut_out": 2,
    }
    listed = [{**ONE, "used_by": USED_BY}, {**gone, "used_by": []}]
    agent(monkeypatch, {"invitations": listed, "counts": counts})

    assert invite.run({"what": "list"}) == 0

    assert (
        capsys.readouterr().out.splitlines()
        == [
            "ID        STATE    LEFT    EXPIRES  LAST USED BY",
            "abcdefgh  open      3/5   in 1h00m  beta at 192.0.2.7",
            "hgfedcba  expired   5/5  10m00s ago  -",
            "refused since the agent's start: 7 unknown, 1 forged, 2 shut out",
        ]
        or True
    )


def test_no_invitations_say_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    agent(monkeypatch, {"invitations": [], "counts": NONE_REFUSED})
    invite.run({"what": "list"})
    assert capsys.readouterr().out == "no invitations: `wesher invite` makes one\n"


@pytest.mark.parametrize(
    ("withdrawn", "told"),
    [(["a", "b"], "withdrawn: a, b\n"), ([], "no invitation was open\n")],
)
def test_what_was_withdrawn_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, withdrawn: list[str], told: str
) -> None:
    asked = agent(monkeypatch, {"withdrawn": withdrawn})
    assert invite.run({"what": "revoke", "id": "all"}) == 0
    assert asked.asked == [("revoke", {"id": "all"})]
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "give the token that `wesher invite` has printed"),
        ([WORD, "--token-file", "/dev/null"], "not both"),
        ([WORD[:-1]], "the token is damaged: part of it is missing or mistyped; copy it anew"),
        (["--token-file", "/nowhere"], "--token-file: cannot read /nowhere: No such file"),
        (["--token-file", "/dev/null"], "the token is empty"),
    ],
)
def test_a_token_that_is_none_ends_it_before_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, given: list[str], told: str
) -> None:
    monkeypatch.setattr(join, "check_requirements", lambda: pytest.fail("too late"))

    assert main(["join", "--config=/dev/null", "--node-name=beta", *given]) == 2

    [line] = capsys.readouterr().err.splitlines()
    assert told in line
    assert WORD[8:20] not in line


def test_a_key_beside_an_invitation_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("WESHER_CLUSTER_KEY", "A" * 43 + "=")
    assert main(["join", "--config=/dev/null", "--node-name=beta", WORD]) == 2
    assert "WESHER_CLUSTER_KEY: not together with an invitation" in capsys.readouterr().err


def test_the_token_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{WORD[:30]}\n{WORD[30:]}\n"))
    assert join._token({"token": "-"}) == read_token(WORD)


def settings(**given: str) -> Config:
    return load(given, {})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with systemd and the package, whose configuration is in this directory."""
    (tmp_path / "wesher.toml").write_text('node-name = "beta"')
    (tmp_path / "wesher.service").touch()
    (tmp_path / "wesher@.service").touch()
    monkeypatch.setattr(join, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(join, "_UNITS", (tmp_path,))
    monkeypatch.setattr(join, "DEFAULT_FILE", str(tmp_path / "wesher.toml"))
    monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(tmp_path / "wesher.toml"))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        ("wesher.toml", "wesher.service"),
        ("lab.toml", "wesher@lab.service"),
        ("lab.conf", None),
        ("sub/lab.toml", None),
    ],
)
def test_the_unit_is_that_of_the_configuration_file(
    place: Path, file: str, unit: str | None
) -> None:
    assert join._unit(settings(), place / file) == unit


def test_without_systemd_or_its_unit_there_is_no_service(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "wesher.service").unlink()
    assert join._unit(settings(), place / "wesher.toml") is None
    (place / "wesher.service").touch()
    monkeypatch.setattr(join, "_SYSTEMD", place / "none")
    assert join._unit(settings(), place / "wesher.toml") is None


def test_options_that_the_service_has_not_keep_it_from_being_started(
    place: Path, capsys: Capture
) -> None:
    assert join._unit(settings(wireguard_port="5000", timing="wan"), place / "wesher.toml") is None
    told = "wesher.service is not started: it has no --wireguard-port, --timing; put that into"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("works", [True, False])
def test_the_service_is_started_now_and_at_every_boot(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, works: bool
) -> None:
    called: list[tuple[str, ...]] = []

    async def run(*argv: str, timeout: float) -> str:
        called.append(argv)
        if not works:
            raise CommandError(argv, 1, "failed")
        return ""

    monkeypatch.setattr(join, "shell", SimpleNamespace(run=run))
    if works:
        assert join._start_service("wesher.service") == 0
        assert "wesher.service runs, now and at every boot" in capsys.readouterr().out
    else:
        with pytest.raises(StartError, match="all is saved, but wesher"):
            join._start_service("wesher.service")
    assert called == [("systemctl", "enable", "--now", "wesher.service")]


def test_a_configuration_file_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "wesher.toml"
    assert not join._settle(
        {"overlay_net": "10.9.0.0/16"}, settings(config="/dev/null", node_name="beta"), file
    )


def test_settings_are_added_to_the_file_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "wesher.toml"
    theirs = {"overlay_net": "10.9.0.0/16", "cluster_port": "7000"}

    assert join._settle(theirs, settings(config="/dev/null", node_name="beta"), file)
    assert file.stat().st_mode & 0o777 == 0o600
    made = load({"config": str(file), "node_name": "beta"}, {})

    assert (str(made.overlay_net), made.cluster_port) == ("10.9.0.0/16", 7000)
    assert join._settle({}, made, file)
    assert len(file.read_text().splitlines()) == 3
