"""Serf, which is on the same library but speaks delegate versions 2 to 5."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from msgpack import packb

from tests.interop.golang import GoOf, wait_for
from tests.interop.ours import OursOf, look, wire_of
from tests.testbed.agents import Agent, new_key
from wesher.gossip import (
    Address,
    Alive,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberState,
    MemberUpdated,
    PacketDropped,
    UserDataReceived,
    pack_ip,
)
from wesher.gossip.codec import encode

SERF = (2, 5, 4)  # what the library speaks unless told otherwise; its agent speaks 5


def tags(**tags: str) -> bytes:
    """Return metadata as serf encodes its tags."""
    packed: bytes = packb(tags, use_bin_type=False)
    return b"\xff" + packed


class Serf:
    """One serf agent."""

    def __init__(self, directory: Path, name: str, ip: str, key: str) -> None:
        self.name = name
        self.ip = ip
        self.port = 7946
        self.rpc = f"-rpc-addr={ip}:7373"
        self._log = directory / f"{name}.log"
        argv = ["serf", "agent", f"-node={name}", f"-bind={ip}:7946", self.rpc, "-profile=local",
                f"-encrypt={key}", "-log-level=debug"]  # fmt: skip
        with self._log.open("w") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_for(lambda: "agent: Serf agent starting" in self.log, f"{name} to start")
        wait_for(lambda: self.run("info", check=False), f"{name} to answer")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def run(self, *words: str, check: bool = True) -> str:
        argv = ["serf", words[0], self.rpc, *words[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout if done.returncode == 0 else ""

    @property
    def members(self) -> dict[str, str]:
        """The state of each member by name."""
        return {line.split()[0]: line.split()[2] for line in self.run("members").splitlines()}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class SerfOf(Protocol):
    """Makes members of serf, which run."""

    def __call__(self, name: str, key: str = ...) -> Serf: ...


@pytest.fixture
def serf_of(tmp_path: Path, key: str, new_address: Callable[[], str]) -> Iterator[SerfOf]:
    serfs: list[Serf] = []

    def make(name: str, key: str = key) -> Serf:
        serfs.append(Serf(tmp_path, name, new_address(), key))
        return serfs[-1]

    yield make
    for serf in serfs:
        serf.kill()
        print(f"--- {serf.name}\n{serf.log[-3000:]}")


def test_a_cluster_of_serf_and_ours(serf_of: SerfOf, ours_of: OursOf, key: str) -> None:
    serfs = [serf_of("serf0"), serf_of("serf1")]
    ours = ours_of("python", delegate_versions=SERF).announce(None)

    serfs[1].run("join", serfs[0].ip)
    ours.join(serfs[0])

    for serf in serfs:
        wait_for(lambda s=serf: s.members.get("python") == "alive", f"us at {serf.name}")
    wait_for(lambda: len(ours.members) == 3, "everybody here")
    serfs[0].run("event", "deploy", "now")
    assert (
        b"deploy" in ours.wait(UserDataReceived, lambda event: b"deploy" in event.payload).payload
    )
    time.sleep(3)
    assert set(serfs[0].members.values()) == {"alive"}
    assert "panic" not in serfs[0].log
    serfs[1].kill()
    assert ours.wait(MemberFailed).member.name == "serf1"
    wait_for(lambda: serfs[0].members["serf1"] == "failed", "its failure at serf")
    ours.reach(Address(serfs[0].ip, 7946), "serf0")
    ours.leave()
    wait_for(lambda: serfs[0].members["python"] in ("left", "failed"), "our departure")


def test_serf_leaves_and_returns(serf_of: SerfOf, ours_of: OursOf) -> None:
    serf = serf_of("serf")
    ours = ours_of("python", delegate_versions=SERF).announce(None)
    serf.run("join", ours.ip)
    ours.wait(MemberJoined)
    assert ours.members["serf"].versions[3:] == bytes([2, 5, 5])

    serf.run("leave")
    serf.process.wait(10)

    ours.wait(MemberLeft)
    assert ours.members["serf"].state is MemberState.LEFT


def test_serf_reads_what_we_publish_and_we_what_it_does(serf_of: SerfOf, ours_of: OursOf) -> None:
    """Its tags are the metadata of its members: a byte, then a map."""
    serf = serf_of("serf")
    ours = ours_of("python", delegate_versions=SERF).announce(tags(role="db"))
    ours.join(serf)
    wait_for(lambda: "role=db" in serf.run("members"), "our tag")

    ours.update(tags(role="cache"))
    serf.run("tags", "-set", "role=web")

    wait_for(lambda: "role=cache" in serf.run("members"), "our other tag")
    ours.wait(MemberUpdated, lambda event: event.member.meta == tags(role="web"))


def test_serf_notices_a_crash_of_ours_and_our_return(serf_of: SerfOf, ours_of: OursOf) -> None:
    serf = serf_of("serf")
    ours = ours_of("python", delegate_versions=SERF).announce(tags(run="first"))
    ours.join(serf)
    wait_for(lambda: serf.members.get("python") == "alive", "us")

    ours.kill()
    wait_for(lambda: serf.members["python"] == "failed", "our failure")
    again = ours_of("python", ours.ip, delegate_versions=SERF)
    seen = again.exchange(Address(serf.ip, 7946), look=True).records
    known = next(record for record in seen if record.name == "python")
    again.announce(tags(run="second"), incarnation=known.incarnation + 1)
    again.join(serf)

    wait_for(lambda: "run=second" in serf.run("members"), "our return")
    assert serf.members["python"] == "alive"


@pytest.mark.parametrize("join_serf", [True, False])
def test_serf_with_another_key_stays_outside(
    serf_of: SerfOf, ours_of: OursOf, *, join_serf: bool
) -> None:
    serf = serf_of("serf", new_key())
    ours = ours_of("python", delegate_versions=SERF).announce(None)

    if join_serf:
        assert ours.exchange(Address(serf.ip, 7946)).undecryptable
    else:
        serf.run("join", ours.ip, check=False)
        ours.wait(PacketDropped)

    assert set(serf.members) == {"serf"}
    assert set(ours.members) == {"python"}


def test_serf_cannot_join_wesher(
    serf_of: SerfOf,
    agent_of: Callable[[str], Agent],
    go_of: GoOf,
    key: str,
) -> None:
    """And nobody takes harm: a Go member and an agent go on meeting others."""
    agent = agent_of("alpha")
    agent.start(f"--cluster-key={key}", "--init", "--log-level=debug")
    wait_for(agent.is_up, "the agent")
    go = go_of("gopher")
    go.allowed = ("Failed push/pull merge",)
    go.join(agent.host.address)
    serf = serf_of("serf")

    for ip in (agent.host.address, go.ip):
        serf.run("join", ip, check=False)
    time.sleep(2)

    assert agent.lives()
    agent.says("incompatible versions")
    for ip in (agent.host.address, go.ip):
        assert set(look(ip, key)) == {"alpha", "gopher"}
    assert set(serf.members) == {"serf"}
    late = go_of("late")
    assert late.join(agent.host.address)["count"] == 1
    assert late.join(go.host_port)["count"] == 1
    wait_for(lambda: len(look(agent.host.address, key)) == 3, "a newcomer")


def test_serf_known_by_gossip_alone_is_refused(
    serf_of: SerfOf,
    ours_of: OursOf,
    go_of: GoOf,
    key: str,
) -> None:
    """A Go member takes it in, and nobody can exchange tables with that one any more; we can."""
    ours = ours_of("python").announce()
    other = ours_of("other").announce()
    go = go_of("gopher")
    go.allowed = ("Failed push/pull merge", "Push/Pull with")
    ours.join(go)
    serf = serf_of("serf")
    wait_for(lambda: "gopher" in ours.members, "gopher")
    versions = bytes([1, 5, 2, *SERF])
    alive = Alive(1, "serf", pack_ip(serf.ip), 7946, None, versions)
    packet = wire_of(key).seal_packet([encode(alive)], checksum=True)

    for to in (ours, go):
        other.send(packet, Address(to.ip, to.port))
    ours.wait(PacketDropped)
    wait_for(lambda: "serf" in go.members, "serf at the Go member")

    assert "serf" not in ours.members
    assert ours.exchange(Address(other.ip, 7946)).error is None
