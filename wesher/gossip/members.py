"""Who is a member, as gossip knows it: the table, the order of probing, the random choice.

All who have been heard of are here by name, those dead or left as well: they are remembered until
they are reaped, a while after, so that an old claim does not bring them back.

* The turn to be probed goes round: everybody once in a cycle, in an order that is shuffled for the
  next one, as in SWIM. So who crashes is found within two cycles, and not by all at the same time.
  Newcomers get a random turn. At the end of a cycle the old dead are reaped
  (spec/memberlist.md, 4.12).
* Whom gossip, indirect probes and push/pulls go to is chosen at random, all alike
  (spec/memberlist.md, 4.13).

Who holds the cluster key can invent members without end, but each address that answers costs him a
host. So `Proofs` keeps account of who has answered us from its own address. Who is proven keeps its
place when the table is full; beyond so many unproven ones, a *crowd*, nobody relies on these,
half of those chosen are proven ones, and probe.Trials asks them all.
"""

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from enum import IntEnum
from functools import lru_cache
from random import Random

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.gossip.messages import Alive, Record, unpack_ip

MAX_MEMBERS = 16384
"""Names that we hold, dead and left ones included; Go has no limit (spec/memberlist.md, 10.2)."""
MAX_UNPROVEN = 1000
"""Beyond so many members that have never answered us, none is relied on before it does."""

EVICTION_THROWS = 8
MAX_AT_ONE_ADDRESS = 16
"""How many members one IP address can prove: some run several on a host, an attacker thousands."""
_CALM = 10  # a crowd is over when this part of what makes one is left


class Proofs:
    """Who is proven, who is not; and whether the latter are a `crowd`."""

    def __init__(self, max_unproven: int) -> None:
        self._max_unproven = max_unproven
        self._ips: dict[str, str] = {}
        self._at: Counter[str] = Counter()
        self._unproven: dict[str, None] = {}  # in the order of their arrival
        self.crowded = False
        """Whether so many are unproven that nobody should rely on any of them."""
        self.vouched: Container[str] = ()
        """Whom our owner relies on already; a crowd changes nothing about these."""

    @property
    def proven(self) -> list[str]:
        """The names of who is proven."""
        return list(self._ips)

    @property
    def places(self) -> Mapping[str, str]:
        """From which IP address each of the proven has answered, by name."""
        return self._ips

    @property
    def unproven(self) -> dict[str, None]:
        """The names of who is not, in the order of their arrival."""
        return self._unproven

    def waits(self, name: str) -> bool:
        """Tell whether nobody should rely on this member before it has answered."""
        return self.crowded and name in self._unproven and name not in self.vouched

    def await_proof(self, name: str) -> None:
        """Take a member for unproven, as one that has just come or is at another address."""
        self.drop(name)
        self._unproven[name] = None
        self._weigh()

    def prove(self, name: str, ip: str) -> bool:
        """Take a member's answer from its address; False if too many have answered there."""
        if name not in self._unproven or self._at[ip] >= MAX_AT_ONE_ADDRESS:
            return False
        del self._unproven[name]
        self._ips[name] = ip
        self._at[ip] += 1
        self._weigh()
        return True

    def drop(self, name: str) -> None:
        """Forget a member."""
        self._unproven.pop(name, None)
        ip = self._ips.pop(name, None)
        if ip is not None:
            self._at[ip] -= 1
            if not self._at[ip]:
                del self._at[ip]
        self._weigh()

    def _weigh(self) -> None:
        if len(self._unproven) > self._max_unproven:
            self.crowded = True
        elif len(self._unproven) <= self._max_unproven // _CALM:
            self.crowded = False


class MemberState(IntEnum):
    """What we hold a member for; the values are those of push/pull records."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@lru_cache(maxsize=32768)
def _address(addr: bytes, port: int) -> Address:
    return Address(unpack_ip(addr), port)


@frozen(once=("address", "live"))
class Member:
    """One member at one moment; a change makes a new value.

    `addr` has 4 or 16 bytes and is kept as received, `versions` always has six.
    """

    name: str
    addr: bytes
    port: int
    meta: bytes | None
    versions: bytes
    incarnation: int
    state: MemberState
    state_changed_at: float

    @property
    def address(self) -> Address:
        """Where the member's gossip listens."""
        return _address(self.addr, self.port)

    @property
    def live(self) -> bool:
        """Tell whether the member is alive or only suspected not to be."""
        return self.state is MemberState.ALIVE or self.state is MemberState.SUSPECT

    @property
    def newest_protocol(self) -> int:
        """The highest protocol version the member understands."""
        return self.versions[1]

    def as_record(self) -> Record:
        """Return the member as a push/pull carries it."""
        return Record(
            self.name,
            self.addr,
            self.port,
            self.meta,
            self.incarnation,
            self.state,
            self.versions,
        )

    def as_alive(self) -> Alive:
        """Return what the member says of itself."""
        return Alive(self.incarnation, self.name, self.addr, self.port, self.meta, self.versions)


class Members:
    """All members by name, dead and left ones and ourselves included, until they are reaped."""

    def __init__(self, local_name: str, rng: Random, max_unproven: int = MAX_UNPROVEN) -> None:
        self._local_name = local_name
        self._rng = rng
        self.proofs = Proofs(max_unproven)
        self._by_name: dict[str, Member] = {}
        self._order: list[str] = []
        self._cursor = 0
        self.live_remotes = 0
        """How many members but ourselves are alive or suspect."""
        self.alive_remotes = 0
        """How many members but ourselves are alive and not suspected."""

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @property
    def local(self) -> Member | None:
        """Our own record, once announced."""
        return self._by_name.get(self._local_name)

    def others(self) -> list[Member]:
        """Return the other members that are alive or only suspected not to be.

        Whoever came in a crowd and has not answered us yet is none of them.
        """
        others = [one for one in self if one.live and one.name != self._local_name]
        if self.proofs.crowded:
            others = [one for one in others if not self.proofs.waits(one.name)]
        return others

    def get(self, name: str) -> Member | None:
        """Return the member of this name, if it is known."""
        return self._by_name.get(name)

    def put(self, member: Member) -> None:
        """Store `member` instead of what was held under its name; a new one gets a random turn."""
        old = self._by_name.get(member.name)
        moved = old is not None and (old.addr, old.port) != (member.addr, member.port)
        if (old is None or moved) and member.name != self._local_name:
            self.proofs.await_proof(member.name)
        if old is None:
            self._order.append(member.name)
            turn = self._rng.randrange(len(self._order))
            self._order[-1], self._order[turn] = self._order[turn], self._order[-1]
        self._count(old, -1)
        self._count(member, 1)
        self._by_name[member.name] = member

    def _count(self, member: Member | None, change: int) -> None:
        if member is not None and member.live and member.name != self._local_name:
            self.live_remotes += change
            self.alive_remotes += change * (member.state is MemberState.ALIVE)

    def prove(self, member: Member) -> bool:
        """Take note that `member` has answered us from its address; True if that is a first."""
        held = self._by_name.get(member.name)
        if held is None or (held.addr, held.port) != (member.addr, member.port):
            return False
        return self.proofs.prove(member.name, member.address.ip)

    def to_evict(self) -> Member | None:
        """Return who gives way to a newcomer, if anybody: the least alive of some unproven ones.

        These are chosen at random. Were it the oldest, a flood of inventions would throw out who
        was there before it; were it the newest, the next invention would whoever came last.
        """
        unproven, vouched = self.proofs.unproven, self.proofs.vouched
        thrown = {self._rng.choice(self._order) for _ in range(EVICTION_THROWS)}
        names = [name for name in sorted(thrown) if name in unproven and name not in vouched]
        if not names:
            names = [name for name in unproven if name not in vouched][:1] or list(unproven)[:1]
        members = [self._by_name[name] for name in names]
        return max(members, key=lambda member: member.state, default=None)

    def evict(self, name: str) -> None:
        """Forget a member at once; its turn passes when it comes."""
        member = self._by_name.pop(name)
        self._count(member, -1)
        self.proofs.drop(name)
        if len(self._order) > 2 * len(self._by_name):
            self._shuffle()

    def next_to_probe(self, now: float, reap_after: float) -> Member | None:
        """Return the member whose turn it is, or None when there is nobody to probe.

        At the end of a cycle, those dead or left for more than `reap_after` seconds are forgotten.
        In a crowd only who is proven has a turn: or nobody would notice that one of them crashed.
        """
        # In a crowd those who have turns may be all behind us, and then all far ahead.
        places = len(self._order) * (2 if self.proofs.crowded else 1)
        for _ in range(places):
            if self._cursor >= len(self._order):
                self._start_cycle(now - reap_after)
                continue
            member = self._by_name.get(self._order[self._cursor])
            self._cursor += 1
            if member and self._has_turn(member):
                return member
        return None

    def _has_turn(self, member: Member) -> bool:
        return (
            member.live
            and member.name != self._local_name
            and not (self.proofs.crowded and member.name in self.proofs.unproven)
        )

    def choose(
        self,
        count: int,
        eligible: Callable[[Member], bool],
        rather_not: Collection[str] = (),
    ) -> list[Member]:
        """Return up to `count` of the eligible remote members, each as likely as any other.

        But those named in `rather_not` only if there are not enough others; and in a crowd half of
        them, at least, are proven, if there are so many.
        """
        chosen: dict[str, Member] = {}
        excluded = {self._local_name, *rather_not}
        if self.proofs.crowded:
            self._throw(self.proofs.proven, (count + 1) // 2, eligible, excluded, chosen)
        if len(self._order) > 4 * count:
            # Nearly everybody is eligible nearly always: a few throws of the dice find enough.
            self._throw(self._order, count, eligible, excluded, chosen)
        if len(chosen) < count:
            excluded = {self._local_name, *chosen}
            pool = [one for one in self if one.name not in excluded and eligible(one)]
            self._rng.shuffle(pool)
            rest = [one for one in pool if one.name in rather_not]
            pool = [one for one in pool if one.name not in rather_not] + rest
            for member in pool[: count - len(chosen)]:
                chosen[member.name] = member
        return list(chosen.values())

    def _throw(
        self,
        names: list[str],
        count: int,
        eligible: Callable[[Member], bool],
        excluded: Container[str],
        chosen: dict[str, Member],
    ) -> None:
        """Throw the dice until so many are `chosen` in all, a few times at most."""
        for _ in range(3 * count if names else 0):
            if len(chosen) >= count:
                return
            member = self._by_name.get(self._rng.choice(names))
            if member and member.name not in excluded and eligible(member):
                chosen[member.name] = member

    def _start_cycle(self, oldest: float) -> None:
        for name, member in list(self._by_name.items()):
            if not (member.live or member.state_changed_at >= oldest or name == self._local_name):
                del self._by_name[name]
                self.proofs.drop(name)
        self._shuffle()

    def _shuffle(self) -> None:
        self._order = list(self._by_name)
        self._rng.shuffle(self._order)
        self._cursor = 0
