"""What is wrong with a mesh, in as few sentences as explain every tunnel that does not work.

A tunnel belongs to two members, and a row of silent cells says the same as a column of them. So we
look at pairs: a pair is *good* when either end reaches the other, *bad* when an end that tried got
no answer and neither reaches the other, and else *unknown*. The bad pairs are explained one cause
after another, from the one that explains most, and what is explained is set aside:

1. Nobody reaches anybody: the port is blocked everywhere, or the key of the mesh is new.
2. A member without any good pair. If it does not answer us either, it is down; else it is alone:
   its own firewall, most likely.
3. The rest falls into groups between which no pair is good: a network is cut.
4. A member most of whose pairs are bad, three at least: something at its end.
5. Single pairs: something between the two. If one end hears the other and not the other way round,
   it is lost in that direction.

Unknown pairs explain nothing and accuse nobody. They hold groups together (3), since what is not
known need not be cut, and are counted at the end, so that "nobody else has trouble" is said only of
what was looked at.

Not of tunnels, but told with them: cells that work one way only, which a firewall inside the mesh
does, and members that others do not have as peers.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import combinations

from wesher.base.frozen import frozen
from wesher.doctor.groups import listed
from wesher.survey.matrix import Link, Matrix, Source

LEAST_OF_A_MEMBER = 3  # bad pairs from which on a member is the cause, not each of them by itself
PAIRS = 8  # that are told one by one


class Cause(Enum):
    """What a statement says; the values are for machines."""

    ALL_WELL = "all-well"
    NOTHING_KNOWN = "nothing-known"
    NOBODY = "nobody-reaches-anybody"
    DOWN = "down"
    ALONE = "reaches-nobody"
    CUT = "cut"
    MEMBER = "reaches-few"
    PAIR = "pair"
    MORE_PAIRS = "more-pairs"
    ONE_WAY = "one-way"
    NOT_PEERS = "not-peers"
    NOT_KNOWN = "not-known"
    REST = "nobody-else"


@frozen
class Statement:
    """A sentence of the verdict, and the members it is about; it is `bad` when it tells trouble."""

    cause: Cause
    text: str
    members: tuple[str, ...] = ()
    bad: bool = True


Pair = tuple[int, int]


def verdict(matrix: Matrix) -> list[Statement]:
    """Return what is wrong, the greatest first, and last how the rest is."""
    return list(_Case(matrix).statements())


class _Case:
    """The pairs of a matrix, fewer with each statement that explains some."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._members = matrix.members
        self._everybody = range(len(matrix.members))
        self._good: dict[int, set[int]] = {one: set() for one in self._everybody}
        self._bad: dict[int, set[int]] = {one: set() for one in self._everybody}
        self._unknown: dict[int, set[int]] = {one: set() for one in self._everybody}
        for one, other in combinations(self._everybody, 2):
            kind = self._kind(one, other)
            kind[one].add(other)
            kind[other].add(one)
        self._bad_at_first = {one: set(others) for one, others in self._bad.items()}
        self._accused: set[int] = set()
        self._lost_ones: set[int] = set()
        """Those that nobody reaches."""

    def _kind(self, one: int, other: int) -> dict[int, set[int]]:
        links = {self._matrix.rows[one][other].link, self._matrix.rows[other][one].link}
        if links & {Link.REACHED, Link.VIA}:
            return self._good
        return self._bad if Link.SILENT in links else self._unknown

    def statements(self) -> Iterator[Statement]:
        """Yield all of them."""
        found = [*self._explained(), *self._one_way(), *self._not_peers()]
        yield from found
        yield from self._rest(found)

    def _explained(self) -> Iterator[Statement]:
        telling = [one for one in self._everybody if self._tells(one)]
        if not any(self._good.values()) and len(self._members) > 2:  # of two it is a pair
            between = any(self._bad[one] & set(telling) for one in telling)
            if len(telling) > 2 and between:
                self._accused.update(self._everybody)
                text = f"nobody reaches anybody over {self._port(telling)}: is it let through?"
                yield Statement(Cause.NOBODY, text, self._names(self._everybody))
                return
            if len(telling) == 1 and self._bad[telling[0]]:
                self._accused.update(self._everybody)
                name = self._members[telling[0]].name
                text = f"{name} reaches nobody, and nobody answers it: its own network, most likely"
                yield Statement(Cause.ALONE, text, (name,))
                return
        yield from self._without_any()
        yield from self._cuts()
        yield from self._with_many()
        yield from self._pairs()

    def _tells(self, one: int) -> bool:
        return self._members[one].source is Source.TOLD

    # 2

    def _without_any(self) -> Iterator[Statement]:
        """Yield those that are down before those that are alone: these may only miss those."""
        for tells in (False, True):
            lost = [
                one
                for one in self._everybody
                if self._tells(one) is tells and not self._good[one] and len(self._bad[one]) > tells
            ]
            for one in lost:
                yield self._lost(one)
            self._lost_ones.update(lost)
            for one in lost:
                self._set_aside((one, other) for other in set(self._bad[one]))

    def _lost(self, one: int) -> Statement:
        member = self._members[one]
        if member.source is Source.TOLD:
            text = f"{member.name} reaches nobody over {self._port([one])}"
            return self._state(Cause.ALONE, text, [one])
        failed = ", and has failed" if member.state == "failed" else ""
        if member.source is Source.SILENT:
            text = f"{member.name} is reached by nobody and does not answer{failed}: is it down?"
        else:
            text = f"{member.name} is reached by nobody over {self._port([one])}{failed}"
            text += f"; it {member.source.value}"
        return self._state(Cause.DOWN, text, [one])

    # 3

    def _cuts(self) -> Iterator[Statement]:
        groups = [group for group in self._groups() if len(group) > 1]
        if len(groups) < 2:
            return
        groups.sort(key=lambda group: (-len(group), group))
        told = " and ".join(f"{_group(self._names(group))}" for group in groups)
        members = [one for group in groups for one in group]
        yield self._state(Cause.CUT, f"the mesh is cut: {told} do not reach each other", members)
        for here, there in combinations(groups, 2):
            self._set_aside((one, other) for one in here for other in there)

    def _groups(self) -> list[list[int]]:
        left = {one for one in self._everybody if self._good[one]}
        groups = []
        while left:
            group, frontier = set[int](), {min(left)}
            while frontier:
                group |= frontier
                beside = (self._good[one] | self._unknown[one] for one in frontier)
                frontier = (set().union(*beside) & left) - group
            groups.append(sorted(group))
            left -= group
        return groups

    # 4

    def _with_many(self) -> Iterator[Statement]:
        while True:
            many = [
                one
                for one in self._everybody
                if len(self._bad[one]) >= max(LEAST_OF_A_MEMBER, len(self._good[one]))
            ]
            if not many:
                return
            one = max(many, key=lambda one: len(self._bad[one]))
            bad = self._bad[one]
            name, others = self._members[one].name, listed(self._names(bad))
            text = f"{name} does not reach {len(bad)} of {self._tried(one)}: {others}"
            yield self._state(Cause.MEMBER, text, [one])
            self._set_aside((one, other) for other in set(bad))

    def _tried(self, one: int) -> int:
        return len(self._bad[one]) + len(self._good[one])

    # 5

    def _pairs(self) -> Iterator[Statement]:
        pairs = [pair for pair in combinations(self._everybody, 2) if pair[1] in self._bad[pair[0]]]
        for pair in pairs[:PAIRS]:
            yield self._state(Cause.PAIR, self._pair_text(pair), pair)
        if left := pairs[PAIRS:]:
            members = sorted({one for pair in left for one in pair})
            text = f"{len(left)} more pairs do not reach each other, among {len(members)} members"
            yield self._state(Cause.MORE_PAIRS, text, members)

    def _pair_text(self, pair: Pair) -> str:
        one, other = (self._members[at].name for at in pair)
        said = f"{one} and {other} do not reach each other"
        if lost := self._lost_direction(pair):
            said += f": what {lost[0]} sends does not arrive at {lost[1]}"
        if len(self._members) > 2 and all(self._has_no_other_trouble(at) for at in pair):
            of_all = all(len(self._bad_at_first[at]) == 1 for at in pair)
            said += f"; both reach everybody else{'' if of_all else ' that anybody reaches'}"
        return said

    def _has_no_other_trouble(self, one: int) -> bool:
        """Tell whether one bad pair is all that a member has, but for those nobody reaches."""
        others = self._bad_at_first[one] - self._lost_ones
        return len(others) == 1 and not self._unknown[one]

    def _lost_direction(self, pair: Pair) -> tuple[str, str] | None:
        """Return from whom to whom packets get lost, if it is one direction only."""
        one, other = pair
        hears = self._matrix.rows[one][other].hears, self._matrix.rows[other][one].hears
        names = self._members[one].name, self._members[other].name
        if hears == (True, False):
            return names
        return (names[1], names[0]) if hears == (False, True) else None

    # Not of tunnels

    def _one_way(self) -> Iterator[Statement]:
        rows = self._matrix.rows
        for one in self._everybody:
            closed = [
                other
                for other in self._good[one]
                if rows[one][other].link is Link.REACHED and rows[other][one].link is Link.SILENT
            ]
            if closed:
                name, others = self._members[one].name, listed(self._names(closed))
                text = f"{name} reaches {others}, but not the other way round: its own firewall?"
                yield self._state(Cause.ONE_WAY, text, [one])

    def _not_peers(self) -> Iterator[Statement]:
        for one in self._everybody:
            without = [
                other
                for other in self._everybody
                if self._matrix.rows[other][one].link is Link.NOT_A_PEER
            ]
            if without and one not in self._lost_ones:
                name, others = self._members[one].name, listed(self._names(without))
                text = f"{name} is not a peer of {others}: `wesher info {name}` there says why"
                yield self._state(Cause.NOT_PEERS, text, [one])

    # The rest

    def _rest(self, found: Sequence[Statement]) -> Iterator[Statement]:
        pairs = len(self._members) * (len(self._members) - 1) // 2
        good = sum(map(len, self._good.values())) // 2
        unknown = sum(map(len, self._unknown.values())) // 2
        if pairs == 0:
            yield Statement(Cause.NOTHING_KNOWN, "there is nobody else to reach", bad=False)
            return
        if not found and good:
            text = "everybody reaches everybody" if not unknown else "no trouble"
            yield Statement(Cause.ALL_WELL, f"{text}: {_tunnels(good, pairs)}", bad=False)
        elif found and good and len(self._accused) < len(self._members):
            whole = "" if not unknown else f" among the {_tunnels(good, pairs)}"
            yield Statement(Cause.REST, f"nobody else has trouble{whole}", bad=False)
        if unknown:
            silent = [one for one in self._everybody if self._unknown[one] and not self._tells(one)]
            why = f": {listed(self._names(silent))} cannot tell" if silent else ""
            text = f"{unknown} of {pairs} tunnels are not known{why}"
            yield Statement(Cause.NOT_KNOWN, text, self._names(silent), bad=False)

    # Words

    def _state(self, cause: Cause, text: str, members: Iterable[int]) -> Statement:
        about = list(members)
        self._accused.update(about)
        return Statement(cause, text, self._names(about))

    def _set_aside(self, pairs: Iterable[Pair]) -> None:
        for one, other in pairs:
            self._bad[one].discard(other)
            self._bad[other].discard(one)

    def _names(self, members: Iterable[int]) -> tuple[str, ...]:
        return tuple(self._members[one].name for one in sorted(members))

    def _port(self, members: Iterable[int]) -> str:
        ports = {self._members[one].port for one in members} - {None}
        return f"UDP {ports.pop()}" if len(ports) == 1 else "UDP"


def _group(names: Sequence[str]) -> str:
    return f"{listed(names)} ({len(names)})" if len(names) > 2 else listed(names)


def _tunnels(some: int, of: int) -> str:
    return f"{some} of {of} tunnels"
