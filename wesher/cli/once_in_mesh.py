"""Who of a mesh acts on an event, when one is enough: nobody is asked, all reckon alike.

Rendezvous hashing (Thaler and Ravishankar, 1998): each live member reckons a hash of the event and
of each live member's name, and acts if its own is the lowest. Members that see the same members
alive agree; different events fall to different members; and a member that joins or dies changes
the choice only where it was, or is now, the lowest.

Where views differ, as in the second in which several fail, an event may fall to two, or to one
that has just died and so to nobody: what must not be missed has to be done by all.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

OWN = frozenset({"following", "self-changed"})
"""Events of a host itself, which nobody else is told of."""


def falls_to(event: Mapping[str, Any], own_name: str, members: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether an event falls to this host, whose agent tells `status` of these members.

    Whom an event is about does not see it as others do, and members of the original do not see it
    at all.
    """
    if event["event"] in OWN:
        return True
    names = {
        member["name"]
        for member in members
        if member["state"] == "alive" and member["implementation"] == "wesher"
    }
    candidates = {own_name, *names} - {event["member"]}
    return chosen(event["event"], event["member"], candidates) == own_name


def chosen(kind: str, member: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate with the lowest hash, in whatever order they are given."""
    return min(candidates, key=lambda one: _hash(kind, member, one), default=None)


def _hash(*words: str) -> bytes:
    return sha256("\0".join(words).encode(errors="surrogateescape")).digest()
