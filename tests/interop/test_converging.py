"""Clusters of both kinds agree, and everything spreads through either kind."""

import time

import pytest

from tests.interop.golang import GoMember, GoOf, wait_for
from tests.interop.ours import OurMember, OursOf, look
from wesher.base.frozen import replace
from wesher.gossip import WAN, Address, MemberFailed, Record, RecordState


def tables(members: list[GoMember | OurMember], key: str) -> list[set[Record]]:
    """The tables of all, without what only the holder knows."""
    return [set(look(member.ip, key).values()) for member in members]


def agree(members: list[GoMember | OurMember], key: str) -> bool:
    first, *others = tables(members, key)
    return len(first) >= len(members) and all(other == first for other in others)


@pytest.mark.parametrize("compress", [True, False])
def test_three_of_each_agree(go_of: GoOf, ours_of: OursOf, key: str, compress: bool) -> None:
    """Every joiner asks another kind than its own, one hop further each time."""
    chain: list[GoMember | OurMember] = []
    for number in range(3):
        go = go_of(f"go{number}", meta=f"67{number:02x}",
                   compress=compress)  # fmt: skip
        ours = ours_of(f"py{number}").announce(b"p%d" % number)
        if chain:
            go.join(f"{chain[-1].ip}:{chain[-1].port}")
        ours.join(go)
        chain += [go, ours]

    wait_for(lambda: agree(chain, key), "all tables to be the same")

    table = tables(chain, key)[0]
    assert {record.name for record in table} == {member.name for member in chain}
    assert {record.state for record in table} == {RecordState.ALIVE}
    ours.update(b"new")
    go.do("meta", b"newer".hex())
    wait_for(
        lambda: (
            {b"new", b"newer"} <= {record.meta for record in tables(chain, key)[0]}
            and agree(chain, key)
        ),
        "the changes everywhere",
    )
    ours.leave()
    chain[0].kill()
    rest = chain[1:-1]

    def over() -> bool:
        return all(
            {record.name: record.state for record in table}.items()
            >= {"go0": RecordState.DEAD, "py2": RecordState.LEFT}.items()
            for table in tables(rest, key)
        )

    wait_for(over, "the crash and the departure everywhere")
    time.sleep(1)
    for member in rest:
        if isinstance(member, GoMember):
            assert {fact["name"] for fact in member.heard("leave")} == {"go0", "py2"}
        else:
            assert {event.member.name for event in member.heard(MemberFailed)} == {"go0"}


def test_our_news_reach_go_at_once(go_of: GoOf, ours_of: OursOf) -> None:
    """Not with the next gossip, probe or push/pull, which are ten minutes away."""
    gos = [go_of(f"go{n}", timing="wan", interval="600s") for n in range(2)]
    rare = replace(WAN, gossip_interval=600, probe_interval=600, push_pull_interval=600)
    ours = ours_of("python", timing=rare).announce()
    for go in gos:
        ours.join(go)
    for go in gos:
        wait_for(lambda go=go: len(go.members) == 3, "everybody")

    ours.update(b"news")

    for go in gos:
        go.wait("update", name="python")


def test_two_dozen_agree(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    gos = [go_of(f"go{n}", timing="lan") for n in range(12)]
    ours = [ours_of(f"py{n}").announce(b"p%d" % n) for n in range(12)]

    for number, member in enumerate(ours):
        member.join(gos[number])
    for number, go in enumerate(gos):
        go.join(ours[number - 1].host_port)

    # Usually within a second; whoever missed a joiner (a Go member, as a rule) hears of it by its
    # own first push/pull, and Go has that after one to two intervals of 30 s.
    wait_for(lambda: agree([*gos, *ours], key), "all tables to be the same", 75)


def test_a_mapped_address_keeps_its_form(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """What a Go member is told through us is what another one told us."""
    ours = ours_of("python").announce()
    mapped = ours_of("mapped", mapped=True).announce()
    mapped.join(ours)
    go = go_of("gopher")

    go.join(ours.host_port)
    mapped.join(go)

    assert go.wait("join", name="mapped")["addr"] == (bytes(10) + b"\xff\xff").hex() + "".join(
        f"{int(part):02x}" for part in mapped.ip.split(".")
    )
    assert agree([go, ours, mapped], key) or wait_for(
        lambda: agree([go, ours, mapped], key), "agreement"
    )
    assert not go.heard("conflict")
    ours.reach(Address(go.ip, go.port), "gopher")
