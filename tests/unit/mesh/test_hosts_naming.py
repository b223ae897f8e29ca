"""Which names go into the hosts file: what is left out is said, and the peer stays a peer."""

from collections.abc import Callable, Iterable

import pytest

from tests.unit.mesh.builders import LOCAL, member, ours
from wesher.base import problems
from wesher.gossip import Record
from wesher.mesh.base.metadata import MetadataFormat
from wesher.mesh.base.plan import HostsEntry, LocalFacts
from wesher.mesh.base.settings import HostsNaming
from wesher.mesh.planning.hosts_naming import Namer, Unnamed
from wesher.mesh.planning.peer_problems import peer_problems
from wesher.mesh.planning.planner import Planner, PlanResult

LATER = 60.0
FORMAT: MetadataFormat = "current"
PLAIN, NAMING = LocalFacts(), HostsNaming()
FOREIGN = LocalFacts(foreign_host_names={"web": 3, "db.mesh": 4})


def build(
    *live: Record,
    failed: Iterable[Record] = (),
    facts: LocalFacts = PLAIN,
    naming: HostsNaming = NAMING,
    planner: Planner | None = None,
    now: float = 0.0,
) -> PlanResult:
    return (planner or Planner(naming)).build(LOCAL, live, failed, facts, complete=True, now=now)


def names(outcome: PlanResult) -> list[str]:
    return [entry.name for entry in outcome.plan.hosts]


def told(outcome: PlanResult) -> list[str]:
    return [one.problem.text.format(**one.data) for one in peer_problems(outcome, FORMAT)]


@pytest.mark.parametrize("web", [ours("web"), ours("Web"), member("web")])
def test_a_name_on_a_line_of_somebody_else_costs_the_hosts_entry_only(web: Record) -> None:
    outcome = build(web, facts=FOREIGN)

    assert len(outcome.plan.peers) == 1
    assert outcome.plan.hosts == ()
    assert told(outcome) == [
        f"the name of member {web.name} is on line 3 of /etc/hosts already, so there it stays: use "
        "its overlay address 10.0.0.2, remove that line, or give this host --hosts-suffix"
    ]


def test_a_hosts_file_that_is_left_alone_is_nothing_to_warn_of() -> None:
    outcome = build(ours("web"), ours("a.b", "10.0.0.3", 3), naming=HostsNaming(None))

    assert len(outcome.plan.peers) == 2
    assert outcome.plan.hosts == ()
    assert told(outcome) == []


def test_a_suffix_names_members_beside_their_own_name_and_where_that_is_taken() -> None:
    outcome = build(
        ours("amy"),
        ours("web", "10.0.0.3", 3, "192.0.2.3"),
        ours("db", "10.0.0.4", 4, "192.0.2.4"),
        facts=FOREIGN,
        naming=HostsNaming(suffix="mesh"),
    )

    assert names(outcome) == ["amy", "amy.mesh", "db", "web.mesh"]
    assert told(outcome) == []


def test_both_names_of_a_member_lead_to_its_address() -> None:
    outcome = build(ours("amy"), naming=HostsNaming(suffix="mesh"))

    assert {entry.ip for entry in outcome.plan.hosts} == {outcome.trusted["amy"].overlay_addr}
    assert outcome.plan.hosts[1] == HostsEntry(outcome.trusted["amy"].overlay_addr, "amy.mesh")


@pytest.mark.parametrize(
    ("our_name", "naming", "name", "written"),
    [
        ("local", HostsNaming(), "deb.debian.org", None),
        ("local", HostsNaming(suffix="mesh"), "deb.debian.org", ("deb.debian.org.mesh",)),
        ("local", HostsNaming(suffix="mesh"), "web.Mesh", ("web.Mesh",)),
        ("local", HostsNaming(dots=True), "deb.debian.org", ("deb.debian.org",)),
        ("one.example.org", HostsNaming(), "two.example.org", ("two.example.org",)),
        ("one.Example.org", HostsNaming(), "two.eXample.org", ("two.eXample.org",)),
        ("one.example.org", HostsNaming(), "two.ber.example.org", ("two.ber.example.org",)),
        ("one.example.org", HostsNaming(), "example.org", None),
        ("one.example.org", HostsNaming(), "one.badexample.org", None),
        ("one.example.org", HostsNaming(), "two", ("two",)),
        ("one.lan", HostsNaming(), "two.lan", ("two.lan",)),
        ("example.org", HostsNaming(), "deb.debian.org", None),
    ],
)
def test_names_with_dots_are_written_in_domains_of_ours(
    our_name: str, naming: HostsNaming, name: str, written: tuple[str] | None
) -> None:
    found = Namer(our_name, naming, {}).names_for(name, LOCAL.overlay_addr)

    if written is None:
        assert isinstance(found, Unnamed)
        assert found.problem is problems.DOTTED_NAME
    else:
        assert found == written


def test_who_is_named_like_us_in_other_letters_is_a_peer_without_hosts_entry() -> None:
    outcome = build(ours("LOCAL"))

    assert len(outcome.plan.peers) == 1
    assert outcome.plan.hosts == ()
    assert "is that of local but for upper and lower case" in told(outcome)[0]


@pytest.mark.parametrize(("first", "second"), [("node-b", "NODE-B"), ("NODE-B", "node-b")])
@pytest.mark.parametrize("kind", [ours, member])
def test_who_has_a_name_keeps_it_from_who_comes_with_other_letters(
    first: str, second: str, kind: Callable[..., Record]
) -> None:
    planner = Planner()
    old, new = kind(first), kind(second, "10.0.0.3", 3, "192.0.2.3")
    build(old, planner=planner)

    for members in ((old, new), (new, old)):
        outcome = build(*members, planner=planner, now=LATER)
        assert names(outcome) == [first]
        assert len(outcome.plan.peers) == 2
        assert told(outcome) == [
            f"the name of member {second} is that of {first} but for upper and lower case: the "
            f"hosts file goes on naming {first} only: give {second} another --node-name"
        ]


def test_whose_name_was_kept_from_it_has_it_once_the_first_has_failed() -> None:
    planner = Planner()
    old, new = ours("node-b"), ours("NODE-B", "10.0.0.3", 3, "192.0.2.3")
    build(old, planner=planner)
    build(old, new, planner=planner, now=LATER)

    assert names(build(new, failed=[old], planner=planner, now=LATER)) == ["NODE-B"]


def test_a_name_under_the_suffix_is_contended_for_like_any_other() -> None:
    planner = Planner(HostsNaming(suffix="mesh"))
    build(ours("web"), planner=planner)

    outcome = build(
        ours("web"), ours("WEB.mesh", "10.0.0.3", 3, "192.0.2.3"), planner=planner, now=LATER
    )

    assert names(outcome) == ["web", "web.mesh"]
    assert "WEB.mesh" in outcome.unnamed
