"""Members become a Plan; whoever cannot be trusted or lost a claim does not reroute anything."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.builders import LOCAL, member, ours, record
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip import Record
from wesher.mesh.base.metadata import RejectionKind
from wesher.mesh.base.plan import HostsEntry, InterfaceSettings, LocalFacts, Peer, Plan
from wesher.mesh.planning.claims import Conflict
from wesher.mesh.planning.planner import Planner, PlanResult, addresses_in_use
from wesher.mesh.planning.validation import LocalMember

FACTS = LocalFacts()


def build(
    *live: Record,
    failed: Iterable[Record] = (),
    local: LocalMember = LOCAL,
    facts: LocalFacts = FACTS,
    complete: bool = True,
    planner: Planner | None = None,
) -> PlanResult:
    return (planner or Planner()).build(local, live, failed, facts, complete=complete)


def peer(ip: str, *routes: str) -> Peer:
    return Peer(Address(ip, 51820), tuple(map(ip_network, routes)))


def line(ip: str, name: str) -> HostsEntry:
    return HostsEntry(ip_address(ip), name)


def test_alone_we_have_an_interface_and_nothing_else() -> None:
    assert build(complete=False).plan == Plan(InterfaceSettings(LOCAL.overlay_addr, 51820))


def test_live_and_failed_members_are_peers_with_route_and_name() -> None:
    outcome = build(
        ours("web", "10.0.0.2", 2, "192.0.2.2"), failed=[member("db", "10.0.0.3", 3, "192.0.2.3")]
    )

    assert outcome.plan == Plan(
        InterfaceSettings(LOCAL.overlay_addr, 51820),
        {
            key(2): peer("192.0.2.2", "10.0.0.2/32"),
            key(3): peer("192.0.2.3", "10.0.0.3/32"),
        },
        (line("10.0.0.3", "db"), line("10.0.0.2", "web")),
        complete=True,
    )
    assert not outcome.refusals
    assert not outcome.conflicts


def test_the_order_of_hearing_does_not_change_the_plan() -> None:
    members = [ours(f"n{i}", f"10.0.1.{i}", 10 + i, f"192.0.2.{10 + i}") for i in range(20)]

    forth, back = build(*members).plan, build(*reversed(members)).plan

    assert forth == back
    assert list(forth.peers) == list(back.peers)


def test_we_are_no_peer_of_ourselves() -> None:
    outcome = build(ours("local", "10.0.0.1", 1))

    assert outcome.plan == build().plan
    assert not outcome.refusals


def test_a_member_without_metadata_waits_without_a_warning() -> None:
    outcome = build(record("web"))

    assert outcome.plan == build().plan
    assert outcome.refusals["web"].kind is RejectionKind.PENDING


@pytest.mark.parametrize(
    ("announced", "kind"),
    [
        (record("web", meta=b"gometa"), RejectionKind.METADATA),
        (replace(ours("web"), addr=b"abc"), RejectionKind.ENDPOINT),
        (ours("localhost"), RejectionKind.NAME),
        (ours("web", "172.16.0.1"), RejectionKind.ADDRESS),
        (ours("web", "172.16.0.1", overlay_net="172.16.0.0/12"), RejectionKind.NETWORK),
        (ours("web", number=0), RejectionKind.KEY),
        (ours("web", ip="127.0.0.1"), RejectionKind.ENDPOINT),
    ],
)
def test_a_refused_member_is_nothing_in_the_plan_and_harms_no_other(
    announced: Record, kind: RejectionKind
) -> None:
    good = ours("good", "10.0.0.3", 3, "192.0.2.3")

    outcome = build(announced, good)

    assert outcome.plan == build(good).plan
    assert outcome.refusals[announced.name].kind is kind


@pytest.mark.parametrize(
    "reached", [ours("m", "10.0.0.3", 3, "10.0.0.9"), ours("m", number=3, endpoint="10.0.0.9")]
)
def test_an_overlay_address_at_which_a_member_is_reached_is_refused(reached: Record) -> None:
    outcome = build(reached, ours("thief", "10.0.0.9", 9))

    assert list(outcome.plan.peers) == [key(3)]
    assert outcome.refusals["thief"].kind is RejectionKind.ADDRESS


def test_a_failed_member_still_reserves_the_address_at_which_it_is_reached() -> None:
    outcome = build(ours("thief", "10.0.0.9", 9), failed=[ours("m", "10.0.0.3", 3, "10.0.0.9")])

    assert "thief" in outcome.refusals


def test_the_loser_of_an_address_stays_a_peer_without_routes_and_name() -> None:
    winner = member("zoe", "10.0.0.5", 5, "192.0.2.5")
    loser = ours("amy", "10.0.0.5", 6, "192.0.2.6")

    outcome = build(winner, loser)

    assert outcome.plan.peers[key(5)] == peer("192.0.2.5", "10.0.0.5/32")
    assert outcome.plan.peers[key(6)] == peer("192.0.2.6")
    assert outcome.plan.hosts == (line("10.0.0.5", "zoe"),)
    assert outcome.conflicts == (Conflict(ip_address("10.0.0.5"), "zoe", "amy"),)


def test_a_failed_member_gives_its_address_to_a_live_one() -> None:
    failed = member("amy", "10.0.0.5", 5, "192.0.2.5")
    live = ours("zoe", "10.0.0.5", 6, "192.0.2.6")

    outcome = build(live, failed=[failed])

    assert outcome.plan.peers[key(6)].allowed_ips
    assert not outcome.plan.peers[key(5)].allowed_ips


def test_a_member_that_is_live_and_remembered_as_failed_is_live() -> None:
    changed = ours("web", "10.0.0.9", 9)

    outcome = build(changed, failed=[ours("web", "10.0.0.2", 2)])

    assert outcome.plan == build(changed).plan


@pytest.mark.parametrize(
    ("local", "rival", "winner"),
    [
        (LOCAL, ours("zoe", "10.0.0.1"), None),
        (LOCAL, ours("amy", "10.0.0.1"), "amy"),
        (replace(LOCAL, kept=True), ours("amy", "10.0.0.1"), None),
        (replace(LOCAL, kept=True), member("zoe", "10.0.0.1"), "zoe"),
        (replace(LOCAL, immovable=True), member("zoe", "10.0.0.1"), None),
        (LOCAL, ours("zoe", "10.0.0.1", kept=True), "zoe"),
        (LOCAL, ours("zoe", "10.0.0.1", immovable=True), "zoe"),
    ],
)
def test_our_own_claim_is_weighed_like_any_other(
    local: LocalMember, rival: Record, winner: str | None
) -> None:
    outcome = build(rival, local=local)

    assert outcome.lost_to("local") == winner
    assert outcome.lost_to(rival.name) == (None if winner else "local")
    # Even the winner gets no packets from this host, as long as the address is still ours here.
    assert outcome.plan.peers[key(2)].allowed_ips == ()
    assert outcome.plan.hosts == ()


@pytest.mark.parametrize(
    "one", [member("amy", "10.0.0.1"), ours("amy", "10.0.0.1", immovable=True)]
)
def test_neither_of_two_that_cannot_move_gives_way(one: Record) -> None:
    outcome = build(one, local=replace(LOCAL, immovable=True))

    (conflict,) = outcome.conflicts
    assert conflict.fixed
    assert not build(one).conflicts[0].fixed


def test_two_members_with_one_key_are_one_peer() -> None:
    holder = ours("amy", "10.0.0.2", 2, "192.0.2.2")
    thief = ours("zoe", "10.0.0.3", 2, "192.0.2.3")

    outcome = build(holder, thief)

    assert outcome.plan == build(holder).plan
    assert outcome.refusals["zoe"].reason == "claims the WireGuard key of amy, which keeps it"
    assert "zoe" not in outcome.trusted


def test_who_has_somebody_elses_key_claims_no_address() -> None:
    thief = ours("bob", "10.0.0.5", 2, "192.0.2.3")
    victim = ours("zoe", "10.0.0.5", 5, "192.0.2.5")

    outcome = build(ours("amy", "10.0.0.2", 2), thief, victim)

    assert outcome.plan.peers[key(5)].allowed_ips
    assert not outcome.conflicts


def test_names_that_differ_in_case_only_get_one_line() -> None:
    outcome = build(ours("web", "10.0.0.2", 2), ours("WEB", "10.0.0.3", 3))

    assert len(outcome.plan.peers) == 2
    assert outcome.plan.hosts == (line("10.0.0.3", "WEB"),)


def test_addresses_in_use_are_those_held_and_those_members_are_reached_at() -> None:
    members = [
        ours("a", "10.0.0.2", 2, "192.0.2.2", endpoint="198.51.100.1"),
        ours("localhost", "10.0.0.3", 3, "192.0.2.3"),
        record("c", ip="192.0.2.4"),
        replace(record("d", meta=b"gometa"), addr=b""),
    ]

    used = addresses_in_use(members)

    expected = ["10.0.0.2", "192.0.2.2", "198.51.100.1", "10.0.0.3", "192.0.2.3", "192.0.2.4"]
    assert used == {ip_address(text) for text in expected}


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("10.0.0.2", True),
        ("192.0.2.2", True),
        ("10.5.0.1", True),
        ("10.0.0.3", False),
    ],
)
def test_an_address_is_taken_by_a_member_or_by_this_host(address: str, taken: bool) -> None:
    facts = LocalFacts(connected=(ip_network("10.5.0.0/16"),))

    assert Planner.taken([ours("web")], facts)(ip_address(address)) is taken


def test_only_members_that_changed_are_checked_again() -> None:
    planner = Planner()
    members = [ours(f"n{i:03}", f"10.1.0.{i}", 10 + i, f"192.0.2.{i}") for i in range(100)]
    before = build(*members, planner=planner).trusted

    members[7] = replace(members[7], addr=bytes([192, 0, 2, 200]))
    members[8] = ours("n008", "10.1.1.1", 18, "192.0.2.8")
    members[9] = replace(members[9])
    after = build(*members, planner=planner).trusted

    assert [name for name in after if after[name] is not before[name]] == ["n007", "n008"]
    assert str(after["n007"].endpoint.ip) == "192.0.2.200"
    assert after["n008"].allowed_ips == (ip_network("10.1.1.1/32"),)


def test_new_facts_and_new_settings_are_taken_into_account() -> None:
    planner = Planner()
    web = ours("web", "10.5.0.2")
    local = replace(LOCAL, wireguard_port=1)

    before = build(web, planner=planner)
    with_facts = build(
        web, facts=LocalFacts(connected=(ip_network("10.5.0.0/16"),)), planner=planner
    )
    with_settings = build(web, local=local, planner=planner)

    assert "web" in before.trusted
    assert "web" in with_facts.refusals
    assert with_settings.plan.peers[key(2)].endpoint.port == 1


def test_a_member_that_went_is_forgotten_and_can_return() -> None:
    planner = Planner()
    web = ours("web")
    build(web, planner=planner)

    gone, back = build(planner=planner), build(web, planner=planner)

    assert not gone.plan.peers
    assert back.plan == build(web).plan


def test_as_long_as_nobody_wants_what_another_has_it_does_not_matter_who_is_live() -> None:
    planner = Planner()
    web, db = ours("web"), ours("db", "10.1.0.9", 9, "192.0.2.9")
    before = build(web, db, planner=planner, complete=False)

    after = build(web, failed=[db], planner=planner, complete=False)
    complete = build(web, failed=[db], planner=planner)

    assert after is before
    assert complete.plan == replace(before.plan, complete=True)


@pytest.mark.parametrize(
    "other",
    [
        ours("a", "10.1.0.2", 9, "192.0.2.9"),
        ours("a", "10.1.0.9", 2, "192.0.2.9"),
        ours("WEB", "10.1.0.9", 9, "192.0.2.9"),
    ],
    ids=["address", "key", "name"],
)
def test_of_two_that_want_one_thing_the_live_one_has_it_now(other: Record) -> None:
    planner = Planner()
    web = ours("web", "10.1.0.2", 2)
    build(web, other, planner=planner)

    one, two = (
        build(web, failed=[other], planner=planner),
        build(other, failed=[web], planner=planner),
    )

    assert one.plan == build(web, failed=[other]).plan
    assert two.plan == build(other, failed=[web]).plan
    assert one.plan.hosts != two.plan.hosts


def test_who_is_alone_takes_new_settings_into_account() -> None:
    planner = Planner()
    build(planner=planner)

    after = build(planner=planner, local=replace(LOCAL, wireguard_port=1))

    assert after.plan.interface.listen_port == 1


@pytest.mark.parametrize("text", ["192.0.2.2:7946", "[2001:db8::2]:7946"])
def test_endpoints_are_read_as_they_are_written(text: str) -> None:
    assert str(Address.parse(text)) == text
