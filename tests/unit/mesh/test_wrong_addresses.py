"""A host that announces the wrong address is told of by both sides, with what to give it."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from wesher.base.frozen import replace
from wesher.gossip import Address, Member, MemberState, SeenElsewhere, TcpOnly, pack_ip
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.reporting.network_warnings import NetworkWarnings

HERE, CABLE = Address("192.0.2.1", 7946), "198.51.100.7"
WEB = Member(
    "web", pack_ip("192.0.2.9"), 7946, b"", bytes(6), 1, MemberState.ALIVE, state_changed_at=0.0
)


def told(*events: SeenElsewhere | TcpOnly, live: Sequence[Member] = (), **facts: Any) -> list[str]:
    network_warnings = NetworkWarnings(set(), "", set())
    told = list(network_warnings.compare(live, LocalFacts(**facts), HERE, set()))
    for event in events:
        told += network_warnings.handle(event, 1.0)
    return [one.problem.text.format(**one.data) for one in told if isinstance(one, Warn)]


def test_a_suspect_that_talks_from_another_address_is_to_announce_that() -> None:
    assert told(SeenElsewhere(WEB, CABLE)) == [
        f"member web announces 192.0.2.9, where it does not answer, but talks from {CABLE}: "
        f"give it --advertise-addr {CABLE}, or --bind-iface with the interface of that address"
    ]


def test_a_host_that_talks_from_another_address_blames_no_firewall() -> None:
    assert told(TcpOnly(WEB), talks_from=ip_address(CABLE)) == [
        f"this host announces 192.0.2.1, where no answer arrives, but talks from {CABLE}: "
        f"give it --advertise-addr {CABLE}, or --bind-iface with the interface of that address"
    ]


def test_a_host_that_talks_from_where_it_says_asks_for_the_firewall() -> None:
    (warning,) = told(TcpOnly(WEB))

    assert warning.startswith("member web answers at 192.0.2.9:7946 by TCP but not by UDP")


def test_a_member_that_announces_an_address_of_ours_is_told_of() -> None:
    own = frozenset({ip_address("192.0.2.1"), ip_address("192.0.2.9")})

    assert told(live=[WEB], own_addresses=own) == [
        "member web announces 192.0.2.9, an address of this host: "
        "give it --advertise-addr or --bind-iface, so that it announces one of its own"
    ]


def test_another_port_of_ours_is_another_agent_of_this_host() -> None:
    other = replace(WEB, port=7947)

    assert told(live=[other], own_addresses=frozenset({ip_address("192.0.2.9")})) == []
