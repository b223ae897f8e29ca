"""A node sends to networks behind members, and says of those behind itself who had them first."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import Harness, remote, seed
from wesher.base.addresses import Address, Ranges
from wesher.base.frozen import replace
from wesher.gossip import Dead, Record, Suspect
from wesher.gossip.messages import unpack_ip
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.base.routes import Accepted, Route, Routing
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.base.settings import Adjustable

OFFICE = "192.168.7.0/24"
TOGETHER = 11.0  # seconds after which a claim is a later one


def behind(*texts: str, yielding: bool = False) -> tuple[Route, ...]:
    return tuple(replace(Route.parse(text), yielding=yielding) for text in texts)


def routing(*texts: str, **others: Any) -> Routing:
    return Routing(behind(*texts), **others)


def member(name: str, number: int, *texts: str, yielding: bool = False, **extra: Any) -> Record:
    return remote(name, number, routes=behind(*texts, yielding=yielding), **extra)


def networks(harness: Harness) -> dict[str, list[str]]:
    """Return what is sent to each peer, by name of two, besides what is for itself."""
    names = {key(number): name for number, name in ((2, "gate"), (3, "spare"), (4, "other"))}
    peers = harness.plan.peers
    return {names[one]: [str(net) for net in peers[one].allowed_ips[1:]] for one in peers}


def ours(harness: Harness) -> list[tuple[str, bool]]:
    """Return what others are told of networks behind us, and whether each gives way."""
    return [(str(one), one.yielding) for one in harness.metadata.routes]


def started(*members: Record, **settings: Any) -> Harness:
    """Start a node that finds these members when it looks, and joins them."""
    harness = Harness(seeds=(seed("192.0.2.2"),), **settings).start()
    for _ in ("look", "join"):
        for request in harness.take_streams():
            harness.answer(request, *members)
    harness.pass_time(1)
    return harness


def answered(harness: Harness, *members: Record, seconds: float = 1) -> None:
    """Let time pass, with every ping answered."""
    harness.keep_alive(*members, until=harness.now + seconds)


def test_a_network_behind_a_member_is_sent_to_it() -> None:
    harness = started(member("gate", 2, OFFICE, "fd00:7::/48"), member("spare", 3))

    assert networks(harness) == {"gate": [OFFICE, "fd00:7::/48"], "spare": []}
    assert not harness.plan.peers[key(2)].unrouted


def test_without_routes_it_is_an_allowed_ip_only() -> None:
    harness = started(member("gate", 2, OFFICE), routing=routing(routed=False))

    assert networks(harness) == {"gate": [OFFICE]}
    assert harness.plan.peers[key(2)].unrouted == {ip_network(OFFICE)}


def test_a_stand_in_takes_over_at_once_when_the_carrier_leaves_or_fails() -> None:
    gate, spare = member("gate", 2, OFFICE), member("spare", 3, f"{OFFICE}@1")
    for accuser in ("gate", "other"):
        harness = started(gate, spare)
        assert networks(harness) == {"gate": [OFFICE], "spare": []}
        assert harness.warnings() == []

        harness.hear(Dead(1, "gate", accuser))
        harness.pass_time(0.2)

        assert networks(harness)["spare"] == [OFFICE]
        assert networks(harness).get("gate", []) == []

        harness.hear_alive(replace(gate, incarnation=5))
        harness.pass_time(0.2)

        assert networks(harness) == {"gate": [OFFICE], "spare": []}


def test_a_stand_in_takes_over_while_the_carrier_is_suspected() -> None:
    gate, spare = member("gate", 2, OFFICE), member("spare", 3, f"{OFFICE}@1")
    harness = started(gate, spare)

    harness.hear(Suspect(1, "gate", "other"))
    harness.pass_time(0.3)
    assert networks(harness) == {"gate": [], "spare": [OFFICE]}

    harness.hear_alive(replace(gate, incarnation=5))
    harness.pass_time(0.3)
    assert networks(harness) == {"gate": [OFFICE], "spare": []}


def test_a_suspicion_takes_a_network_from_nobody_without_a_stand_in() -> None:
    gate, late = member("gate", 2, OFFICE), member("spare", 3, OFFICE, yielding=True)
    harness = started(gate, late)

    harness.hear(Suspect(1, "gate", "other"))
    harness.pass_time(0.3)

    assert networks(harness) == {"gate": [OFFICE], "spare": []}


def test_a_carrier_that_failed_keeps_what_nobody_else_has() -> None:
    harness = started(member("gate", 2, OFFICE))

    harness.hear(Dead(1, "gate", "other"))
    harness.pass_time(1)

    assert networks(harness) == {"gate": [OFFICE]}


def test_a_network_that_is_withdrawn_goes() -> None:
    gate = member("gate", 2, OFFICE)
    harness = started(gate)

    harness.hear_alive(member("gate", 2, incarnation=2))
    harness.pass_time(1)

    assert networks(harness) == {"gate": []}


def test_what_was_saved_is_sent_to_before_anybody_has_answered() -> None:
    gate = member("gate", 2, OFFICE)
    known = SavedMember("gate", Address(unpack_ip(gate.addr), gate.port), gate.meta)
    harness = Harness(Saved(ip_address("10.9.9.9"), 1, (known,))).start()
    harness.fail(*harness.take_streams())
    harness.pass_time(3)

    assert networks(harness) == {"gate": [OFFICE]}


# Who is told what


def test_of_two_that_announce_one_the_later_is_warned_of() -> None:
    gate, spare = member("gate", 2, OFFICE), member("spare", 3, "192.168.0.0/16")
    harness = started(gate)
    answered(harness, gate, seconds=TOGETHER)

    harness.hear_alive(spare)
    answered(harness, gate, spare)

    [told] = harness.warnings()
    assert told.startswith(
        f"spare announces 192.168.0.0/16, but {OFFICE} goes to gate, which announced it first: "
    )
    assert networks(harness) == {"gate": [OFFICE], "spare": []}


@pytest.mark.parametrize("network", ["10.5.0.0/16", "192.0.2.0/24"])
def test_a_network_that_nobody_takes_is_told(network: str) -> None:
    harness = started(member("gate", 2, network), routing=routing(accepted=Accepted.parse("all")))

    [told] = harness.warnings()
    assert told.startswith(f"nobody sends to the network {network} behind gate: it ")
    assert networks(harness) == {"gate": []}


def test_that_a_host_has_a_way_of_its_own_is_no_trouble() -> None:
    facts = LocalFacts(own_routes=Ranges.of([ip_network(OFFICE)]))
    harness = started(member("gate", 2, OFFICE), facts=facts)
    assert networks(harness) == {"gate": []}
    assert harness.warnings() == []

    harness.update_facts(LocalFacts())
    harness.pass_time(0.5)

    assert networks(harness) == {"gate": [OFFICE]}


# What we announce


def test_we_announce_what_is_behind_us() -> None:
    harness = started(member("gate", 2), routing=routing(OFFICE, "192.168.8.0/24@3"))

    assert ours(harness) == [(OFFICE, False), ("192.168.8.0/24@3", False)]
    assert harness.record.incarnation == 1


def test_who_starts_after_another_gives_way_from_the_first_word() -> None:
    harness = started(member("zoe", 2, OFFICE), name="amy", routing=routing(OFFICE))

    assert ours(harness) == [(OFFICE, True)]
    assert harness.record.incarnation == 1
    [told] = harness.warnings()
    assert told.startswith(f"amy announces {OFFICE}, but {OFFICE} goes to zoe")


def test_who_stands_in_by_priority_gives_way_to_nobody_of_another() -> None:
    harness = started(member("zoe", 2, OFFICE), name="amy", routing=routing(f"{OFFICE}@1"))

    assert ours(harness) == [(f"{OFFICE}@1", False)]
    assert harness.warnings() == []


def test_who_gave_way_carries_it_when_the_other_leaves() -> None:
    harness = started(member("zoe", 2, OFFICE), name="amy", routing=routing(OFFICE))

    harness.hear(Dead(1, "zoe", "zoe"))
    harness.pass_time(1)

    assert ours(harness) == [(OFFICE, False)]


def test_who_was_first_does_not_give_way_to_one_that_says_it_does() -> None:
    harness = started(member("amy", 2, OFFICE, yielding=True), name="zoe", routing=routing(OFFICE))

    assert ours(harness) == [(OFFICE, False)]


def test_of_two_that_both_give_way_one_stops_doing_so() -> None:
    for name, expected in (("amy", False), ("zoe", True)):
        other = member("bob", 2, OFFICE)
        harness = started(other, name=name, routing=routing(OFFICE))
        assert ours(harness) == [(OFFICE, True)]

        harness.hear_alive(member("bob", 2, OFFICE, yielding=True, incarnation=2))
        answered(harness, other)

        assert ours(harness) == [(OFFICE, expected)]


def test_who_carried_it_for_one_that_failed_gives_way_again_when_that_returns() -> None:
    zoe = member("zoe", 2, OFFICE)
    harness = started(zoe, name="amy", routing=routing(OFFICE))
    answered(harness, zoe, seconds=TOGETHER)
    harness.hear(Dead(1, "zoe", "other"))
    harness.pass_time(1)
    assert ours(harness) == [(OFFICE, False)]

    harness.hear_alive(replace(zoe, incarnation=5))
    answered(harness, zoe)

    assert ours(harness) == [(OFFICE, True)]


def test_a_reload_adds_and_withdraws_networks() -> None:
    gate = member("gate", 2, "192.168.9.0/24")
    harness = started(gate, name="amy", routing=routing(OFFICE))
    before = harness.record.incarnation

    wanted = routing("192.168.8.0/24", "192.168.9.0/25")
    harness.node.reconfigure(Adjustable((), 3600, routing=wanted), harness.now)
    harness.pass_time(1)

    assert ours(harness) == [("192.168.8.0/24", False), ("192.168.9.0/25", True)]
    assert harness.record.incarnation == before + 1


def test_a_reload_without_a_change_tells_nobody_anything() -> None:
    harness = started(member("gate", 2), routing=routing(OFFICE))
    before = harness.record.incarnation

    harness.node.reconfigure(Adjustable((), 3600, routing=routing(OFFICE)), harness.now)
    harness.pass_time(1)

    assert harness.record.incarnation == before
