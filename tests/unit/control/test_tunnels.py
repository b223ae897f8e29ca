"""What a host says of its tunnels, by what answers and by what WireGuard tells before and after."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, cast

import pytest

from wesher.base.errors import CommandError
from wesher.control import tunnels as module
from wesher.control.status import Running
from wesher.control.tunnels import Tunnels
from wesher.gossip import Address
from wesher.mesh.base.metadata import Metadata
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.questions import Reach, Tunnel
from wesher.mesh.reporting import MemberStatus, Standing
from wesher.system.echo import Echo
from wesher.system.wireguard import PeerState, WireGuardState

OURS = "M"


class World:
    """A host whose tools and network are played."""

    def __init__(self) -> None:
        self.members: list[MemberStatus] = []
        self.readings: list[dict[str, PeerState]] = []
        self.answers: dict[str, float] = {}
        """Seconds after which each overlay address answers an echo."""
        self.minds: set[str] = set()
        """Overlay addresses that answer a TCP connection."""
        self.sent: list[tuple[float, list[str]]] = []
        self.broken = False
        self.no_echoes = False

    def member(self, name: str, key: str = "", **fields: Any) -> str:
        """Add a member; returns its overlay address."""
        number = len(self.members) + 1
        usual: dict[str, Any] = {
            "name": name,
            "standing": Standing.ALIVE,
            "since": None,
            "address": Address(f"192.0.2.{number}", 7946),
            "metadata": Metadata(ip_address(f"10.0.0.{number}"), key or name),
            "endpoint": Address(f"192.0.2.{number}", 51820),
        }
        self.members.append(MemberStatus(**usual | fields))
        return f"10.0.0.{number}"

    async def read(self, _name: str) -> WireGuardState:
        if self.broken:
            raise CommandError(("wg", "show"), 1, "no such device")
        reading = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        return WireGuardState(peers=reading)

    async def echo(
        self, echoes: Iterable[Echo], send_at: Sequence[float], patience: float
    ) -> dict[Echo, float]:
        asked = list(echoes)
        now = asyncio.get_running_loop().time() - self.began
        self.sent.append((round(now, 1), [str(one.to) for one in asked]))
        if self.no_echoes:
            raise PermissionError
        return {one: self.answers[str(one.to)] for one in asked if str(one.to) in self.answers}

    async def connect(self, ip: IPAddress, port: int, patience: float) -> float | None:
        assert port == 7946
        return 0.004 if str(ip) in self.minds else None

    async def told(self, looker: Tunnels | None = None) -> dict[str, Tunnel]:
        self.began = asyncio.get_running_loop().time()
        found = await (looker or Tunnels()).look(cast(Running, self))
        self.wireguard = found.wireguard
        return {one.peer: one for one in found.tunnels}

    # As a Running is looked at:
    config = type("Config", (), {"interface": "wgoverlay"})
    device = type("Device", (), {"public_key": OURS})

    @property
    def node(self) -> "World":
        return self

    def status(self) -> "World":
        return self


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(module, "read_wireguard", made.read)
    monkeypatch.setattr(module, "round_trips", made.echo)
    monkeypatch.setattr(module, "connect_time", made.connect)
    monkeypatch.setattr(module, "TCP_AT", 0.01)
    return made


def peer(age: float | None = None, received: int = 0) -> PeerState:
    now = time.clock_gettime(time.CLOCK_REALTIME)
    return PeerState(None, frozenset(), 0, 0 if age is None else round(now - age), received, 9)


def test_who_answers_is_reached_and_who_does_not_is_silent(world: World) -> None:
    world.answers = {world.member("alpha"): 0.002}
    world.member("beta")
    world.readings = [{"alpha": peer(20), "beta": peer()}]

    told = asyncio.run(world.told())

    assert told["alpha"].reach is Reach.ANSWERED
    assert told["alpha"].round_trip == 0.002
    assert told["alpha"].heard
    assert 19 <= (told["alpha"].handshake or 0) < 30
    assert told["beta"].reach is Reach.SILENT
    assert told["beta"].handshake is None


def test_a_young_handshake_does_not_make_one_reached_that_was_tried_in_vain(world: World) -> None:
    world.member("alpha")
    world.readings = [{"alpha": peer(20)}]

    assert asyncio.run(world.told())["alpha"].reach is Reach.SILENT


def test_who_drops_echoes_may_mind_a_connection(world: World) -> None:
    world.minds = {world.member("alpha")}
    world.readings = [{"alpha": peer()}]

    told = asyncio.run(world.told())["alpha"]

    assert (told.reach, told.round_trip) == (Reach.ANSWERED, 0.004)


def test_without_the_right_to_send_echoes_connections_have_to_do(world: World) -> None:
    world.no_echoes = True
    world.minds = {world.member("alpha")}
    world.member("beta")
    world.readings = [{"alpha": peer(), "beta": peer()}]

    told = asyncio.run(world.told())

    assert told["alpha"].reach is Reach.ANSWERED
    assert told["beta"].reach is Reach.SILENT


def test_a_handshake_meanwhile_is_an_answer(world: World) -> None:
    world.member("alpha")
    world.readings = [{"alpha": peer(500)}, {"alpha": peer(0)}]

    assert asyncio.run(world.told())["alpha"].reach is Reach.ANSWERED


def test_who_is_heard_without_an_answer_is_silent_and_that_is_told(world: World) -> None:
    """It tries us, perhaps, and what we answer does not arrive there."""
    world.member("alpha")
    world.readings = [{"alpha": peer(500, received=100)}, {"alpha": peer(500, received=248)}]

    told = asyncio.run(world.told())["alpha"]

    assert (told.reach, told.heard) == (Reach.SILENT, True)


def test_nobody_is_called_silent_who_was_not_tried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BEGUN", 1)
    monkeypatch.setattr(module, "MAX_TRIED", 2)
    for name in ("idle1", "idle2", "going1", "going2"):
        world.member(name)
    world.readings = [
        {"idle1": peer(900), "idle2": peer(500), "going1": peer(20), "going2": peer(90)}
    ]

    told = asyncio.run(world.told())

    assert {name: one.reach for name, one in told.items()} == {
        "idle1": Reach.SILENT,
        "idle2": Reach.UNTRIED,
        "going1": Reach.SESSION,
        "going2": Reach.SILENT,
    }


def test_who_is_not_a_peer_is_not_tried(world: World) -> None:
    world.member("alpha", endpoint=None, reason="has an overlay address outside 10.0.0.0/8")
    world.member("beta", reason="has overlay address 10.0.0.9, which goes to gamma")
    world.member("gone", standing=Standing.LEFT)
    world.readings = [{}]

    told = asyncio.run(world.told())

    assert {name: one.reach for name, one in told.items()} == {
        "alpha": Reach.NOT_A_PEER,
        "beta": Reach.NOT_A_PEER,
    }
    assert world.sent == []


def test_of_two_without_a_session_the_smaller_key_begins(world: World) -> None:
    later, at_once = world.member("less", key="A"), world.member("more", key="Z")
    going = world.member("going", key="B")
    world.readings = [{"A": peer(), "Z": peer(500), "B": peer(3)}]

    asyncio.run(world.told())

    assert sorted(world.sent) == [(0.0, [at_once]), (0.0, [going]), (0.2, [later])]


def test_without_an_answer_of_wg_the_tunnels_are_tried_all_the_same(world: World) -> None:
    world.broken = True
    world.answers = {world.member("alpha"): 0.002}
    world.member("beta")

    told = asyncio.run(world.told())

    assert not world.wireguard
    assert told["alpha"].reach is Reach.ANSWERED
    assert told["beta"].reach is Reach.SILENT


def test_all_who_ask_at_once_are_told_what_was_found_out_once(world: World) -> None:
    world.answers = {world.member("alpha"): 0.002}
    world.readings = [{"alpha": peer(20)}]
    looker = Tunnels()

    async def often() -> None:
        await asyncio.gather(*(world.told(looker) for _ in range(20)))

    asyncio.run(often())

    assert len(world.sent) == 1
