"""On hosts of their own, where cables are cut and members are bound to every address."""

import signal
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import pytest

from tests.interop.golang import CALM_GO, FORGETFUL_GO, GoMember, GoOf, wait_for
from tests.interop.ours import CALM, OurMember, OursOf
from tests.testbed.lab.daemons import Daemon
from tests.testbed.lab.netns import Host, Lab
from wesher.gossip import Address, ExchangeFinished, MemberFailed, Record, TcpOnly, pack_ip

LabOf = Callable[[int], Lab]
M_co = TypeVar("M_co", covariant=True)


class MemberOn(Protocol[M_co]):
    """Makes members on the hosts of a lab."""

    def __call__(self, host: Host, bind: str | None = None, **options: Any) -> M_co: ...


@pytest.fixture
def go_on(go_of: GoOf) -> MemberOn[GoMember]:
    """Make Go members on the hosts of a lab."""

    def make(host: Host, bind: str | None = None, **flags: Any) -> GoMember:
        prefix = ("nsenter", "-t", str(host._pid), "-n", "--")
        member = go_of(host.name, bind or host.address, prefix=prefix, **flags)
        member.ip = host.address
        return member

    return make


@pytest.fixture
def ours_on(ours_of: OursOf) -> MemberOn[OurMember]:
    """Make members of ours on the hosts of a lab."""

    def make(host: Host, bind: str | None = None, **settings: Any) -> OurMember:
        return ours_of(host.name, bind or host.address, lives_in=host._pid, **settings)

    return make


def block(host: Host, *others: Host, protocol: str = "") -> None:
    """Let the host hear nothing of these others, or nothing by one protocol."""
    rules = "".join(
        f"add rule ip lab input ip saddr {other.address} {protocol} drop\n" for other in others
    )
    chain = "add chain ip lab input { type filter hook input priority 0; }\n"
    host.run("nft", "-f", "-", stdin=f"add table ip lab\n{chain}{rules}")


def records(looker: OurMember, at: str) -> dict[str, Record]:
    """The table of the member at an address, as seen from the looker's host."""

    def answer() -> ExchangeFinished | None:
        finished = looker.exchange(Address(at, 7946), look=True)
        return None if finished.error else finished

    return {record.name: record for record in wait_for(answer, f"the table of {at}").records}


@pytest.mark.parametrize("relays_are_go", [True, False])
def test_probes_go_round_a_broken_path(
    lab_of: LabOf, go_on: MemberOn[GoMember], ours_on: MemberOn[OurMember], relays_are_go: bool
) -> None:
    """Two members that cannot reach one another, a Go one and ours, do not suspect each other."""
    lab = lab_of(4)
    go = go_on(lab.hosts[0], **CALM_GO)
    ours = ours_on(lab.hosts[1], timing=CALM).announce()
    relays = [
        go_on(host, **CALM_GO) if relays_are_go else ours_on(host, timing=CALM).announce()
        for host in lab.hosts[2:]
    ]
    ours.join(go)
    for relay in relays:
        go.join(relay.host_port)
    for member in (go, ours, *relays):
        wait_for(lambda m=member: len(m.members) == 4, f"everybody at {member.name}")

    block(lab.hosts[0], lab.hosts[1])
    assert ours.ping(Address(go.ip, 7946), go.name) is None
    wait_for(lambda: "Failed ping: node2" in go.log, "the direct path to be tried")
    time.sleep(4 * CALM.probe_interval)

    assert "Suspect node2" not in go.log
    assert not go.heard("leave")
    assert not ours.heard(MemberFailed)
    assert {member.incarnation for member in ours.members.values()} == {1}


def test_without_relays_a_broken_path_is_a_failure(
    lab_of: LabOf, go_on: MemberOn[GoMember], ours_on: MemberOn[OurMember]
) -> None:
    """What the test before this one would see if nobody relayed."""
    lab = lab_of(2)
    go, ours = go_on(lab.hosts[0]), ours_on(lab.hosts[1]).announce()
    ours.join(go)
    go.wait("join", name="node2")

    block(lab.hosts[0], lab.hosts[1])

    go.wait("leave", name="node2")
    ours.wait(MemberFailed)


@pytest.mark.parametrize("blocked_is_go", [True, False])
def test_udp_is_dropped_but_tcp_is_not(
    lab_of: LabOf, go_on: MemberOn[GoMember], ours_on: MemberOn[OurMember], blocked_is_go: bool
) -> None:
    lab = lab_of(2)
    go = go_on(lab.hosts[0], **CALM_GO)
    ours = ours_on(lab.hosts[1], timing=CALM).announce()
    ours.join(go)
    go.wait("join", name="node2")

    hosts = lab.hosts if blocked_is_go else lab.hosts[::-1]
    block(hosts[0], hosts[1], protocol="udp dport 7946")

    assert ours.wait(TcpOnly).member.name == "node1"
    wait_for(lambda: "but other probes failed" in go.log, "Go's warning")
    time.sleep(2 * CALM.probe_interval)
    assert not go.heard("leave")
    assert not ours.heard(MemberFailed)


def test_a_partition_heals(
    lab_of: LabOf, go_on: MemberOn[GoMember], ours_on: MemberOn[OurMember]
) -> None:
    """Cut for long enough that each side holds the other for dead, but has not forgotten it."""
    lab = lab_of(4)
    gos = [go_on(lab.hosts[0]), go_on(lab.hosts[2])]
    ours = [ours_on(lab.hosts[1]).announce(), ours_on(lab.hosts[3]).announce()]
    everybody: list[GoMember | OurMember] = [*gos, *ours]
    for one in ours:
        one.join(gos[0])
        one.join(gos[1])
    for member in everybody:
        wait_for(lambda m=member: len(m.members) == 4, f"everybody at {member.name}")

    for host in lab.hosts[:2]:
        block(host, *lab.hosts[2:])
    for host in lab.hosts[2:]:
        block(host, *lab.hosts[:2])
    gos[0].wait("leave", name="node3")
    gos[0].wait("leave", name="node4")
    wait_for(lambda: len(ours[1].heard(MemberFailed)) == 2, "the other half to fail")
    wait_for(lambda: len(gos[1].heard("leave")) == 2, "the other half to fail")
    for host in lab.hosts:
        host.run("nft", "delete", "table", "ip", "lab")
    ours[0].join(ours[1])
    ours[0].join(ours[1])

    for member in everybody:
        wait_for(
            lambda m=member: (
                sum(1 for one in m.members.values() if isinstance(one, dict) or one.live) == 4
            ),
            f"everybody back at {member.name}",
            40,
        )


def test_go_bound_to_every_address(
    lab_of: LabOf, go_on: MemberOn[GoMember], ours_on: MemberOn[OurMember]
) -> None:
    """It writes its address in the long form; we keep that, and know where it is."""
    lab = lab_of(3)
    gos = [go_on(host, "0.0.0.0", **CALM_GO) for host in lab.hosts[:2]]
    ours = ours_on(lab.hosts[2], timing=CALM).announce()
    ours.join(gos[0])
    gos[1].join(ours.host_port)

    for go in gos:
        wait_for(lambda go=go: len(go.members) == 3, f"everybody at {go.name}")
    wait_for(lambda: len(ours.members) == 3, "everybody here")

    tables = [records(ours, go.ip) for go in gos]
    own = {member.name: member.as_record() for member in ours.members.values()}
    assert tables[0] == tables[1] == own
    assert tables[0]["node1"].addr == pack_ip(lab.hosts[0].address, mapped=True)
    assert tables[0]["node3"].addr == pack_ip(lab.hosts[2].address)
    assert ours.members["node1"].address == Address(lab.hosts[0].address, 7946)
    time.sleep(3)
    assert not any(go.heard("conflict") or go.heard("leave") for go in gos)
    assert {member.incarnation for member in ours.members.values()} == {1}


@pytest.mark.parametrize("stop", ["leave", "kill"])
@pytest.mark.parametrize("every_address_first", [True, False])
def test_an_agent_changes_how_it_binds(
    lab_of: LabOf,
    go_on: MemberOn[GoMember],
    ours_on: MemberOn[OurMember],
    key: str,
    *,
    every_address_first: bool,
    stop: str,
) -> None:
    """From 0.0.0.0 to an explicit address or back: a Go member sees no conflict."""
    lab = lab_of(2)
    go = go_on(lab.hosts[0], "0.0.0.0")
    looker = ours_on(lab.hosts[0], port=7999)
    agent = Daemon(lab, lab.hosts[1])
    binds = ["0.0.0.0", lab.hosts[1].address]
    flags = ("--cluster-key", key, "--join", go.ip, "--timing=local")

    keys: list[bytes] = []
    for bind in binds if every_address_first else binds[::-1]:
        agent.start(*flags, "--bind-addr", bind)
        wait_for(lambda: agent.lives() and agent.overlay_address(), "the agent to be up")
        wait_for(
            lambda: go.members.get("node2", {}).get("current", {}).get("key") not in (None, *keys),
            "the agent's new metadata",
        )
        keys.append(go.members["node2"]["current"]["key"])
        assert records(looker, go.ip)["node2"].addr == pack_ip(
            lab.hosts[1].address, mapped=every_address_first
        )
        if stop == "leave":
            assert agent.stop() == 0
        else:
            agent.process.signal(signal.SIGKILL)
            agent.process.wait(5)
            lab.hosts[1].run("ip", "link", "delete", "wgoverlay", check=False)

    assert not go.heard("conflict")


def test_an_agent_rejoins_who_has_been_forgotten(
    lab_of: LabOf, go_on: MemberOn[GoMember], ours_on: MemberOn[OurMember], key: str
) -> None:
    """Go forgets whom it holds for dead and never asks again; the agent does, and unasked."""
    lab = lab_of(2)
    go, agent = go_on(lab.hosts[0], **FORGETFUL_GO), Daemon(lab, lab.hosts[1])
    looker = ours_on(lab.hosts[0], port=7999)
    agent.start("--cluster-key", key, "--init", "--timing=local", "--log-level=debug")
    wait_for(lambda: agent.lives() and agent.overlay_address(), "the agent to be up")
    assert go.join(lab.hosts[1].address)["count"] == 1

    lab.cut(lab.hosts[1])
    wait_for(lambda: "node2" not in records(looker, go.ip), "Go to forget the agent")
    lab.heal(lab.hosts[1])

    wait_for(lambda: len(go.heard("join", name="node2")) == 2, "the agent back at Go", 60)
    assert agent.lives()
