"""What an agent tells of itself and its members, as JSON; docs/control.md explains every field."""

import os
from collections.abc import Mapping
from typing import Any

from wesher import __version__
from wesher.base.frozen import frozen
from wesher.base.naming import fingerprint
from wesher.config.config import Config
from wesher.control.invitations import Invitations
from wesher.gossip.keyring import Keyring
from wesher.mesh.base import identity
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.metadata import Metadata
from wesher.mesh.base.plan import NO_KEY
from wesher.mesh.base.seeds import SeedStatus
from wesher.mesh.members import Denied
from wesher.mesh.node import MeshNode
from wesher.mesh.planning import Behind
from wesher.mesh.reporting import MemberStatus, NodeStatus, Standing
from wesher.system.device import Device
from wesher.system.reconciler import Reconciler
from wesher.system.transport import Transport
from wesher.system.wireguard import PeerState

LATELY = 600.0  # seconds for which a status tells of claims that were not believed
Json = dict[str, Any]

_STABLE = (
    "name",
    "state",
    "address",
    "overlay_address",
    "public_key",
    "implementation",
    "version",
    "peer",
    "reason",
)


@frozen
class Running:
    """An agent that has come so far as to have a node; instants are of its event loop's clock."""

    config: Config
    keyring: Keyring
    node: MeshNode
    transport: Transport
    device: Device
    reconciler: Reconciler
    invitations: Invitations
    started_at: float
    identity: Identity | None = None


@frozen
class Moment:
    """When a status is taken, and what WireGuard told then: None when it told nothing.

    `now` is of the event loop's clock, `wall` in seconds since the epoch, as handshakes are.
    """

    now: float
    wall: float
    userspace: bool
    peers: Mapping[str, PeerState] | None


def as_status(running: Running, moment: Moment) -> Json:
    """Return everything that `wesher status` shows."""
    status = running.node.status()
    problems = [f"{what}: {told}" for what, told in sorted(running.reconciler.problems.items())]
    if status.waiting:
        problems.append(
            f"members: {status.waiting} more came in a crowd and have not answered us; "
            "none is a peer before it does"
        )
    return {
        "node": _node(running, status, moment),
        "seeds": [_seed(seed, moment) for seed in status.seeds],
        "troubles": problems,
        "members": [as_member(running, member, moment) for member in status.members],
    }


def as_member(running: Running, member: MemberStatus, moment: Moment) -> Json:
    """Return one member as `wesher status` shows it."""
    metadata = member.metadata or Metadata()
    live = member.standing is not Standing.LEFT
    peer = (moment.peers or {}).get(metadata.public_key) if live else None
    endpoint = member.endpoint and str(member.endpoint)
    return {
        "name": member.name,
        "state": member.standing.value,
        "since": _ago(member.since, moment.now),
        "address": str(member.address),
        "overlay_address": _text(metadata.overlay_addr),
        "public_key": metadata.public_key or None,
        "implementation": _implementation(member.metadata),
        "version": metadata.version,
        "answers": metadata.answers,
        "peer": member.endpoint is not None,
        "reason": member.reason,
        "unnamed": member.unnamed,
        "networks": _networks(member.networks),
        "announced_endpoint": endpoint,
        "endpoint": _text(peer and peer.endpoint),
        "handshake": _ago(peer.latest_handshake or None, moment.wall) if peer else None,
        "received": peer.received if peer else None,
        "sent": peer.sent if peer else None,
        "preshared_key": _has_preshared(peer),
        "round_trip": _seconds(member.round_trip),
        "key_fingerprint": _spoken(running, member),
        "identity": _fingerprint(member.identity),
        "denied": _denied(member.denied, moment),
    }


def as_details(running: Running, member: MemberStatus, moment: Moment) -> Json:
    """Return one member as `wesher info` shows it."""
    metadata = member.metadata or Metadata()
    peer = (moment.peers or {}).get(metadata.public_key)
    versions = list(member.versions or ())
    return as_member(running, member, moment) | {
        "incarnation": member.incarnation,
        "protocol_versions": versions[:3] or None,
        "metadata_format": metadata.format if member.metadata else None,
        "overlay_network": metadata.overlay_net,
        "wireguard_port": metadata.wireguard_port,
        "advertised_endpoint": metadata.endpoint,
        "address_is_fixed": metadata.immovable or _implementation(member.metadata) == "go",
        "address_was_kept": metadata.kept,
        "allowed_ips": sorted(map(str, peer.allowed_ips)) if peer else [],
        "keepalive": peer.keepalive if peer else None,
        "without_preshared_key": _without_preshared(running, member.metadata, peer),
    }


def _has_preshared(peer: PeerState | None) -> bool | None:
    """Tell whether a tunnel has one, which it is nobody is told."""
    return peer.preshared_key != NO_KEY if peer else None


def _without_preshared(
    running: Running, metadata: Metadata | None, peer: PeerState | None
) -> str | None:
    """Say why a tunnel has no preshared key; None when it has one, or there is no tunnel."""
    if metadata is None or peer is None or _has_preshared(peer):
        return None
    if running.config.psk == "off":
        return "this host has --psk off"
    if not metadata.has_ext:
        return "it runs the original, which knows none"
    if not metadata.preshared:
        return "it has --psk off, or is of a version without them"
    return "it is not set yet"


def _node(running: Running, status: NodeStatus, moment: Moment) -> Json:
    config = running.config
    return {
        "name": status.name,
        "version": __version__,
        "pid": os.getpid(),
        "uptime": _ago(running.started_at, moment.now),
        "interface": config.interface,
        "device": "userspace" if moment.userspace else "kernel",
        "overlay_address": _text(status.overlay_addr),
        "overlay_network": str(config.overlay_net.network),
        "address": str(status.address),
        "wireguard_port": config.wireguard_port,
        "public_key": running.device.public_key,
        "key_fingerprint": fingerprint(running.keyring.primary),
        "key_fingerprints": [fingerprint(key) for key in running.keyring.keys],
        "preshared_keys": config.psk == "on",
        "identity": running.identity.fingerprint if running.identity else None,
        "health_score": status.health,
        "incarnation": status.incarnation,
        "complete": status.complete,
        "wireguard_answers": moment.peers is not None,
        "networks": _networks(status.networks),
    }


def _networks(networks: tuple[Behind, ...]) -> list[Json]:
    return [
        {
            "network": str(one.route.network),
            "priority": one.route.priority,
            "taken": one.taken,
            "reason": one.reason,
        }
        for one in networks
    ]


def _spoken(running: Running, member: MemberStatus) -> str | None:
    """Return the fingerprint of the cluster key that a member spoke with last."""
    live = member.standing in (Standing.ALIVE, Standing.SUSPECT)
    key = running.keyring.spoken(member.address.ip) if live else None
    return fingerprint(key) if key else None


def _fingerprint(key: bytes | None) -> str | None:
    return identity.fingerprint(key) if key else None


def _denied(denied: Denied | None, moment: Moment) -> Json | None:
    """Return what was claimed of a name lately, and not believed."""
    if denied is None or moment.now - denied.last_at > LATELY:
        return None
    return {
        "identity": _fingerprint(denied.identity),
        "address": str(denied.source),
        "ago": _ago(denied.last_at, moment.now),
        "count": denied.count,
    }


def _seed(seed: SeedStatus, moment: Moment) -> Json:
    return {
        "seed": str(seed.seed),
        "answered": _ago(seed.answered_at, moment.now),
        "trouble": seed.problem,
    }


def _implementation(metadata: Metadata | None) -> str | None:
    """Tell our own members from those of the original, which publish less."""
    if metadata is None:
        return None
    return "wesher" if metadata.has_ext else "go"


def _ago(instant: float | None, now: float) -> float | None:
    return None if instant is None else max(0.0, round(now - instant, 3))


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)


def as_export(running: Running, moment: Moment, private_key: str | None) -> Json:
    """Return the interface as planned, and the members without what changes all the time.

    `private_key`, and with it the preshared keys of the peers, is in it unless it is None.
    """
    plan = running.node.plan()
    settings = plan.interface if plan else None
    status = as_status(running, moment)
    names = _names(running.node.status())
    used = {key: peer.preshared_key for key, peer in (moment.peers or {}).items()}
    return {
        "interface": {
            "name": running.config.interface,
            "address": str(settings.address) if settings else None,
            "listen_port": running.config.wireguard_port,
            "mtu": settings.mtu if settings else None,
            "public_key": running.device.public_key,
            **({"private_key": private_key} if private_key else {}),
        },
        "peers": [
            {
                "name": names.get(key),
                "public_key": key,
                "endpoint": str(peer.endpoint),
                "allowed_ips": [str(network) for network in peer.allowed_ips],
                "keepalive": peer.keepalive,
                **({"preshared_key": used[key]} if private_key and used.get(key) else {}),
            }
            for key, peer in sorted(
                (plan.peers if plan else {}).items(), key=lambda item: names.get(item[0]) or ""
            )
        ],
        "node": {
            field: status["node"][field]
            for field in ("name", "address", "overlay_address", "overlay_network", "version")
        },
        "members": [{field: one[field] for field in _STABLE} for one in status["members"]],
    }


def _names(status: NodeStatus) -> dict[str, str]:
    return {
        member.metadata.public_key: member.name
        for member in status.members
        if member.metadata and member.endpoint
    }
