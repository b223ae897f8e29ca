"""Pings of all kinds, suspicion, refutation and failure, with Go members on the other side."""

import signal
import time

from tests.interop.golang import CALM_GO, FORGETFUL_GO, GoOf, wait_for
from tests.interop.ours import (
    CALM,
    FORGETFUL,
    PATIENT,
    OursOf,
    exchange_once,
    look,
    wire_of,
)
from wesher.base.frozen import replace
from wesher.gossip import (
    LAN,
    Address,
    Dead,
    MemberFailed,
    MemberLeft,
    MemberState,
    PushPull,
    Record,
    RecordState,
    Refuted,
    Suspect,
    TcpOnly,
)
from wesher.gossip.codec import encode

PASSIVE = replace(PATIENT, probe_interval=600, push_pull_interval=600)
"""It probes nobody, and asks nobody for tables, unless it is `eager` after a join."""


def test_pings(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce()
    ours.join(go)
    go.wait("join", name="python")
    there = Address(go.ip, go.port)

    go.reach("python")
    ours.reach(there, "gopher")
    ours.reach(there, "gopher", stream=True)
    ours.reach(there, "")
    assert ours.ping(there, "stranger") is None
    assert ours.ping(there, "stranger", stream=True) is None


def test_quiet_members_stay_healthy(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """Several probes each way later, nobody has suspected anybody."""
    go = go_of("gopher", **CALM_GO)
    ours = ours_of("python", timing=CALM).announce()
    ours.join(go)
    go.wait("join", name="python")

    time.sleep(4 * CALM.probe_interval)

    assert go.do("health")["health"] == ours.gossip.health == 0
    assert {record.incarnation for record in look(go.ip, key).values()} == {1}
    assert "uspect" not in go.log


def test_deaf_to_udp_we_are_reached_by_tcp(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher", **CALM_GO)
    ours = ours_of("python", timing=CALM).announce()
    ours.join(go)
    go.wait("join", name="python")

    ours.engine.deaf = True

    wait_for(lambda: "Was able to connect to python but other probes failed" in go.log, "TCP")
    assert ours.wait(TcpOnly).member.name == "gopher"
    assert go.members["python"]
    assert "Suspect python" not in go.log


def test_go_refutes_what_we_suspect(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce()
    ours.join(go)
    go.wait("join", name="python")

    go.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: ours.members["gopher"].state is MemberState.SUSPECT, "our suspicion")
    go.process.send_signal(signal.SIGCONT)

    wait_for(lambda: ours.members["gopher"].state is MemberState.ALIVE, "its refutation")
    assert ours.members["gopher"].incarnation >= 2
    assert "Refuting a suspect message (from: python)" in go.log
    assert not ours.heard(MemberFailed)


def test_we_refute_what_go_suspects(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce()
    ours.join(go)
    go.wait("join", name="python")

    with ours.frozen():
        wait_for(lambda: "Suspect python has failed" in go.log, "its suspicion")

    ours.wait(Refuted)
    wait_for(lambda: look(go.ip, key)["python"].state == RecordState.ALIVE, "alive again")
    assert look(go.ip, key)["python"].incarnation >= 2
    assert not go.heard("leave")
    assert not ours.heard(MemberFailed)


def test_forged_claims_are_refuted(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """A third party says that either side is suspect, then dead."""
    go = go_of("gopher")
    ours = ours_of("python").announce()
    liar = ours_of("liar")
    ours.join(go)
    go.wait("join", name="python")
    wire = wire_of(key)

    for name, member in (("gopher", go), ("python", ours)):
        for claim in (Suspect(1, name, "liar"), Dead(2, name, "liar")):
            packet = wire.seal_packet([encode(claim)], checksum=True)
            liar.send(packet, Address(member.ip, member.port))
            time.sleep(0.1)

    wait_for(lambda: ours.members["gopher"].incarnation >= 3, "gopher's answers here")
    wait_for(lambda: look(go.ip, key)["python"].incarnation >= 3, "our answers there")
    assert not go.heard("leave")
    assert not ours.heard(MemberFailed)


def test_a_crash_of_go_is_noticed(go_of: GoOf, ours_of: OursOf) -> None:
    """By both kinds of members."""
    victim, witness = go_of("victim"), go_of("witness")
    ours = ours_of("python").announce()
    ours.join(victim)
    ours.join(witness)
    wait_for(lambda: len(victim.members) == 3, "everybody")
    wait_for(lambda: len(witness.members) == 3, "everybody")

    victim.kill()

    assert ours.wait(MemberFailed).member.name == "victim"
    witness.wait("leave", name="victim")
    assert not ours.heard(MemberLeft)


def test_a_crash_of_ours_is_noticed(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go = go_of("gopher")
    victim, witness = ours_of("victim").announce(), ours_of("witness").announce()
    victim.join(go)
    witness.join(go)
    wait_for(lambda: len(go.members) == len(victim.members) == len(witness.members) == 3, "all")

    victim.kill()

    go.wait("leave", name="victim")
    assert witness.wait(MemberFailed).member.name == "victim"
    assert look(go.ip, key)["victim"].state == RecordState.DEAD


def test_the_dead_are_forgotten_at_the_same_time(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """Both forget a failed member, and neither teaches it to the other again."""
    go = go_of("gopher", **FORGETFUL_GO)
    ours, victim = ours_of("python", timing=FORGETFUL).announce(), ours_of("victim").announce()
    ours.join(go)
    victim.join(go)
    wait_for(lambda: len(go.members) == len(ours.members) == 3, "everybody")

    victim.kill()
    go.wait("leave", name="victim")
    wait_for(lambda: "victim" not in look(go.ip, key), "forgotten by Go")
    wait_for(lambda: "victim" not in ours.members, "forgotten by us")
    time.sleep(3)

    assert "victim" not in look(go.ip, key)
    assert "victim" not in ours.members


def test_a_record_of_the_dead_is_only_an_opinion(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """Said by push/pull, both sides take it for a suspicion, and the member refutes."""
    go = go_of("gopher")
    ours, third = ours_of("python").announce(), go_of("third")
    ours.join(go)
    ours.join(third)
    wait_for(lambda: len(go.members) == len(third.members) == 3, "everybody")

    versions = bytes([1, 5, 2, 0, 0, 0])
    for name in ("third", "python"):
        record = look(go.ip, key)[name]
        dead = Record(name, record.addr, record.port, record.meta, record.incarnation,
                      RecordState.DEAD, versions)  # fmt: skip
        exchange_once(go.ip, key, PushPull(False, (dead,)))

    wait_for(lambda: look(go.ip, key)["third"].incarnation >= 2, "the refutation of a Go member")
    wait_for(lambda: look(go.ip, key)["python"].incarnation >= 2, "our refutation")
    assert not go.heard("leave")


def test_our_nacks_keep_go_healthy(go_of: GoOf, ours_of: OursOf) -> None:
    """Its probe of a dead member fails, and our word says that the fault is not its own.

    It asks three: one that it missed would be forgiven with its next probe, before we can look.
    These exchange no tables: who merges a suspect record confirms it, and a confirmed suspicion may
    end before the second probe.
    """
    go = go_of("gopher", timing="lan", interval="2s")
    victim = ours_of("victim").announce()
    relays = [ours_of(f"relay{n}", timing=PASSIVE, eager=False).announce() for n in range(3)]
    for member in (victim, *relays):
        member.join(go)
    wait_for(lambda: len(go.members) == 5, "everybody")

    victim.kill()

    def suspected_twice() -> bool:
        assert go.do("health")["health"] == 0
        return go.log.count("Suspect victim has failed") > 1

    wait_for(suspected_twice, "two probes to fail")
    assert go.do("health")["health"] == 0


def test_nacks_of_go_keep_us_healthy(go_of: GoOf, ours_of: OursOf) -> None:
    ours = ours_of("python", timing=replace(LAN, probe_interval=2)).announce()
    victim = ours_of("victim").announce()
    relays = [go_of(f"relay{n}", interval="600s") for n in range(3)]
    victim.join(ours)
    for relay in relays:
        ours.join(relay)
    wait_for(lambda: len(ours.members) == 5, "everybody")

    victim.kill()

    def suspected() -> bool:
        assert ours.gossip.health == 0
        return ours.members["victim"].state is MemberState.SUSPECT

    wait_for(suspected, "its probe to fail")
    assert ours.gossip.health == 0
