"""What passes between a node and its host: played here by a node that does what a test says."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine, Iterator
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from loguru import logger

from wesher.agent import driver
from wesher.agent.driver import Driver, Prepared, Tasks
from wesher.agent.own_address import OwnAddress, Underlay
from wesher.base.errors import StartError
from wesher.config.config import load
from wesher.control.invitations import Invitations
from wesher.mesh.base.events import Departed, MeshEvent, PlanChanged, Refused, Resolve
from wesher.mesh.base.saved import SavedKeys
from wesher.mesh.base.seeds import Seed
from wesher.system.invitation_file import InvitationFile
from wesher.system.network import KnownRoutes, Network
from wesher.system.sockets import Sockets, bind
from wesher.system.state_file import State, StateFile

KEY = bytes(32)
HOME, ANYWHERE, ELSEWHERE = map(ip_address, ("127.0.0.1", "0.0.0.0", "127.0.0.2"))
PATIENCE = 10.0  # seconds


class Node:
    """Stands in for a MeshNode: `told` is what it hears, `events` what it says next."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.says: list[MeshEvent] = []
        self.state = None
        self.heard = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: self.told.append(name)

    def events(self) -> Iterator[MeshEvent]:
        said, self.says = self.says, []
        return iter(said)

    def receive_packet(self, *_: object) -> None:
        self.told.append("packet")
        self.heard.set()

    def move_to(self, ip: str, _now: float) -> None:
        self.told.append(f"move to {ip}")

    def plan(self) -> None:
        return None

    def saved_keys(self) -> SavedKeys:
        return SavedKeys()

    def saved(self) -> None:
        return self.state

    def next_timer(self) -> None:
        return None

    def nothing(self) -> tuple[Any, ...]:
        return ()

    packets_to_send = streams_to_open = contacts = nothing


class Played:
    """A driver, its node, and what else it stands on; made in an event loop."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, bound: Any = HOME) -> None:
        monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(place / "none.toml"))
        self.node, self.tasks = Node(), Tasks()
        self.sockets = bind(HOME, 0)
        monkeypatch.setattr(driver, "MeshNode", lambda *_: self.node)
        config = load({"node_name": "local", "cluster_port": "17946"}, {})
        device = SimpleNamespace(public_key="", adopted=False, name=config.interface)
        prepared = Prepared(
            config,
            State(KEY),
            Underlay(bound, HOME, False, Network()),
            self.sockets,
            device,  # type: ignore[arg-type] # what of one is asked for
            KnownRoutes(),
            None,
            StateFile(place, config.interface),
            Invitations(InvitationFile(place, config.interface)),
            0.0,
        )
        nobody = SimpleNamespace(plan_changed=lambda: None, streams=lambda *_: None)
        self.driver = Driver(prepared, nobody, nobody, self.tasks)  # type: ignore[arg-type] # likewise

    def say(self, event: MeshEvent) -> None:
        """Have the node say this once it is driven."""
        self.node.says.append(event)
        self.driver.running.transport.flush()


Play = Callable[[Callable[[Played], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Return what runs a test with a driver that has entered, and closes it."""

    def play(test: Callable[[Played], Coroutine[Any, Any, None]], bound: Any = HOME) -> None:
        async def run() -> None:
            played = Played(tmp_path, monkeypatch, bound)
            try:
                async with asyncio.timeout(PATIENCE):
                    await played.driver.enter()
                    await test(played)
            finally:
                await played.tasks.halt(1)
                played.driver.close()
                await asyncio.sleep(0)

        asyncio.run(run())

    return play


def test_a_suspension_is_told_before_anything_else(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(played: Played) -> None:
        monkeypatch.setattr(played.driver._suspension, "seconds", lambda: 5.0)
        began = played.driver._clock_began
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"news", played.sockets.udp.getsockname())
        await played.node.heard.wait()

        assert played.node.told == ["start", "slept", "packet"]
        assert played.driver._clock_began == began + 5

    play(test)


def test_a_refusal_ends_the_agent_with_its_reason(play: Play) -> None:
    async def test(played: Played) -> None:
        played.say(Refused("the name is taken"))

        with pytest.raises(StartError, match="the name is taken"):
            await played.tasks.failure

    play(test)


def test_a_new_plan_wakes_the_reconciler(play: Play) -> None:
    async def test(played: Played) -> None:
        played.say(PlanChanged())

        assert played.driver.running.reconciler._woken.is_set()

    play(test)


def test_a_name_that_cannot_be_resolved_is_told_as_without_addresses(play: Play) -> None:
    async def test(played: Played) -> None:
        played.say(Resolve(Seed("no\0name", 7946)))
        while "resolved" not in played.node.told:
            await asyncio.sleep(0.01)

    play(test)


@pytest.mark.parametrize("answers", [True, False])
def test_a_farewell_takes_until_it_is_told_but_not_beyond_its_time(
    play: Play, answers: bool
) -> None:
    async def test(played: Played) -> None:
        now = asyncio.get_running_loop().time
        played.node.says = [Departed()] if answers else []
        began = now()
        await played.driver.leave(began + (PATIENCE if answers else 0.05))

        assert now() - began < PATIENCE / 2
        assert played.node.told == ["start", "leave"]

    play(test)


def test_nothing_is_saved_before_the_node_has_something_to_save(play: Play) -> None:
    async def test(played: Played) -> None:
        assert played.driver._state() is None

    play(test)


def test_at_another_address_other_sockets_are_opened_and_closed_in_the_end(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[Sockets] = []

    def rebind(ip: Any, _port: int) -> Sockets:
        assert ip == ELSEWHERE
        others.append(bind(ip, 0))
        return others[0]

    async def test(played: Played) -> None:
        monkeypatch.setattr(driver, "bind", rebind)
        monkeypatch.setattr(OwnAddress, "moved", lambda *_: ELSEWHERE)
        await played.driver._observe(Network())

        assert played.node.told == ["start", "update_facts", f"move to {ELSEWHERE}"]
        assert played.sockets.udp.fileno() == -1
        assert others[0].udp.getsockname()[0] == str(ELSEWHERE)

    play(test)

    assert others[0].udp.fileno() == others[0].tcp.fileno() == -1


def test_sockets_that_are_bound_to_any_address_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        played = Played(tmp_path, monkeypatch, ANYWHERE)
        monkeypatch.setattr(OwnAddress, "moved", lambda *_: ELSEWHERE)
        await played.driver._observe(Network())

        assert played.node.told == ["update_facts", f"move to {ELSEWHERE}"]
        assert played.sockets.udp.fileno() != -1
        played.driver.close()

    asyncio.run(test())


def test_the_first_failure_of_a_task_counts() -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def test() -> None:
        tasks = Tasks()
        tasks.spawn(fail(StartError("first")))
        tasks.spawn(fail(RuntimeError("second")))
        await asyncio.wait([tasks.failure])
        tasks.fail(RuntimeError("third"))

        with pytest.raises(StartError, match="first"):
            await tasks.failure

    asyncio.run(test())


def test_what_the_system_refuses_for_the_moment_is_told_once_and_is_no_failure() -> None:
    told: list[str] = []
    number = logger.add(lambda line: told.append(line.rstrip()), format="{message}")

    async def test() -> None:
        loop, tasks = asyncio.get_running_loop(), Tasks()
        error = OSError(errno.EMFILE, "Too many open files")
        for _ in range(3):
            tasks.on_bug(loop, {"message": "socket.accept() failed", "exception": error})
        assert not tasks.failure.done()

        tasks.on_bug(loop, {"message": "a bug"})
        with pytest.raises(RuntimeError, match="a bug"):
            await tasks.failure

    asyncio.run(test())
    logger.remove(number)

    assert told == ["socket.accept() failed: [Errno 24] Too many open files"]
