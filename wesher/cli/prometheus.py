"""What an agent counts, in Prometheus' text format, version 0.0.4. docs/metrics.md lists it.

The format is lines: for each metric a `# HELP` and a `# TYPE`, then a sample a line,
`name{label="value",…} number`. In a value backslash, quote and newline are escaped, no more; the
name of a counter ends in `_total`. It is written here and not by a library, as one that a host
must have just for this would be missing where it is wanted.

Made anew for every reading, so the series of a member vanish with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from wesher.base.errors import printable
from wesher.base.frozen import frozen

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("alive", "suspect", "failed", "left")
_DIRECTIONS = ("received", "sent")
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Reply = Mapping[str, Any]
Labels = tuple[str, ...]
Samples = Mapping[Labels, float]
"""Numbers by the values of the labels."""


@frozen
class Metric:
    """All samples of one name."""

    name: str
    help: str
    labels: Labels
    samples: Samples

    def lines(self) -> Iterator[str]:
        """Yield it as Prometheus reads it; a name of a member cannot forge a line."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {'counter' if self.name.endswith('_total') else 'gauge'}"
        for values, number in self.samples.items():
            yield f"{self.name}{_labels(self.labels, values)} {float(number)!r}"


def render(status: Reply, account: Reply) -> str:
    """Return the agent's answers to `status` and `account` in Prometheus' text format."""
    return "".join(f"{line}\n" for metric in metrics(status, account) for line in metric.lines())


def metrics(status: Reply, account: Reply) -> Iterator[Metric]:
    """Yield all there are."""
    yield from _node(status)
    yield from _coordinator(status, account)
    yield from _traffic(account)
    yield from _work(account)
    yield from _invitations(account)
    yield from _peers(status["members"])


def _labels(names: Labels, values: Labels) -> str:
    pairs = zip(names, values, strict=True)
    told = ",".join(f'{name}="{printable(value).translate(_ESCAPED)}"' for name, value in pairs)
    return f"{{{told}}}" if told else ""


def _one(name: str, help_text: str, number: float) -> Metric:
    return Metric(name, help_text, (), {(): number})


def _by(label: str, name: str, help_text: str, numbers: Mapping[str, float]) -> Metric:
    return Metric(name, help_text, (label,), {(key,): one for key, one in numbers.items()})


def _node(status: Reply) -> Iterator[Metric]:
    node = status["node"]
    labels = ("device", "interface", "name", "version")
    values = tuple(str(node[label]) for label in labels)
    yield Metric("wesher_info", "The agent that runs, always 1.", labels, {values: 1})
    yield _one("wesher_uptime_seconds", "Time since its start.", node["uptime"])


def _coordinator(status: Reply, account: Reply) -> Iterator[Metric]:
    states = Counter(member["state"] for member in status["members"])
    by_state = {one: states[one] for one in STATES}
    yield _by("state", "wesher_members", "Other members by state.", by_state)
    health = "Health score: 0 is healthy, more means that our own probes get lost or come late."
    yield _one("wesher_health_score", health, account["health_score"])
    suspicions = "Times that a member began to be suspected."
    yield _one("wesher_suspicions_total", suspicions, account["suspicions"])
    refutations = "Times that we answered a suspicion of us."
    yield _one("wesher_refutations_total", refutations, account["refutations"])
    denied = "Claims of names that were not believed, as another identity has them."
    yield _one("wesher_denied_claims_total", denied, account.get("denied_claims", 0))


def _traffic(account: Reply) -> Iterator[Metric]:
    messages: dict[Labels, float] = {
        (direction, kind): count
        for direction in _DIRECTIONS
        for kind, count in account["messages"][direction].items()
    }
    name, labels = "wesher_gossip_messages_total", ("direction", "kind")
    yield Metric(name, "Gossip messages by kind.", labels, messages)
    traffic = account["traffic"]
    for what, help_text, key in (
        ("packets", "Gossip packets (UDP).", "packets_{}"),
        ("packet_bytes", "Bytes of gossip packets (UDP), encrypted.", "packet_bytes_{}"),
        ("stream_bytes", "Bytes of gossip streams (TCP), encrypted.", "stream_bytes_{}"),
    ):
        counts = {direction: traffic[key.format(direction)] for direction in _DIRECTIONS}
        yield _by("direction", f"wesher_gossip_{what}_total", help_text, counts)
    streams = {"received": traffic["streams_accepted"], "sent": traffic["streams_opened"]}
    yield _by("direction", "wesher_gossip_streams_total", "Gossip streams (TCP).", streams)
    dropped = "Packets, streams and messages thrown away."
    yield _by("reason", "wesher_dropped_total", dropped, account["dropped"])


def _work(account: Reply) -> Iterator[Metric]:
    reconciles, tools = account["reconciles"], account["tools"]
    compared = "Comparisons of this host with the plan."
    yield _one("wesher_reconciles_total", compared, reconciles["count"])
    yield _one("wesher_reconcile_seconds_total", "Time that they took.", reconciles["seconds"])
    repairs = "Times that another program's change was undone."
    yield _one("wesher_repairs_total", repairs, reconciles["repairs"])
    failures = "Times that something could not be brought up to date."
    yield _by("what", "wesher_reconcile_failures_total", failures, reconciles["failures"])
    yield _by("tool", "wesher_tool_calls_total", "Calls of the system's tools.", tools["calls"])
    yield _by("tool", "wesher_tool_failures_total", "Calls that failed.", tools["failures"])
    yield _one("wesher_tool_retries_total", "Calls that repeated a failed one.", tools["retries"])


def _invitations(account: Reply) -> Iterator[Metric]:
    told = "What became of invitations: made, withdrawn, redeemed by a host, or refused, and why."
    yield _by("outcome", "wesher_invitations_total", told, account.get("invitations", {}))


def _peers(everybody: list[Reply]) -> Iterator[Metric]:
    """Yield what is known of each member that has not left; nothing where it is not known."""
    members = [member for member in everybody if member["state"] != "left"]
    for name, help_text, key in (
        (
            "wesher_peer_handshake_age_seconds",
            "Time since the last WireGuard handshake.",
            "handshake",
        ),
        *(
            (f"wesher_peer_{one}_bytes_total", f"Bytes {one} through WireGuard.", one)
            for one in _DIRECTIONS
        ),
        (
            "wesher_member_round_trip_seconds",
            "Round trip of the last answered gossip probe.",
            "round_trip",
        ),
    ):
        yield _by("member", name, help_text, _known(members, key))


def _known(members: list[Reply], key: str) -> dict[str, float]:
    return {member["name"]: member[key] for member in members if member[key] is not None}
