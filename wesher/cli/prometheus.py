"""What an agent counts, as Prometheus metrics; needs prometheus-client. docs/metrics.md lists them.

Made anew for every reading, so the series of a member vanish with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Reply = Mapping[str, Any]

STATES = ("alive", "suspect", "failed", "left")
_DIRECTIONS = ("received", "sent")


def render(status: Reply, account: Reply) -> str:
    """Return the agent's answers to `status` and `account` in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Agent(status, account))
    return generate_latest(registry).decode()


class _Agent(Collector):
    """One moment of one agent."""

    def __init__(self, status: Reply, account: Reply) -> None:
        self._status = status
        self._account = account

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from _node(self._status)
        yield from _coordinator(self._status, self._account)
        yield from _traffic(self._account)
        yield from _work(self._account)
        yield from _peers(self._status["members"])


def _node(status: Reply) -> Iterator[Metric]:
    node = status["node"]
    labels = {name: str(node[name]) for name in ("name", "version", "interface", "device")}
    info = GaugeMetricFamily("wesher_info", "The agent that runs, always 1.", labels=list(labels))
    info.add_metric(list(labels.values()), 1)
    yield info
    yield GaugeMetricFamily("wesher_uptime_seconds", "Time since its start.", node["uptime"])


def _coordinator(status: Reply, account: Reply) -> Iterator[Metric]:
    states = Counter(member["state"] for member in status["members"])
    yield _gauges(
        "wesher_members", "Other members by state.", "state", {one: states[one] for one in STATES}
    )
    health = "Health score: 0 is healthy, more means that our own probes get lost or come late."
    yield GaugeMetricFamily("wesher_health_score", health, account["health_score"])
    yield CounterMetricFamily(
        "wesher_suspicions", "Times that a member began to be suspected.", account["suspicions"]
    )
    yield CounterMetricFamily(
        "wesher_refutations", "Times that we answered a suspicion of us.", account["refutations"]
    )


def _traffic(account: Reply) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "wesher_gossip_messages", "Gossip messages by kind.", labels=("direction", "kind")
    )
    for direction in _DIRECTIONS:
        for kind, count in account["messages"][direction].items():
            messages.add_metric((direction, kind), count)
    yield messages
    traffic = account["traffic"]
    for name, what, key in (
        ("packets", "Gossip packets (UDP).", "packets_{}"),
        ("packet_bytes", "Bytes of gossip packets (UDP), encrypted.", "packet_bytes_{}"),
        ("stream_bytes", "Bytes of gossip streams (TCP), encrypted.", "stream_bytes_{}"),
    ):
        counts = {direction: traffic[key.format(direction)] for direction in _DIRECTIONS}
        yield _counters(f"wesher_gossip_{name}", what, "direction", counts)
    streams = {"received": traffic["streams_accepted"], "sent": traffic["streams_opened"]}
    yield _counters("wesher_gossip_streams", "Gossip streams (TCP).", "direction", streams)
    dropped = "Packets, streams and messages thrown away."
    yield _counters("wesher_dropped", dropped, "reason", account["dropped"])


def _work(account: Reply) -> Iterator[Metric]:
    reconciles, tools = account["reconciles"], account["tools"]
    yield CounterMetricFamily(
        "wesher_reconciles", "Comparisons of this host with the plan.", reconciles["count"]
    )
    yield CounterMetricFamily(
        "wesher_reconcile_seconds", "Time that they took.", reconciles["seconds"]
    )
    yield CounterMetricFamily(
        "wesher_repairs", "Times that another program's change was undone.", reconciles["repairs"]
    )
    failures = "Times that something could not be brought up to date."
    yield _counters("wesher_reconcile_failures", failures, "what", reconciles["failures"])
    yield _counters("wesher_tool_calls", "Calls of the system's tools.", "tool", tools["calls"])
    yield _counters("wesher_tool_failures", "Calls that failed.", "tool", tools["failures"])
    yield CounterMetricFamily(
        "wesher_tool_retries", "Calls that repeated a failed one.", tools["retries"]
    )


def _peers(everybody: list[Reply]) -> Iterator[Metric]:
    """Yield what is known of each member that has not left; nothing where it is not known."""
    members = [member for member in everybody if member["state"] != "left"]
    yield _gauges(
        "wesher_peer_handshake_age_seconds",
        "Time since the last WireGuard handshake.",
        "member",
        _known(members, "handshake"),
    )
    for direction in _DIRECTIONS:
        yield _counters(
            f"wesher_peer_{direction}_bytes",
            f"Bytes {direction} through WireGuard.",
            "member",
            _known(members, direction),
        )
    yield _gauges(
        "wesher_member_round_trip_seconds",
        "Round trip of the last answered gossip probe.",
        "member",
        _known(members, "round_trip"),
    )


def _known(members: list[Reply], key: str) -> dict[str, float]:
    return {member["name"]: member[key] for member in members if member[key] is not None}


def _gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _counters(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
