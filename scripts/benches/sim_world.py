"""The world that the numbers come from: members that know each other, and when each hears what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Self, Unpack

from tests.testbed.sim.converged import names_of
from tests.testbed.sim.hosts import Node
from tests.testbed.sim.world import Conditions, World
from wesher.base.frozen import replace
from wesher.gossip import WAN, GossipSettings, MemberFailed, MemberJoined, MemberLeft
from wesher.gossip.settings import push_pull_scale
from wesher.mesh.base.metadata import Metadata, encode_metadata

LATENCY = 0.05  # seconds one way
NEVER = 1e9  # seconds
QUIET = 10.0  # seconds, two probe intervals: each member probes exactly twice
PINGS = GossipSettings("", b"", 0).pings
"""What a probe of ours sends to one that does not answer."""
META = encode_metadata(
    Metadata(
        overlay_addr=IPv4Address("10.128.0.1"),
        public_key="k" * 43 + "=",
        wireguard_port=51820,
        overlay_net="10.0.0.0/8",
        has_ext=True,
    ),
    "current",
)
"""What every member says about itself; real ones have as many bytes."""
_KINDS = (MemberJoined, MemberFailed, MemberLeft)


@dataclass(frozen=True)
class Traffic:
    """Packets and the bytes in them, without what IP and UDP add."""

    packets: float
    bytes: float

    def __sub__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.packets - other.packets, self.bytes - other.bytes)

    def __mul__(self, factor: float) -> "Traffic":
        return Traffic(self.packets * factor, self.bytes * factor)


class MeasuredWorld(World):
    """A world that writes down who has heard of what; all have the same `settings`."""

    def __init__(
        self,
        names: Iterable[str],
        seed: int,
        *,
        settings: Mapping[str, Any] | None = None,
        **conditions: Unpack[Conditions],
    ) -> None:
        self._settings = settings or {}
        self.heard: dict[tuple[type, str], list[float]] = {}
        super().__init__(names, seed, **conditions)

    @classmethod
    def converged(
        cls,
        number: int,
        seed: int,
        *,
        settings: Mapping[str, Any] | None = None,
        **conditions: Unpack[Conditions],
    ) -> Self:
        """Return a world of `number` members that know each other, and have exchanged nothing."""
        world = cls(names_of(number), seed, settings=settings, **conditions)
        world._introduce()
        return world

    def add(
        self, name: str, *, ip: str | None = None, meta: bytes = META, **settings: object
    ) -> Node:
        """Start a participant with metadata of the usual size."""
        return super().add(name, ip=ip, meta=meta, **{**self._settings, **settings})

    def times(self, kind: type, name: str) -> list[float]:
        """Return when members heard this about `name`, the first one first."""
        return self.heard.setdefault((kind, name), [])

    def traffic(self) -> Traffic:
        """Return what was sent in packets so far."""
        return Traffic(self.stats["packets"], self.stats["bytes"])

    def traffic_of(self, seconds: float) -> Traffic:
        """Let time pass; return what was sent in packets meanwhile."""
        before = self.traffic()
        self.run(self.now + seconds)
        return self.traffic() - before

    def _on_event(self, node: Node, event: object) -> None:
        if isinstance(event, _KINDS):
            self.times(type(event), event.member.name).append(self.now)
        super()._on_event(node, event)


def converged(
    members: int,
    seed: int,
    *,
    loss: float = 0.0,
    push_pull: bool = True,
    gossip: bool = True,
    **settings: object,
) -> MeasuredWorld:
    """Return a world of members that have been together for long, on links of 50 ms.

    Without `gossip` they only probe each other. The rest are settings of each Gossip.
    """
    timing = replace(
        WAN,
        # Each member's first push/pull comes as if it had not just begun.
        push_pull_interval=push_pull_interval(members) if push_pull else NEVER,
        gossip_members=WAN.gossip_members if gossip else 0,
    )
    return MeasuredWorld.converged(
        members, seed, latency=(LATENCY, LATENCY), loss=loss, timing=timing, settings=settings
    )


def push_pull_interval(members: int) -> float:
    """Return the seconds from one push/pull of a member to its next."""
    return WAN.push_pull_interval * push_pull_scale(members)
