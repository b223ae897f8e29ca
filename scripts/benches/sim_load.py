"""What being a member costs the network: when nothing happens, and for one event."""

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.benches.sim_tables import QUICK_SIZES, SIZES, Question, Table, percent, verdict
from scripts.benches.sim_world import PINGS, QUIET, Traffic, converged, push_pull_interval
from wesher.gossip import WAN
from wesher.gossip.settings import transmit_limit

_NEWCOMER = "newcomer"
_SECONDS = {(10, 0.25): 600, (100, 0.25): 120, (1000, 0.25): 20, (10000, 0.0): 20}
"""How long to look; where packets get lost, false suspicions make it both varied and slow."""
_USUAL_SECONDS = 60
_IDLE = (
    (0.0, PINGS, 10000),
    (0.1, PINGS, 10000),
    (0.1, 1, 1000),
    (0.25, PINGS, 1000),
    (0.25, 1, 1000),
)
"""Loss, pings a probe, and the largest cluster that can be simulated so."""
_YARDSTICK = 100
"""Members of the cluster that others are compared with."""


@dataclass(frozen=True)
class LoadCase:
    """A settled cluster in which nothing happens; probes have up to `pings` each."""

    members: int
    loss: float
    pings: int
    seconds: float


@dataclass(frozen=True)
class Load:
    """What each member sends each second."""

    gossip: Traffic
    stream_bytes: float
    """Of pings by TCP, which probes try where packets get lost."""
    push_pull_bytes: float
    """Of tables: every member sends its own once per interval, and answers once."""


@dataclass(frozen=True)
class EventCase:
    """A quiet cluster that somebody joins, and then somebody else leaves."""

    members: int
    eager: bool


@dataclass(frozen=True)
class EventCosts:
    """What each member sends because of one event, above what it sends anyway."""

    join: Traffic
    leave: Traffic


def cases(quick: bool) -> list[LoadCase | EventCase]:
    """Return what to measure; with 25 % loss, 10,000 members suspect each other too often for it.

    With one ping a probe they do so with 10 %. Where nothing is lost, there is no second ping.
    """
    if quick:
        return [
            case
            for members in QUICK_SIZES
            for case in (LoadCase(members, 0.0, PINGS, QUIET), EventCase(members, True))
        ]
    idle = [
        LoadCase(members, loss, pings, _SECONDS.get((members, loss), _USUAL_SECONDS))
        for loss, pings, largest in _IDLE
        for members in SIZES
        if members <= largest
    ]
    return [*idle, *(EventCase(members, eager) for eager in (True, False) for members in SIZES)]


def measure(case: LoadCase | EventCase) -> Load | EventCosts:
    """Return what a case costs each member."""
    return _idle(case) if isinstance(case, LoadCase) else _events(case)


def _idle(case: LoadCase) -> Load:
    world = converged(case.members, 1, loss=case.loss, push_pull=False, pings=case.pings)
    world.run(QUIET)
    before = world.stats["stream bytes"]
    gossip = world.traffic_of(case.seconds)
    streams = world.stats["stream bytes"] - before
    share = 1 / case.members / case.seconds
    exchanged = _bytes_exchanged(case.members) / push_pull_interval(case.members)
    return Load(gossip * share, streams * share, exchanged)


def _bytes_exchanged(members: int) -> int:
    """Let one member exchange tables with another; return the bytes of both."""
    world = converged(members, 1, push_pull=False)
    world.join(*sorted(world.nodes)[:2])
    world.run(1)
    return world.stats["stream bytes"]


def _events(case: EventCase) -> EventCosts:
    world = converged(case.members, 1, eager=case.eager, push_pull=False)
    world.run(QUIET)
    idle = world.traffic_of(QUIET)
    host, *_, leaver = sorted(world.nodes)
    world.add(_NEWCOMER)
    world.join(_NEWCOMER, host)
    join = world.traffic_of(QUIET) - idle
    world.leave(leaver)
    leave = world.traffic_of(QUIET) - idle
    return EventCosts(join * (1 / case.members), leave * (1 / case.members))


def tables(measured: Mapping[LoadCase | EventCase, Load | EventCosts]) -> list[Table]:
    """Return the idle load and the costs of events."""
    idle: dict[LoadCase, Load] = {}
    events: dict[EventCase, EventCosts] = {}
    for case, cost in measured.items():
        if isinstance(case, LoadCase) and isinstance(cost, Load):
            idle[case] = cost
        elif isinstance(case, EventCase) and isinstance(cost, EventCosts):
            events[case] = cost
    return [_idle_table(idle), _event_table(events)]


def _idle_table(measured: Mapping[LoadCase, Load]) -> Table:
    return Table(
        "What an idle member sends each second",
        [
            "members",
            "loss",
            "pings a probe",
            "packets",
            "bytes",
            "bytes of TCP pings",
            "push/pull bytes",
            "load",
        ],
        [_idle_row(case, load, measured) for case, load in measured.items()],
    )


def _idle_row(case: LoadCase, load: Load, measured: Mapping[LoadCase, Load]) -> tuple[object, ...]:
    yardstick = _of_the_yardstick(measured, case)
    return (
        case.members,
        percent(case.loss),
        case.pings,
        load.gossip.packets,
        load.gossip.bytes,
        load.stream_bytes,
        load.push_pull_bytes,
        verdict(load.gossip.bytes, yardstick.gossip.bytes, _SUSPICIONS),
    )


def _of_the_yardstick(measured: Mapping[LoadCase, Load], alike: LoadCase) -> Load:
    """Return the load in the cluster of the usual size, in a quick look that of the largest."""
    by_size = {
        case.members: load
        for case, load in measured.items()
        if (case.loss, case.pings) == (alike.loss, alike.pings)
    }
    return by_size.get(_YARDSTICK) or by_size[max(by_size)]


_SUSPICIONS = (
    "everybody is told of false suspicions, and the larger the cluster, the more there are"
)


def _event_table(measured: Mapping[EventCase, EventCosts]) -> Table:
    return Table(
        "What each member sends because of one event",
        [
            "members",
            "gossip at once",
            "packets for a join",
            "bytes",
            "packets for a leave",
            "bytes",
            "memberlist's limit, packets",
            "load",
        ],
        [_event_row(case, costs, measured) for case, costs in measured.items()],
    )


def _event_row(
    case: EventCase, costs: EventCosts, measured: Mapping[EventCase, EventCosts]
) -> tuple[object, ...]:
    limit = transmit_limit(WAN.retransmit_mult, case.members)
    on = "on" if case.eager else "off"
    worth = verdict(costs.leave.packets, limit, _EAGER)
    join, leave = costs.join, costs.leave
    return (case.members, on, join.packets, join.bytes, leave.packets, leave.bytes, limit, worth)


_EAGER = "two eager rounds are 8 packets more, in clusters of any size"

QUESTION = Question(cases, measure, tables)
