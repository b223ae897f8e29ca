"""What an agent undoes, whatever ends it and however far its start has come."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from loguru import logger

from wesher.agent import agent
from wesher.agent.agent import LEAST, Agent
from wesher.agent.phases import MOVES, Move, Phase
from wesher.base.errors import StartError
from wesher.config.config import load
from wesher.mesh.base.plan import HostsEntry
from wesher.system.hosts import HostsFile
from wesher.system.interface import Leftover
from wesher.system.state_file import State

FOREIGN = "127.0.0.1 localhost\n"
KEPT = "wesher: interface wgoverlay is left; run: ip link del wgoverlay"

# The steps of a start, and what is to be undone when that is as far as it came, last step first.
OF_PROCESS = {
    "control": ["control"],
    "load state": ["control"],
    "underlay": ["control"],
    "bind": ["control"],
    "device": ["sockets", "control"],
    "port": ["sockets", "control"],
    "settle state": ["sockets", "control"],
    "driver": ["sockets", "control"],
    "enter": ["driver", "sockets", "control"],
    "run": ["driver", "sockets", "control"],
}
ON_HOST = {
    "port": ["interface"],
    "settle state": ["interface"],
    "driver": ["entries", "interface"],
    "enter": ["entries", "interface"],
    "run": ["entries", "interface"],
}
ADOPTED = [one for one in ON_HOST if one != "port"]  # which is looked at for a new one only
WAITING = ("control", "underlay", "device", "enter", "run")  # steps that may take their time


class Stage:
    """An agent whose steps are all played; `at` is the one where `happens` comes to pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.at = ""
        self.happens: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.adopted = False
        self.undone: list[str] = []
        self.limits: dict[str, float] = {}
        self.leftovers: list[Leftover] = []
        self.opens: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.stop: Callable[[Move], None] = lambda _move: None
        self.hosts_file = tmp_path / "hosts"
        self.hosts_file.write_text(FOREIGN)
        monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(tmp_path / "none.toml"))
        paths = {f"{one}_dir": str(tmp_path / one) for one in ("run", "state")}
        self.config = load({"hosts_file": str(self.hosts_file), "node_name": "local"} | paths, {})
        played: dict[str, Any] = {
            "agent.Control": lambda *_: SimpleNamespace(
                open=self._step("control"), close=self._undo("control"), reload=None
            ),
            "agent.load_state": self._step_at_once("load state", State()),
            "agent.find_underlay": self._step("underlay", SimpleNamespace(bind=None, network=None)),
            "agent.bind": self._step_at_once("bind", SimpleNamespace(close=self._undo("sockets"))),
            "agent.Device.open": self._open,
            "agent.check_port_free": self._step_at_once("port"),
            "agent.settle_state": self._step_at_once("settle state", State(bytes(32))),
            "agent.Driver": self._driver,
            "agent.clean_up": self._clean_up,
            "agent.HostsFile.remove_all": _recorded(self.undone, HostsFile.remove_all),
            "phases.catch_signals": self._catch,
        }
        for name, one in played.items():
            monkeypatch.setattr(f"wesher.agent.{name}", one)

    def run(self) -> int:
        """Run the agent to its end; returns its exit code."""

        async def run() -> int:
            return await Agent(self.config, lambda: self.config).run()

        return asyncio.run(run())

    def told(self, move: Move) -> Callable[[], Coroutine[Any, Any, None]]:
        """Return a step that takes for ever, during which the agent is told to stop."""

        async def told() -> None:
            self.stop(move)
            await asyncio.Event().wait()

        return told

    def _catch(self, _loop: object, stop: Callable[[Move], None], _reload: object) -> None:
        self.stop = stop

    def _step(self, name: str, result: Any = None) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def step(*_: object, **__: object) -> Any:
            if name == self.at and self.happens:
                await self.happens()
            return result

        return step

    def _step_at_once(self, name: str, result: Any = None) -> Callable[..., Any]:
        def step(*_: object) -> Any:
            if name == self.at and self.happens:
                with suppress(StopIteration):
                    self.happens().send(None)
            return result

        return step

    def _undo(self, name: str) -> Callable[[], None]:
        return lambda: self.undone.append(name)

    async def _open(self, *_: object, **__: object) -> Any:
        await self._step("device")()
        if self.opens:
            await self.opens()
        return SimpleNamespace(adopted=self.adopted, what="wgoverlay", close=self._close_device)

    async def _close_device(self, limit: float) -> list[Leftover]:
        self.undone.append("interface")
        self.limits["interface"] = limit
        return self.leftovers

    async def _clean_up(self, _name: str, _limit: float) -> tuple[list[str], list[Leftover]]:
        self.undone.append("perhaps interface")
        return [], []

    def _driver(self, *_: object) -> Any:
        async def leave(deadline: float) -> None:
            self.undone.append("farewell")
            self.limits["farewell"] = deadline - asyncio.get_running_loop().time()

        self._step_at_once("driver")()
        return SimpleNamespace(
            running=object(),
            enter=self._step("enter"),
            run=self._step("run"),
            leave=leave,
            close=self._undo("driver"),
        )


def _recorded(
    undone: list[str], remove_all: Callable[[HostsFile], int]
) -> Callable[[HostsFile], int]:
    def remove_entries(hosts: HostsFile) -> int:
        undone.append("entries")
        return remove_all(hosts)

    return remove_entries


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    return Stage(monkeypatch, tmp_path)


def fails(error: Exception) -> Callable[[], Coroutine[Any, Any, None]]:
    async def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("step", OF_PROCESS)
def test_a_start_that_fails_undoes_what_it_made_and_says_no_farewell(
    stage: Stage, step: str
) -> None:
    stage.at, stage.happens = step, fails(StartError("refused"))

    with pytest.raises(StartError, match="refused"):
        stage.run()

    assert stage.undone == OF_PROCESS[step] + ON_HOST.get(step, [])


@pytest.mark.parametrize("step", ADOPTED)
def test_a_start_that_fails_leaves_an_adopted_interface(stage: Stage, step: str) -> None:
    stage.at, stage.happens, stage.adopted = step, fails(StartError("refused")), True

    with pytest.raises(StartError, match="refused"):
        stage.run()

    assert stage.undone == OF_PROCESS[step]


@pytest.mark.parametrize(
    ("step", "adopted"), [*((one, False) for one in OF_PROCESS), *((one, True) for one in ADOPTED)]
)
def test_a_bug_leaves_everything_on_the_host(stage: Stage, step: str, adopted: bool) -> None:
    stage.at, stage.happens, stage.adopted = step, fails(RuntimeError("a bug")), adopted

    with pytest.raises(RuntimeError, match="a bug"):
        stage.run()

    assert stage.undone == OF_PROCESS[step]


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("step", [one for one in WAITING if one != "device"])
def test_a_stop_takes_everything_down_and_says_farewell_to_who_knows_us(
    stage: Stage, step: str, adopted: bool
) -> None:
    stage.at, stage.happens, stage.adopted = step, stage.told(Move.LEAVE), adopted

    assert stage.run() == 0

    farewell = ["farewell"] if step == "run" else []
    assert stage.undone == farewell + OF_PROCESS[step] + ON_HOST.get(step, [])


@pytest.mark.parametrize("step", WAITING)
def test_a_hand_over_leaves_everything_on_the_host(stage: Stage, step: str) -> None:
    stage.at, stage.happens = step, stage.told(Move.HAND_OVER)

    assert stage.run() == 0

    assert stage.undone == OF_PROCESS[step]


def test_tasks_are_halted_before_anything_is_undone(stage: Stage) -> None:
    async def runs() -> None:
        try:
            await stage.told(Move.LEAVE)()
        finally:
            stage.undone.append("halted")

    stage.at, stage.happens = "run", runs

    assert stage.run() == 0

    assert stage.undone[:2] == ["halted", "farewell"]


def test_an_interface_that_is_being_made_is_waited_for(stage: Stage) -> None:
    async def opens() -> None:
        stage.stop(Move.LEAVE)
        await asyncio.sleep(0.05)

    stage.opens = opens

    assert stage.run() == 0

    assert stage.undone == ["sockets", "control", "interface"]


def test_what_may_be_there_of_an_interface_that_takes_too_long_is_looked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "STOP_TIME", 0.2)
    stage.at, stage.happens = "device", stage.told(Move.LEAVE)

    assert stage.run() == 0

    assert stage.undone == ["sockets", "control", "perhaps interface"]


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_the_host_is_cleaned_however_late_it_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    """A host that stood still for seconds has no time left, and the work takes milliseconds."""
    monkeypatch.setattr(agent, "STOP_TIME", -late)
    hosts = HostsFile(stage.hosts_file, stage.config.interface, stage.config.run_dir)
    hosts.update([HostsEntry(ip_address("10.0.0.1"), "north")])
    stage.at, stage.happens = "run", stage.told(Move.LEAVE)

    assert stage.run() == 0

    assert stage.hosts_file.read_text() == FOREIGN
    assert stage.limits["farewell"] <= 0
    assert stage.limits["interface"] == LEAST


def test_what_a_stop_leaves_is_told_with_its_command(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.leftovers = [Leftover("interface wgoverlay", "ip link del wgoverlay")]
    stage.at, stage.happens = "run", stage.told(Move.LEAVE)

    assert stage.run() == 1

    assert capsys.readouterr().err == f"{KEPT}\n"


def test_what_a_failed_start_leaves_is_told_with_its_command(stage: Stage) -> None:
    stage.leftovers = [Leftover("interface wgoverlay", "ip link del wgoverlay")]
    stage.at, stage.happens = "enter", fails(StartError("refused"))
    told: list[str] = []
    number = logger.add(lambda line: told.append(line.rstrip()), format="wesher: {message}")

    with pytest.raises(StartError, match="refused"):
        stage.run()

    logger.remove(number)
    assert told == [KEPT]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RUNNING])
@pytest.mark.parametrize(
    "move", set(Move) - {Move.READY, Move.DEPARTED}, ids=lambda move: move.name
)
def test_an_agent_may_be_ended_by_anything_at_any_time(phase: Phase, move: Move) -> None:
    assert (phase, move) in MOVES
