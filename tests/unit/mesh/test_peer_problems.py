"""What is wrong with members is told in the same words by warnings and by the doctor."""

import pytest

from tests.unit.mesh.builders import LOCAL, member, ours
from tests.unit.mesh.node_harness import Harness, remote
from wesher.base import problems
from wesher.gossip import Record
from wesher.gossip.codec import MessageType
from wesher.mesh.base.metadata import MetadataFormat, RejectionKind
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.planning.peer_problems import PEER_REMEDIES, peer_problems
from wesher.mesh.planning.planner import Planner


def found(*members: Record, format: MetadataFormat = "current") -> list[tuple[str, str]]:
    outcome = Planner().build(LOCAL, members, [], LocalFacts(), complete=True)
    return [
        (one.subject, one.problem.text.format(**one.data)) for one in peer_problems(outcome, format)
    ]


def test_healthy_members_are_not_objected_to() -> None:
    assert found(ours("web"), ours("db", "10.0.0.3", 3, "192.0.2.3")) == []


def test_who_is_in_another_overlay_network_is_no_peer() -> None:
    [(about, text)] = found(ours("web", "172.30.0.2", overlay_net="172.30.0.0/16"))

    assert about == "web"
    assert text.startswith("member web is not a peer: it is in overlay network 172.30.0.0/16")
    assert text.endswith(": give all members the same --overlay-net")


def test_of_two_with_one_address_the_loser_is_named() -> None:
    [(about, text)] = found(ours("amy"), ours("zoe", number=3, ip="192.0.2.3"))

    assert about == "zoe"
    assert text.startswith("amy and zoe both have overlay address 10.0.0.2: it goes to amy: ")


def test_who_cannot_read_our_metadata_is_named() -> None:
    assert found(member("go"), format="v0.2") == [
        ("go", "member go cannot read our metadata: it wants --metadata-format current")
    ]


@pytest.mark.parametrize("kind", RejectionKind)
def test_every_kind_of_refusal_has_a_remedy(kind: RejectionKind) -> None:
    assert PEER_REMEDIES[kind]


def test_a_node_gives_account_of_what_it_met() -> None:
    harness = Harness().start()
    harness.hear_alive(remote("web", 2, "172.30.0.2", overlay_net="172.30.0.0/16"))
    harness.pass_time(1)

    account = harness.node.account(harness.now)

    [objection] = account.peer_problems
    assert (objection.subject, objection.problem) == ("web", problems.NO_PEER)
    assert [recent.warning.problem for recent in account.problems] == [problems.NO_PEER]
    assert account.received[MessageType.ALIVE] == 1
    assert account.health == account.suspicions == account.refutations == 0
