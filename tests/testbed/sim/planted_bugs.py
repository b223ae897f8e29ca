"""Bugs to plant, which a soak must find: proof that it looks.

They change the product in memory, in this process, and only as long as one is planted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from wesher.base.frozen import replace
from wesher.gossip.intake import Intake
from wesher.gossip.members import MemberState
from wesher.gossip.messages import Alive, Record, RecordState, Suspect
from wesher.gossip.outbox import Outbox
from wesher.gossip.transitions import Transitions
from wesher.mesh.base.seeds import Contact
from wesher.mesh.discovery.discovery import Discovery

# What replaces a method gets what it replaces, and its arguments.
Wrapper = Callable[..., Any]


def _weak_refutation(refute: Wrapper, rules: Transitions, *_: Any) -> None:
    """Answer an accusation with the incarnation that was accused."""
    local = rules.announced()
    alive = Alive(local.incarnation, local.name, local.addr, local.port, local.meta, local.versions)
    rules._context.broadcast(local.name, alive, at_once=True)


def _rising_from_the_dead(
    is_old: Wrapper, rules: Transitions, name: str, incarnation: int, *address: Any
) -> bool:
    """Believe that a dead member is alive at the incarnation that died."""
    known = rules._members.get(name)
    if known and known.state is MemberState.DEAD and known.incarnation == incarnation:
        rules._members.put(replace(known, state=MemberState.ALIVE))
    return bool(is_old(rules, name, incarnation, *address))


def _resurrection(take: Wrapper, intake: Intake, record: Record, *rest: Any) -> None:
    """Take a table's word that someone left for the word that it is alive."""
    if record.state == RecordState.LEFT:
        record = replace(record, state=RecordState.ALIVE, incarnation=record.incarnation + 1)
    take(intake, record, *rest)


def _presumption(suspect: Wrapper, rules: Transitions, message: Suspect, now: float) -> None:
    """Raise the incarnation of whoever is suspected."""
    suspect(rules, replace(message, incarnation=message.incarnation + 1), now)


def _forgetfulness(missing: Wrapper, discovery: Discovery, *_: Any) -> list[Contact]:
    """Miss nobody, and so look for nobody."""
    return []


def _fat_packets(take: Wrapper, outbox: Outbox, space: int) -> Any:
    """Put more into a packet than it may carry."""
    return take(outbox, space + 300)


BUGS: dict[str, tuple[type, str, Wrapper]] = {
    "weak-refutation": (Transitions, "_refute", _weak_refutation),
    "risen-dead": (Transitions, "is_old", _rising_from_the_dead),
    "left-resurrected": (Intake, "_take_record", _resurrection),
    "foreign-incarnation": (Transitions, "suspect", _presumption),
    "no-reunion": (Discovery, "_missing", _forgetfulness),
    "fat-packets": (Outbox, "take_broadcasts", _fat_packets),
}


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Break the product as `BUGS` says under `name`, for a while; None breaks nothing."""
    if name is None:
        yield
        return
    owner, attribute, wrapper = BUGS[name]
    original = owner.__dict__[attribute]
    setattr(owner, attribute, _broken(original, wrapper))
    try:
        yield
    finally:
        setattr(owner, attribute, original)


def _broken(original: Any, wrapper: Wrapper) -> Any:
    if isinstance(original, property):
        return property(partial(wrapper, original.fget))

    def method(self: Any, *args: Any, **options: Any) -> Any:
        return wrapper(original, self, *args, **options)

    return method
