"""An idle tunnel is kept open where a NAT is sure, and nowhere else."""

from collections.abc import Mapping
from ipaddress import ip_address

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import Harness, remote, seed
from wesher.base.addresses import Address
from wesher.gossip import SeenAt
from wesher.mesh.base.plan import LocalFacts, Peer
from wesher.mesh.base.settings import Adjustable
from wesher.mesh.planning.keepalive import AUTO, Keepalives

PUBLIC, OTHER_PUBLIC = "1.1.1.1", "8.8.8.8"
PRIVATE, NEIGHBOUR = "192.168.1.5", "192.168.1.6"
OUTER = "192.168.9.9"


def peers(harness: Harness) -> Mapping[str, Peer]:
    plan = harness.node.plan()
    assert plan
    return plan.peers


def towards(
    endpoint: str,
    *,
    advertised: str = PRIVATE,
    own: tuple[str, ...] = (PRIVATE,),
    seconds: int | None = None,
    seen: str = "",
) -> int:
    keepalives = Keepalives()
    gossip = Address(endpoint, 7946)
    if seen:
        keepalives.note(SeenAt(gossip, seen))
    facts = LocalFacts(own_addresses=frozenset(map(ip_address, own)))
    return keepalives.decide(seconds, advertised, facts).towards(gossip, endpoint)


def test_from_a_private_address_to_a_public_one_there_is_a_nat() -> None:
    assert towards(PUBLIC) == AUTO == 25
    assert towards("2600::1", advertised="fd00::5", own=("fd00::5",)) == AUTO


def test_neither_neighbours_nor_public_hosts_need_any() -> None:
    assert towards(NEIGHBOUR) == 0
    assert towards("fd00::6", advertised="fd00::5", own=("fd00::5",)) == 0
    assert towards(PUBLIC, advertised=OTHER_PUBLIC, own=(OTHER_PUBLIC,)) == 0
    assert towards(PRIVATE, advertised=PUBLIC, own=(PUBLIC,)) == 0
    assert towards("100.64.0.1", advertised="100.64.0.2", own=("100.64.0.2",)) == 0


def test_who_advertises_an_address_that_it_does_not_have_is_behind_one() -> None:
    assert towards(OTHER_PUBLIC, advertised=PUBLIC) == AUTO
    assert towards(NEIGHBOUR, advertised=PUBLIC) == 0


def test_who_sees_us_at_another_address_is_kept_open() -> None:
    assert towards(NEIGHBOUR, seen=OUTER) == AUTO
    assert towards(PUBLIC, advertised=OTHER_PUBLIC, own=(OTHER_PUBLIC,), seen=OUTER) == AUTO
    assert towards(NEIGHBOUR, own=(PRIVATE, OUTER), seen=OUTER) == 0


def test_an_operator_decides_for_all() -> None:
    assert towards(NEIGHBOUR, seconds=10) == 10
    assert towards(PUBLIC, seconds=0) == 0
    assert towards(NEIGHBOUR, seconds=0, seen=OUTER) == 0


def test_who_sees_us_at_our_address_again_needs_none_any_more() -> None:
    keepalives = Keepalives()
    gossip = Address(NEIGHBOUR, 7946)
    keepalives.note(SeenAt(gossip, OUTER))
    keepalives.note(SeenAt(gossip, ""))

    decided = keepalives.decide(None, PRIVATE, LocalFacts())

    assert decided.towards(gossip, NEIGHBOUR) == 0


@pytest.mark.parametrize("ip", [PUBLIC, "2600::1"])
def test_the_plan_has_them_and_a_reload_takes_them_away(ip: str) -> None:
    harness = Harness(keepalive=None).start()
    harness.hear_alive(remote("web", 2, ip=ip))
    harness.hear_alive(remote("db", 3))
    harness.pass_time(0.5)
    assert {name: peer.keepalive for name, peer in peers(harness).items()} == {
        key(2): 25,
        key(3): 0,
    }

    harness.node.reconfigure(Adjustable((seed("192.0.2.11"),), 3600, 10), harness.now)
    harness.pass_time(0.5)

    assert {peer.keepalive for peer in peers(harness).values()} == {10}
