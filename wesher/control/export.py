"""What this host's interface and the whole mesh look like, for other programs."""

from wesher.control.status import Json, Moment, Running, as_status
from wesher.mesh.reporting import NodeStatus

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


def as_export(running: Running, moment: Moment, private_key: str | None) -> Json:
    """Return the interface as planned, and the members without what changes all the time.

    `private_key` is in it unless it is None.
    """
    plan = running.node.plan()
    settings = plan.interface if plan else None
    status = as_status(running, moment)
    names = _names(running.node.status())
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
