"""Statuses as an agent tells them, for what is made of them."""

from typing import Any

NODE: dict[str, Any] = {
    "name": "web",
    "address": "192.0.2.1:7946",
    "version": "1",
    "uptime": 9.0,
    "pid": 7,
    "complete": True,
    "overlay_address": "10.0.0.1",
    "overlay_network": "10.0.0.0/8",
    "interface": "wgoverlay",
    "device": "kernel",
    "wireguard_port": 51820,
    "wireguard_answers": True,
    "key_fingerprint": "01234567",
    "identity": "593ac49f48eae09c",
    "health_score": 0,
}
REACHED: dict[str, Any] = {
    "name": "db",
    "state": "alive",
    "since": 5.0,
    "overlay_address": "10.0.0.2",
    "public_key": "key of db",
    "endpoint": None,
    "announced_endpoint": "192.0.2.2:51820",
    "handshake": 4000.0,
    "received": 1,
    "sent": 1,
    "round_trip": None,
    "peer": True,
    "reason": None,
    "unnamed": None,
}


def member(**changes: Any) -> dict[str, Any]:
    """One that is reached, but for these changes."""
    return REACHED | changes


def status(*members: dict[str, Any], **node: Any) -> dict[str, Any]:
    """What an agent tells that knows these members."""
    return {"node": NODE | node, "seeds": [], "troubles": [], "members": list(members)}


def mesh_of(count: int) -> dict[str, Any]:
    """A mesh with so many members, some of them in every trouble there is."""
    members = [_numbered(number) for number in range(1, count + 1)]
    members[-1] |= {"state": "failed", "since": 754.0, "handshake": 801.0}
    if count > 3:
        members[-2] |= {"state": "suspect", "since": 2.1}
        members[-3] |= {"state": "left", "peer": False, "reason": "has left", "handshake": None}
        members[-4] |= {"peer": False, "reason": "has an overlay address outside of 10.0.0.0/8"}
        members[-5] |= {"handshake": None, "received": 0, "sent": 148}
        members[4] |= {"name": "a-host-with-a-name-longer-than-any.and-a-domain.example.org"}
        members[5] |= {"unnamed": "has a name that is on line 4 of /etc/hosts already"}
    else:
        members[0] |= {"name": "database-of-the-north.example.org"}
    told = status(*sorted(members, key=lambda one: str(one["name"])))
    seed = {"seed": "192.0.2.9:7946", "answered": 61.0, "trouble": None}
    return told | {"seeds": [seed], "troubles": ["routes: `ip route` exited 2: no such device"]}


def _numbered(number: int) -> dict[str, Any]:
    high, low = divmod(number, 250)
    return member(
        name=f"node{number}",
        since=60.0 * number,
        overlay_address=f"10.59.{high}.{low}",
        public_key=f"key {number}",
        endpoint=f"192.0.{2 + high}.{low}:51820",
        handshake=float(number % 180),
        received=1000 * number**2,
        sent=900 * number**2,
        round_trip=0.0001 * number,
    )
