"""Whether traffic to and from a node suffers while its agent is killed and handed over."""

import signal
import statistics
import time
from collections.abc import Iterator

from scripts.benches.flow import say_lost
from scripts.benches.measuring import Options, Result, say, sleep_until
from tests.testbed.lab.daemons import Daemon, Mesh, ping
from tests.testbed.lab.gossip_lookup import alive
from tests.testbed.lab.netns import Lab, wait_for
from tests.testbed.lab.traffic import Flow

_WAYS = [signal.SIGKILL] * 10 + [signal.SIGUSR1] * 10
_JOIN_WHILE_DOWN = (5, 15)  # at which restarts a member joins while the agent does not run,
_JOIN_BETWEEN = (7, 17)  # and after which ones
_INTERVAL = 7.0  # seconds between restarts: all last longer than a session key of WireGuard
_DOWN = 1.0  # seconds without an agent
_TIMEOUT = 60  # seconds


def measure(options: Options) -> Result:
    """Number the packets to and from a node whose agent is killed ten times, then handed over ten.

    Every count but that of lost packets should be that of restarts, or of newcomers.
    """
    with Lab(3 + len(_JOIN_WHILE_DOWN + _JOIN_BETWEEN)) as lab:
        mesh = Mesh(lab, command=options.command)
        restarts = _Restarts(mesh)
        there, back = Flow(restarts.other, restarts.victim), Flow(restarts.victim, restarts.other)
        with there, back:
            restarts.run()
    for flow in (there, back):
        say_lost(flow)
    return {
        "sent": there.sent + back.sent,
        "lost": len(there.lost()) + len(back.lost()),
        "restarts": len(_WAYS),
        **restarts.result(),
    }


class _Restarts:
    """A mesh in which one agent is restarted and others join, and what is seen of it."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.other, self.victim, self.witness, *guests = mesh.daemons
        self.members = [self.other, self.victim, self.witness]
        self._guests: Iterator[Daemon] = iter(guests)
        for daemon in self.members:
            mesh.start_one(daemon)
        mesh.wait_until_complete(_TIMEOUT, self.members)
        wait_for(lambda: all(one.overlay_address() for one in self.members), _TIMEOUT, "addresses")
        # Flows both ways that begin at one instant let two handshakes collide, and wait 5 s.
        wait_for(lambda: ping(self.other, self.victim.host.name, 1), _TIMEOUT, "a handshake")
        self._alive_again: list[float] = []
        self._keys_kept = self._handshakes_kept = self._newcomers = 0

    def run(self) -> None:
        """Restart and let members join, as the tables above say."""
        next_at = time.monotonic() + 2
        for number, way in enumerate(_WAYS, start=1):
            sleep_until(next_at)
            next_at += _INTERVAL
            self._restart(number, way)
            if number in _JOIN_BETWEEN:
                self._meet(self._invite())

    def result(self) -> Result:
        """Return what was seen."""
        return {
            "alive_again": len(self._alive_again),
            "alive_again_median_seconds": round(statistics.median(self._alive_again), 2),
            "alive_again_worst_seconds": round(max(self._alive_again), 2),
            "same_public_key": self._keys_kept,
            "handshakes_kept": self._handshakes_kept,
            "newcomers": len(_JOIN_WHILE_DOWN + _JOIN_BETWEEN),
            "newcomers_met": self._newcomers,
        }

    def _restart(self, number: int, way: signal.Signals) -> None:
        key, handshakes = public_key(self.victim), _handshakes(self.victim)
        incarnation = max(self._incarnations())
        self.victim.stop(way)
        guest = self._invite() if number in _JOIN_WHILE_DOWN else None
        time.sleep(_DOWN)
        started = time.monotonic()
        self.mesh.start_one(self.victim)
        wait_for(lambda: self._is_back(incarnation), _TIMEOUT, "the agent to be alive for all")
        self._alive_again.append(time.monotonic() - started)
        self._keys_kept += public_key(self.victim) == key
        now = _handshakes(self.victim)
        kept = bool(handshakes) and all(now.get(key, 0) >= at for key, at in handshakes.items())
        self._handshakes_kept += kept
        say(f"restart {number}, {way.name}: alive again after {self._alive_again[-1]:.2f} s")
        if guest:
            self._meet(guest)

    def _incarnations(self) -> list[int]:
        """Those with which the others hold the restarted agent, 0 where it is not alive."""
        tables = [self.mesh.look(one) for one in self.members if one is not self.victim]
        name = self.victim.host.name
        return [table[name].incarnation if name in alive(table) else 0 for table in tables]

    def _is_back(self, incarnation: int) -> bool:
        """Whether all hold it for alive with a new incarnation, and it holds all for alive."""
        names = {daemon.host.name for daemon in self.members}
        back = min(self._incarnations()) > incarnation
        return back and alive(self.mesh.look(self.victim)) == names

    def _invite(self) -> Daemon:
        """Let one more member join."""
        guest = next(self._guests)
        self.mesh.start_one(guest)
        wait_for(lambda: len(guest.peers()) >= len(self.members) - 1, _TIMEOUT, "its peers")
        self.members.append(guest)
        return guest

    def _meet(self, guest: Daemon) -> None:
        """See that the restarted agent and a newcomer become peers."""
        theirs, ours = public_key(guest), public_key(self.victim)
        what = f"{guest.host.name} and {self.victim.host.name} to be peers"
        seconds = wait_for(
            lambda: theirs in self.victim.peers() and ours in guest.peers(), _TIMEOUT, what
        )
        self._newcomers += 1
        say(f"{guest.host.name} joined: peers after {seconds:.2f} s more")


def public_key(daemon: Daemon) -> str:
    """Return the public key of an agent's interface."""
    return daemon.host.run("wg", "show", daemon.interface, "public-key").strip()


def _handshakes(daemon: Daemon) -> dict[str, int]:
    """Map those of its peers that it has ever had a handshake with to when that was."""
    return {key: peer.handshake for key, peer in daemon.peers().items() if peer.handshake}
