"""Playing a scenario in a world, to the end: when all faults are over, everyone must agree."""

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.testbed.sim.faults import Step
from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.planted_bugs import planted
from tests.testbed.sim.scenarios import Scenario, scenario
from tests.testbed.sim.trace import Violation
from wesher.gossip import MemberState
from wesher.gossip.settings import PRESETS, suspicion_timeout

LEAVING = 2.0  # seconds after which whoever leaves has gone
REUNION = 120.0  # seconds in which those find together who were apart
LINGER = 20.0  # seconds that an agreement must last, with nothing to disturb it
HISTORY = 30  # lines


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What one scenario came to."""

    scenario: Scenario
    seconds: float = 0.0
    """Of virtual time."""
    members: int = 0
    stats: Counter[str] = field(default_factory=Counter)
    settled_in: float | None = None
    """Seconds from the end of the last fault until everyone agreed."""
    digest: str = ""
    violation: str = ""
    history: tuple[str, ...] = ()


def play(scenario: Scenario, *, broken: str | None = None) -> PlanResult:
    """Play a scenario with whole nodes, perhaps with a bug planted in them."""
    with planted(broken):
        return Stage(scenario).outcome()


def play_seed(
    seed: int,
    *,
    members: int | None = None,
    kinds: tuple[str, ...] = (),
    broken: str | None = None,
) -> PlanResult:
    """Play the random scenario of a seed."""
    return play(scenario(seed, members=members, kinds=kinds), broken=broken)


def address_of(host: str) -> str:
    """Return where a host is, as long as it does not move."""
    number = int(host.removeprefix("h"))
    return f"192.168.{number // 250}.{number % 250 + 1}"


class Stage:
    """A world that a scenario is played in."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.world = MeshWorld(scenario.seed, **dict(scenario.network))
        self.world.names = {host: [address_of(host)] for host in scenario.founders}
        self._settled_in: float | None = None

    def outcome(self) -> PlanResult:
        """Play, and tell what came of it; whatever is raised on the way is a violation."""
        violation = ""
        try:
            self._play()
        except Violation as broken:
            violation = str(broken).partition("\n")[0]
        except Exception:  # a node that raises has failed as much as one that disagrees
            violation = traceback.format_exc(limit=-5).strip()
        world = self.world
        return PlanResult(
            self.scenario,
            world.now,
            len(world.nodes),
            Counter(world.stats),
            self._settled_in,
            world.digest(),
            violation,
            tuple(world.history(HISTORY)) if violation else (),
        )

    def _play(self) -> None:
        for step in self.scenario.steps:
            self.world.run(step.at)
            self._take(step)
        self.world.run(max(self.world.now, self.scenario.seconds))
        self._end_faults()
        self._settle()

    def _take(self, step: Step) -> None:
        """Do what the script says, to those to whom it can still be done."""
        world, call, hosts = self.world, step.call, step.args
        if call in _TO_SOME:
            hosts = tuple(host for host in hosts if _TO_SOME[call](self, host))
        if call == "forget_seeds":
            self._forget_seeds(*hosts)
        elif call == "start" and not self._is_up(hosts[0]):
            self._start(*hosts, **dict(step.options))
        elif self._makes_sense(call, hosts):
            getattr(world, call)(*hosts, **dict(step.options))

    def _makes_sense(self, call: str, args: tuple[Any, ...]) -> bool:
        match call:
            case "start":
                return False
            case "drift" | "slow":
                return self._is_running(args[0])
            case "link" | "streams":
                return {args[0], args[1]} <= self.world.nodes.keys()
        return bool(args) or call == "heal"

    def _start(self, host: str, *seeds: str, ip: str | None = None, **options: Any) -> None:
        """Start a host at its usual address, or move it."""
        ip = ip or address_of(host)
        self.world.names[host] = [ip]
        if options.get("go"):
            seeds = tuple(map(address_of, seeds))  # it does not ask the world for names
        timing = PRESETS[options.pop("timing")]
        self.world.start(host, *seeds, ip=ip, timing=timing, **options)

    def _forget_seeds(self, host: str) -> None:
        """Start a host again that is told nobody to join, if it has written down others."""
        node = self.world.nodes[host]
        if node.saved.members:
            node.seeds = ()
            self.world.restart(host)

    def _is_up(self, host: str) -> bool:
        return host in self.world.nodes and self.world.nodes[host].up

    def _is_running(self, host: str) -> bool:
        return self._is_up(host) and not self.world.nodes[host].paused

    def _is_asleep(self, host: str) -> bool:
        return self._is_up(host) and self.world.nodes[host].asleep

    def _is_paused(self, host: str) -> bool:
        return self._is_up(host) and not self._is_running(host) and not self._is_asleep(host)

    def _is_down(self, host: str) -> bool:
        return host in self.world.nodes and not self._is_up(host)

    def _end_faults(self) -> None:
        """Make the network perfect and all hosts healthy, and let the founders run."""
        world = self.world
        world.calm()
        for host in filter(self._is_asleep, world.nodes):
            world.wake(host)
        for host in filter(self._is_up, world.nodes):
            world.drift(host, 1.0)
            world.slow(host, None)
            world.resume(host)
        world.run(world.now + LEAVING)
        for founder in self.scenario.founders:
            if not self._is_up(founder):
                world.restart(founder)

    def _settle(self) -> None:
        """Wait until all agree, and see that it lasts."""
        world = self.world
        ended_at = world.now
        while self._is_open() and world.now < ended_at + self._bound():
            world.run(world.now + 1)
        world.check_settled()
        for node in world.nodes.values():
            if reason := node.refusal():
                world.violate(f"{node.host} refused to start: {reason}")
        self._settled_in = world.now - ended_at
        world.run(world.now + LINGER)
        world.check_settled()

    def _is_open(self) -> bool:
        """Tell whether there is no agreement yet, or a suspicion that may end it again.

        What a suspicion began with may be over long before anything tells the suspect of it, so
        that a member can still be given up when nothing is wrong any more.
        """
        ours = [node for node in self.world.nodes.values() if node.up and not node.go]
        names = {node.name for node in ours}
        return not self.world.settled() or any(
            member.state is MemberState.SUSPECT and member.name in names
            for node in ours
            for member in node.gossip.members
        )

    def _bound(self) -> float:
        """Return in how many seconds all must agree: time to find together, and to give up."""
        number = len(self.world.nodes)
        slowest = max(
            (node.settings.timing for node in self.world.nodes.values()),
            key=lambda timing: timing.probe_interval,
        )
        suspicion = suspicion_timeout(slowest, number) * slowest.suspicion_max_timeout_mult
        return REUNION + 2 * number * slowest.probe_interval + suspicion


_TO_SOME = {
    "crash": Stage._is_running,
    "stop": Stage._is_running,
    "pause": Stage._is_running,
    "suspend": Stage._is_running,
    "resume": Stage._is_paused,
    "wake": Stage._is_asleep,
    "restart": Stage._is_down,
}
"""Steps that are left out for those to whom they do not fit."""
