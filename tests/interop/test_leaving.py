"""Leaving, coming back, and everything about one name that is used again."""

import time

import pytest

from tests.interop.golang import FORGETFUL_GO, GoMember, GoOf, wait_for
from tests.interop.ours import FORGETFUL, OurMember, OursOf, look
from wesher.gossip import (
    PRESETS,
    Address,
    AddressConflict,
    Member,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberState,
    MemberUpdated,
    RecordState,
    pack_ip,
)


def together(*members: GoMember | OurMember) -> None:
    """Wait until all of these know as many."""
    for member in members:
        wait_for(lambda m=member: len(m.members) == len(members), f"everybody at {member.name}")


def _ip(member: Member | None) -> str | None:
    return member.address.ip if member else None


@pytest.mark.parametrize("timing", ["wan", "local"])
def test_go_sees_us_leave(go_of: GoOf, ours_of: OursOf, key: str, timing: str) -> None:
    gos = [go_of(f"gopher{n}", timing=timing) for n in range(3)]
    ours = ours_of("python", timing=PRESETS[timing]).announce()
    for go in gos:
        ours.join(go)
    together(*gos, ours)

    took = ours.leave()

    for go in gos:
        go.wait("leave", name="python")
        assert look(go.ip, key)["python"].state == RecordState.LEFT
    assert took < 5, "it takes one second; Go's own waits ten"


def test_we_see_go_leave(go_of: GoOf, ours_of: OursOf) -> None:
    gos = [go_of(f"gopher{n}") for n in range(2)]
    ours = ours_of("python").announce()
    for go in gos:
        ours.join(go)
    together(*gos, ours)

    assert gos[0].do("leave")["error"] == ""
    gos[0].kill()

    assert ours.wait(MemberLeft).member.name == "gopher0"
    assert ours.members["gopher0"].state is MemberState.LEFT
    time.sleep(2)
    assert not ours.heard(MemberFailed, lambda event: event.member.name == "gopher0")


def test_that_somebody_left_is_told_by_push_pull(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go, leaver = go_of("gopher"), go_of("leaver")
    ours = ours_of("python").announce()
    leaver.join(go.host_port)
    together(go, leaver)
    leaver.do("leave")
    leaver.kill()
    go.wait("leave", name="leaver")

    ours.join(go)

    wait_for(lambda: "gopher" in ours.members, "gopher")
    assert look(go.ip, key)["leaver"].state == RecordState.LEFT
    assert ours.members.get("leaver") is None, "who left is not introduced to strangers"


def test_go_restarts_after_a_crash(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """With other metadata, before we have noticed that it was gone."""
    go = go_of("gopher", meta=b"before".hex())
    ours = ours_of("python").announce()
    ours.join(go)
    together(go, ours)

    go.kill()
    again = go_of("gopher", go.ip, meta=b"after".hex())
    again.join(ours.host_port)

    wait_for(lambda: ours.members["gopher"].meta == b"after", "its new metadata")
    assert ours.members["gopher"].incarnation > 2
    assert ours.members["gopher"].state is MemberState.ALIVE


@pytest.mark.parametrize("state", ["alive", "dead", "left"])
@pytest.mark.parametrize("looked", [True, False])
def test_we_restart(go_of: GoOf, ours_of: OursOf, key: str, looked: bool, state: str) -> None:
    """At once or after we were found dead or had left; having looked at our old record or not."""
    go, other = go_of("gopher"), go_of("other")
    ours = ours_of("python").announce(b"before")
    ours.join(go)
    ours.join(other)
    together(go, other, ours)

    if state == "left":
        ours.leave()
    else:
        ours.kill()
    if state != "alive":
        go.wait("leave", name="python")
        other.wait("leave", name="python")
    again = ours_of("python", ours.ip)
    incarnation = 1
    if looked:
        seen = again.exchange(Address(go.ip, go.port), look=True).records
        incarnation = next(r.incarnation for r in seen if r.name == "python") + 1
    again.announce(b"after", incarnation=incarnation)
    again.join(go)

    for member in (go, other):
        wait_for(
            lambda m=member: m.members.get("python", {}).get("meta") == b"after".hex(),
            f"our new metadata at {member.name}",
        )
        assert look(member.ip, key)["python"].state == RecordState.ALIVE
        assert not member.heard("conflict")
    assert set(again.members) == {"gopher", "other", "python"}


def test_we_move_after_leaving(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce()
    ours.join(go)
    together(go, ours)
    ours.leave()
    go.wait("leave", name="python")

    again = ours_of("python")
    again.announce(b"moved", incarnation=2)
    again.join(go)

    wait_for(lambda: go.members.get("python", {}).get("ip") == again.ip, "us at the new address")
    assert not go.heard("conflict")


def test_go_moves_after_leaving(go_of: GoOf, ours_of: OursOf) -> None:
    go, other = go_of("gopher"), go_of("other")
    ours = ours_of("python").announce()
    ours.join(go)
    ours.join(other)
    together(go, other, ours)
    go.do("leave")
    go.kill()
    ours.wait(MemberLeft)
    other.wait("leave", name="gopher")

    again = go_of("gopher")
    again.join(ours.host_port)

    wait_for(lambda: ours.members["gopher"].state is MemberState.ALIVE, "its return")
    assert ours.members["gopher"].address.ip == again.ip
    wait_for(lambda: other.members.get("gopher", {}).get("ip") == again.ip, "at the other")


def test_a_move_after_a_crash_is_a_conflict_on_both_sides(
    go_of: GoOf, ours_of: OursOf, key: str
) -> None:
    go, other = go_of("gopher"), go_of("other", **FORGETFUL_GO)
    ours = ours_of("python", timing=FORGETFUL).announce()
    ours.join(go)
    ours.join(other)
    together(go, other, ours)
    go.kill()

    again = go_of("gopher")
    again.allowed = ("Conflicting address",)
    other.allowed = ("Conflicting address",)
    again.join(ours.host_port, other.host_port)

    conflict = ours.wait(AddressConflict)
    assert conflict.member.address.ip == go.ip
    other.wait("conflict", name="gopher")
    back = "it back, once forgotten"
    wait_for(lambda: _ip(ours.members.get("gopher")) == again.ip, back, 60)
    wait_for(lambda: other.members.get("gopher", {}).get("ip") == again.ip, back, 60)


@pytest.mark.parametrize("mapped_first", [True, False])
def test_we_restart_in_the_form_that_is_known(
    go_of: GoOf, ours_of: OursOf, key: str, mapped_first: bool
) -> None:
    """Bound to 0.0.0.0 before and to an address now, or the other way round."""
    go = go_of("gopher")
    ours = ours_of("python", mapped=mapped_first).announce(b"before")
    ours.join(go)
    together(go, ours)
    ours.kill()

    again = ours_of("python", ours.ip, mapped=not mapped_first)
    seen = again.exchange(Address(go.ip, go.port), look=True).records
    known = next(r for r in seen if r.name == "python")
    again.announce(b"after", incarnation=known.incarnation + 1, addr=known.addr)
    again.join(go)

    wait_for(lambda: go.members["python"]["meta"] == b"after".hex(), "our new metadata")
    assert not go.heard("conflict")
    assert known.addr == pack_ip(ours.ip, mapped=mapped_first)


def test_go_restarts_in_the_other_form(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """Ours keeps what it knows and takes no offence; a Go member would see a conflict."""
    ours = ours_of("python").announce()
    short = ours_of("stand-in", mapped=True).announce(b"before")
    short.join(ours)
    wait_for(lambda: "stand-in" in ours.members, "the stand-in")
    short.kill()

    go = go_of("stand-in", short.ip, meta=b"after".hex())
    go.allowed = ("Conflicting address",)  # with itself, in the form that we were first told
    go.join(ours.host_port)

    wait_for(lambda: ours.members["stand-in"].meta == b"after", "its new metadata")
    assert not ours.heard(AddressConflict)
    assert not ours.heard(MemberUpdated, lambda event: event.member.meta == b"before")
    assert len(ours.heard(MemberJoined)) == 1
