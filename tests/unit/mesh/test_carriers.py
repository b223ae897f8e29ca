"""A network behind members has one carrier, the same on every node, and harms no host."""

import random
from collections.abc import Hashable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from wesher.base.addresses import Ranges
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.base.routes import Accepted, Route, Routing
from wesher.mesh.base.seniority import TOGETHER, Seniority
from wesher.mesh.planning.carriers import Carriers, Judge, Offer, settle

OFFICE = "192.168.7.0/24"
OVERLAY = ip_network("10.0.0.0/8")
LONG = 10 * TOGETHER


def offer(member: str, text: str = OFFICE, *, live: bool = True, yielding: bool = False) -> Offer:
    parsed = Route.parse(text)
    return Offer(member, Route(parsed.network, parsed.priority, yielding), live)


def noted(*moments: list[Offer]) -> Seniority:
    """Note these offers, each list long after the one before."""
    seniority = Seniority()
    old = range(20)  # members that were there before; without them two newcomers were a mesh
    seen: list[tuple[str, Hashable]] = [(f"old{number}", number) for number in old]
    for number, offers in enumerate(moments):
        seen += [(one.member, one.route.claim) for one in offers]
        seniority.note(seen, number * LONG)
    return seniority


def lost(*offers: Offer, first: int = 0) -> dict[str, str]:
    """Return who loses to whom; the `first` so many were there long before the others."""
    early, late = list(offers[:first]), list(offers[first:])
    seniority = noted(early, late) if early else noted(late)
    found = settle(offers, seniority)
    return {one.member: holder.member for one, holder in found.items()}


def weigh(
    *offers: Offer,
    facts: LocalFacts | None = None,
    routing: Routing | None = None,
    underlay: str = "203.0.113.9",
    name: str = "local",
) -> Carriers:
    reached = Ranges.of([ip_network(underlay)])
    judge = Judge(name, OVERLAY, routing or Routing(), facts or LocalFacts(), reached)
    return judge.weigh(offers, noted(list(offers)))


def told(carriers: Carriers, member: str) -> list[str | None]:
    return [None if one.taken else one.reason for one in carriers.behind[member]]


# Who carries a network


def test_what_nobody_else_announces_is_taken() -> None:
    assert lost(offer("a"), offer("b", "192.168.8.0/24"), offer("c", "fd00:7::/48")) == {}


def test_of_those_that_appear_together_the_smaller_name_carries_it() -> None:
    assert lost(offer("b"), offer("a"), offer("c")) == {"b": "a", "c": "a"}


def test_who_announced_it_first_carries_it() -> None:
    assert lost(offer("b"), offer("a"), first=1) == {"a": "b"}
    assert lost(offer("b", "192.168.0.0/16"), offer("a"), first=1) == {"a": "b"}
    assert lost(offer("b"), offer("a", "192.168.0.0/16"), first=1) == {"a": "b"}


def test_the_smaller_priority_carries_it_whoever_was_first() -> None:
    assert lost(offer("a", f"{OFFICE}@20"), offer("b", f"{OFFICE}@10"), first=1) == {"a": "b"}
    assert lost(offer("a", f"{OFFICE}@1"), offer("b"), first=1) == {"a": "b"}


def test_nobody_outranks_who_announced_it_plainly() -> None:
    for late in (OFFICE, f"{OFFICE}@1", "192.168.0.0/16", "192.168.7.128/25"):
        assert lost(offer("z"), offer("a", late), first=1) == {"a": "z"}


def test_who_has_failed_gives_way_to_who_is_there() -> None:
    assert lost(offer("a", live=False), offer("b", f"{OFFICE}@9"), first=1) == {"a": "b"}
    assert lost(offer("a", live=False)) == {}


def test_who_says_that_it_gives_way_does_so_for_those_that_came_later() -> None:
    assert lost(offer("a", yielding=True), offer("b")) == {"a": "b"}
    assert lost(offer("a", yielding=True), offer("b", f"{OFFICE}@255"), first=1) == {"a": "b"}
    for first in (0, 1):
        both = offer("b", yielding=True), offer("a", yielding=True)
        assert lost(*both, first=first) == {"b": "a"}


def test_a_network_between_two_that_do_not_touch_keeps_neither_out() -> None:
    left, both, right = offer("a", "192.168.6.0/24"), offer("b", "192.168.6.0/23"), offer("c")

    assert lost(left, both, right) == {"b": "a"}
    assert lost(both, left, right, first=1) == {"a": "b", "c": "b"}


def test_who_loses_its_network_frees_what_it_would_have_kept() -> None:
    wide, middle, narrow = (
        offer("a", "192.168.0.0/16"),
        offer("b", "192.168.6.0/23@1"),
        offer("c", "192.168.7.0/24@2"),
    )
    assert lost(wide, middle, narrow) == {"b": "a", "c": "a"}
    assert lost(offer("a", "192.168.6.0/24"), middle, narrow) == {"b": "a"}


def test_one_member_may_announce_networks_within_each_other() -> None:
    wide, narrow = offer("a", "192.168.0.0/16"), offer("a")

    assert lost(wide, narrow) == {}
    assert lost(wide, narrow, offer("b")) == {"b": "a"}


def test_families_do_not_touch() -> None:
    assert lost(offer("a", "fd00::/8"), offer("b", "192.168.0.0/16")) == {}


@pytest.mark.parametrize("seed", range(30))
def test_the_outcome_depends_neither_on_order_nor_leaves_two_that_overlap(seed: int) -> None:
    rng = random.Random(seed)
    places = [f"192.168.{rng.randrange(4) * 64}.0/{length}" for length in range(16, 24)]
    networks = [str(ip_network(one, strict=False)) for one in places]
    offers = list(
        {
            (member, network): offer(
                member,
                f"{network}@{rng.choice([0, 0, 1, 2])}",
                live=rng.random() < 0.8,
                yielding=rng.random() < 0.2,
            )
            for member in "abcdef"
            for network in rng.sample(networks, 3)
        }.values()
    )
    early = rng.sample(offers, 5)
    seniority = noted(early, offers)
    expected = settle(sorted(offers, key=repr), seniority)
    taken = [one for one in offers if one not in expected]

    for one in taken:
        for other in taken:
            same = one.member == other.member
            assert same or not one.network.overlaps(other.network)
    for loser, holder in expected.items():
        assert holder in taken
        assert loser.network.overlaps(holder.network)
    by_name = sorted(offers, key=lambda one: (one.member, str(one.network)))
    assert settle(by_name, seniority) == expected


# What the others are told


def test_a_stand_in_is_agreed_and_anything_else_is_a_conflict() -> None:
    standby = weigh(offer("a"), offer("b", f"{OFFICE}@1"))
    same = weigh(offer("a"), offer("b"))
    part = weigh(offer("a"), offer("b", "192.168.7.0/25@1"))

    assert [one.agreed for one in standby.contests] == [True]
    assert [one.agreed for one in same.contests] == [False]
    assert [one.agreed for one in part.contests] == [False]
    assert told(standby, "b") == told(same, "b") == ["goes to a"]
    assert told(part, "b") == ["goes to a with 192.168.7.0/24"]


def test_we_give_way_to_an_equal_and_not_to_a_better_one() -> None:
    assert weigh(offer("b"), offer("a"), name="b").yields == {ip_network(OFFICE)}
    assert weigh(offer("b", f"{OFFICE}@1"), offer("a"), name="b").yields == frozenset()
    assert weigh(offer("b", yielding=True), offer("c"), name="b").yields == {ip_network(OFFICE)}
    assert weigh(offer("b", yielding=True), offer("c", live=False), name="b").yields == frozenset()


def test_of_two_that_appear_together_both_give_way_and_then_the_smaller_name_does_not() -> None:
    for name in "ab":
        assert weigh(offer("a"), offer("b"), name=name).yields == {ip_network(OFFICE)}
    both = offer("a", yielding=True), offer("b", yielding=True)
    assert weigh(*both, name="a").yields == frozenset()
    assert weigh(*both, name="b").yields == {ip_network(OFFICE)}
    assert weigh(offer("a"), both[1], name="a").yields == frozenset()


def test_we_give_way_to_an_equal_also_beside_others_that_have_a_part() -> None:
    both = offer("a", "192.168.6.0/24"), offer("a", "192.168.7.0/24@1")
    for parts in (both, both[::-1]):
        ours = offer("b", "192.168.6.0/23", yielding=True)
        assert weigh(*parts, ours, name="b").yields == {ip_network("192.168.6.0/23")}


# What nobody takes


@pytest.mark.parametrize(
    ("network", "flaw"),
    [
        ("10.9.0.0/16", "overlaps the overlay network 10.0.0.0/8"),
        ("8.0.0.0/5", "overlaps the overlay network 10.0.0.0/8"),
        ("203.0.113.0/24", "holds 203.0.113.9, at which a member is reached"),
    ],
)
def test_what_would_harm_the_mesh_is_taken_by_nobody(network: str, flaw: str) -> None:
    everything = Routing(accepted=Accepted.parse("all"))
    carriers = weigh(offer("a", network), offer("b", network), routing=everything)

    assert set(carriers.flaws.values()) == {flaw}
    assert len(carriers.flaws) == 2
    assert carriers.contests == ()
    assert carriers.networks("a") == ()
    assert told(carriers, "a") == [flaw]


def test_what_cannot_be_is_no_rival_of_what_can() -> None:
    wide = Offer("a", Route(ip_network("128.0.0.0/2")))

    carriers = weigh(wide, offer("b"))

    assert wide in carriers.flaws
    assert carriers.networks("b") == (ip_network(OFFICE),)


# What a host does not take


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"connected": (ip_network(OFFICE),)}, f"overlaps {OFFICE}, which this host is connected"),
        ({"connected": (ip_network("192.168.7.64/26"),)}, "overlaps 192.168.7.64/26, which"),
        ({"connected": (ip_network("192.168.0.0/16"),)}, "overlaps 192.168.0.0/16, which"),
        ({"own_routes": Ranges.of([ip_network(OFFICE)])}, f"holds {OFFICE}, which this host has"),
        ({"own_routes": Ranges.of([ip_network("192.168.7.9")])}, "holds 192.168.7.9/32, which"),
        ({"own_routes": Ranges.of([ip_network("192.168.0.0/16")])}, None),
        ({"own_routes": Ranges.of([ip_network("192.168.6.0/24")])}, None),
        ({"next_hops": frozenset({ip_address("192.168.7.1")})}, "holds 192.168.7.1, a gateway"),
        ({"resolvers": frozenset({ip_address("192.168.7.1")})}, "holds 192.168.7.1, a name server"),
        ({"resolvers": frozenset({ip_address("fd00::1")})}, None),
    ],
)
def test_a_way_of_its_own_is_never_lost(facts: dict[str, Any], reason: str | None) -> None:
    carriers = weigh(offer("a"), facts=LocalFacts(**facts))

    [found] = told(carriers, "a")
    assert carriers.networks("a") == ((ip_network(OFFICE),) if reason is None else ())
    assert found is reason or (reason and found and found.startswith(reason))


def test_that_this_host_does_not_take_it_gives_it_to_nobody_else() -> None:
    near = LocalFacts(connected=(ip_network(OFFICE),))

    carriers = weigh(offer("a"), offer("b", f"{OFFICE}@1"), facts=near)

    assert carriers.networks("a") == carriers.networks("b") == ()


def test_what_is_behind_us_is_not_taken_from_others() -> None:
    routing = Routing((Route.parse("192.168.7.0/25@9"),))

    carriers = weigh(offer("a"), offer("local", "192.168.7.0/25@9"), routing=routing)

    assert told(carriers, "a") == ["is behind this host, too"]
    assert told(carriers, "local") == ["goes to a with 192.168.7.0/24"]


@pytest.mark.parametrize(
    ("accept", "network", "taken"),
    [
        ("private", OFFICE, True),
        ("private", "fd00:7::/48", True),
        ("private", "203.0.112.0/24", False),
        ("private", "2001:db8::/48", False),
        ("private", "192.0.0.0/8", False),
        ("all", "203.0.112.0/24", True),
        ("none", OFFICE, False),
        ("192.168.0.0/16", OFFICE, True),
        ("192.168.7.0/25", OFFICE, False),
        ("fd00::/8", OFFICE, False),
    ],
)
def test_an_operator_says_which_networks_are_taken(accept: str, network: str, taken: bool) -> None:
    routing = Routing(accepted=Accepted.parse(accept))

    carriers = weigh(offer("a", network), routing=routing)

    assert bool(carriers.networks("a")) is taken
    if not taken:
        assert told(carriers, "a") == ["is none that this host takes (--accept-routes)"]


def test_a_name_server_may_be_in_a_network_that_an_operator_named() -> None:
    facts = LocalFacts(resolvers=frozenset({ip_address("192.168.7.1")}))
    routing = Routing(accepted=Accepted.parse("192.168.0.0/16"))

    assert weigh(offer("a"), facts=facts, routing=routing).networks("a")


def test_thousands_of_offers_are_weighed_in_a_moment() -> None:
    offers = [
        offer(f"m{member}", f"192.168.0.0/{16 + number}@{member % 3}")
        for member in range(600)
        for number in range(16)
    ]

    assert len(settle(offers, noted(offers))) == len(offers) - 16
