"""What the agent's hands count while they work; the node counts in mesh/reporting/node_stats.py."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Traffic:
    """Packets and streams of the gossip, with their bytes as they are on the wire, sealed."""

    packets_received: int = 0
    packets_sent: int = 0
    packet_bytes_received: int = 0
    packet_bytes_sent: int = 0
    streams_accepted: int = 0
    streams_opened: int = 0
    stream_bytes_received: int = 0
    stream_bytes_sent: int = 0


@dataclass(slots=True)
class Reconciles:
    """How often and how long this host was compared with the plan; failures by what failed."""

    count: int = 0
    seconds: float = 0.0
    repairs: int = 0
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class ToolCalls:
    """Calls of the system's tools by name, those that failed, and repeated ones."""

    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    retries: int = 0
