"""The table of members, those in trouble first, and how many there are in which state."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wesher.cli.client import NOTHING, duration, milliseconds, size
from wesher.cli.columns import Cell, Column, table
from wesher.mesh.base.hostnames import natural
from wesher.system.terminal import Line, Screen, Span, Style

Member = Mapping[str, Any]
Rates = Mapping[str, tuple[float, float]]
"""Bytes a second received from and sent to the member with this public key."""

COLUMNS = (
    Column("NAME"),
    Column("STATE"),
    Column("FOR", rank=2, right=True),
    Column("ADDRESS"),
    Column("ENDPOINT", rank=3),
    Column("HANDSHAKE", rank=1, right=True),
    Column("RECEIVED", rank=5, right=True),
    Column("SENT", rank=6, right=True),
    Column("ROUND TRIP", rank=4, right=True),
)
WATCHED = (
    Column("NAME"),
    Column("STATE"),
    Column("FOR", rank=4, right=True),
    Column("ADDRESS"),
    Column("ENDPOINT", rank=6),
    Column("HANDSHAKE", rank=3, right=True),
    Column("RECEIVED/s", rank=1, right=True),
    Column("SENT/s", rank=2, right=True),
    Column("ROUND TRIP", rank=5, right=True),
)
"""What is left out first differs: who watches wants to see what flows."""

NO_PEER = "no peer"
_STYLES = {"failed": Style.BAD, "suspect": Style.DOUBTFUL, NO_PEER: Style.DOUBTFUL}
_ORDER = ("alive", "failed", "suspect", "left")


def totals(members: Sequence[Member]) -> str:
    """Return how many there are beside this node: `200 alive, 1 failed, 2 suspect`."""
    counts = Counter(one["state"] for one in members)
    named = [f"{counts[state]} {state}" for state in _ORDER if counts[state]]
    return ", ".join(named) or "none but this node"


def is_reached(member: Member) -> bool:
    """Tell whether gossip hears of a member, and WireGuard has shaken hands with it.

    How long ago does not matter: without traffic a tunnel that works shakes hands with nobody.
    """
    there = member["state"] in {"alive", "suspect"} and member["peer"] and not member["reason"]
    return there and member["handshake"] is not None


def shown_state(member: Member) -> str:
    """Return the state, and of who is alive without being a peer that it is not one."""
    return NO_PEER if member["state"] == "alive" and not member["peer"] else str(member["state"])


def by_trouble(member: Member) -> tuple[Any, ...]:
    """Return what puts those in trouble first, and names in natural order.

    Who is alive and a peer is in trouble too without a handshake: it is not reached.
    """
    order = ("failed", "suspect", NO_PEER, "alive", "left")
    return order.index(shown_state(member)), is_reached(member), natural(member["name"])


def members_table(
    members: Sequence[Member], screen: Screen, rates: Rates | None = None
) -> list[Line]:
    """Return the heads, and a row for each member; with `rates` instead of what was counted."""
    columns = COLUMNS if rates is None else WATCHED
    rows = [_row(member, rates) for member in sorted(members, key=by_trouble)]
    return table(columns, rows, screen)


def _row(member: Member, rates: Rates | None) -> list[Cell]:
    endpoint = member["endpoint"] or member["announced_endpoint"]
    handshake = member["handshake"]
    state = shown_state(member)
    return [
        member["name"],
        Span(state, _STYLES.get(state)),
        duration(member["since"]),
        member["overlay_address"] or NOTHING,
        endpoint or NOTHING,
        NOTHING if handshake is None else f"{duration(handshake)} ago",
        *_traffic(member, rates),
        milliseconds(member["round_trip"]),
    ]


def _traffic(member: Member, rates: Rates | None) -> tuple[str, str]:
    if rates is None:
        return size(member["received"]), size(member["sent"])
    received, sent = rates.get(member["public_key"] or "", (None, None))
    return _rate(received), _rate(sent)


def _rate(rate: float | None) -> str:
    return size(None if rate is None else round(rate))


def notes(members: Sequence[Member]) -> Iterator[str]:
    """Yield what keeps members from being peers, or from the hosts file, in the table's order."""
    for member in sorted(members, key=by_trouble):
        if member["reason"] and member["state"] != "left":
            yield f"{member['name']} {member['reason']}"
        if member["unnamed"]:
            yield f"{member['name']} {member['unnamed']}"
        if denied := member.get("denied"):
            yield f"{member['name']} {in_vain(denied)}"


def in_vain(denied: Mapping[str, Any]) -> str:
    """Return what goes after the name of a member that somebody else claims to be."""
    who = f"identity {denied['identity']}" if denied["identity"] else "somebody without identity"
    return (
        f"is claimed by {who} too, in vain; the last claim came {duration(denied['ago'])} ago "
        f"from {denied['address']}"
    )
