"""Finding the others: looking before we enter, then searching for who is missing."""

import random
from collections.abc import Iterable, Iterator
from math import inf

from wesher.base.frozen import frozen, replace
from wesher.gossip import (
    Address,
    ExchangeFinished,
    Member,
    Members,
    MemberState,
    PingFinished,
    RecordState,
)
from wesher.mesh.base.actions import (
    Actions,
    Complete,
    Exchange,
    LookupDone,
    Ping,
    ReadTable,
    SetTimer,
    Timer,
    inform,
)
from wesher.mesh.base.events import Resolve
from wesher.mesh.base.seeds import Contact, Seed, SeedStatus
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.discovery.lookup import Lookup
from wesher.mesh.discovery.retries import JoinRetry, Reconnect
from wesher.mesh.members import FailedMembers

MAX_RESOLVED = 8  # addresses of one seed that are tried
LATELY = 600.0  # seconds in which a loss may be explained by those who were elsewhere
ASKED = 2  # members that are asked for an explanation


@frozen
class _Holder:
    """The purpose of pings to who has our name."""

    address: Address


@frozen
class _Missing:
    """The purpose of pings to those who are missing."""

    address: Address


@frozen
class _Looking:
    """The purpose of looks before we enter."""


class Discovery:
    """Contacts seeds, saved members and failed ones; `table` is gossip's.

    `saved` are the addresses to try besides the seeds. Until `enter` nothing that we do changes
    anything elsewhere.
    """

    def __init__(
        self,
        settings: NodeSettings,
        saved: Iterable[Address],
        table: Members,
        failed: FailedMembers,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._table = table
        self._failed = failed
        self._rng = rng
        self._join_retry = JoinRetry(settings.seeds, saved, rng)
        self._reconnect = Reconnect(rng)
        self._silent = dict.fromkeys(
            settings.seeds
        )  # seeds that we do not reach, as far as we know
        self._own: set[Seed] = set()  # seeds that are ourselves
        self._seed_at: dict[Address, Seed] = {}
        self._seed_news: dict[Seed, SeedStatus] = {}
        self.lookup: Lookup | None = None
        """What we have found out so far, before we enter."""
        self._had_company = False
        self._stopped = True
        self.contacted: set[str] = set()
        """IP addresses of whom we ever contacted: an operator cares what they answer."""

    @property
    def has_contacts(self) -> bool:
        """Whether there is anybody to contact at all."""
        return self._join_retry.has_contacts

    def seeds(self) -> tuple[SeedStatus, ...]:
        """Return how the seeds fare."""
        seeds = dict.fromkeys(self._settings.seeds)
        return tuple(self._seed_news.get(seed, SeedStatus(seed)) for seed in seeds)

    def replace_seeds(self, seeds: tuple[Seed, ...]) -> Actions:
        """Contact these seeds from now on, and no others; new ones have not answered yet."""
        known = set(self._settings.seeds)
        self._settings = replace(self._settings, seeds=seeds)
        self._join_retry.replace_seeds(seeds)
        self._silent = {seed: None for seed in seeds if seed in self._silent or seed not in known}
        if self._join_retry.searching and not self._stopped and not self.lookup:
            yield from self._expect_retry()

    def start(self, addr: bytes, now: float) -> Actions:
        """Begin to look; our own address is `addr`."""
        self._stopped = False
        self.lookup = Lookup(self._settings.name, addr, self._settings.port, now)
        self._join_retry.alone(now)
        yield from self._contact(self._join_retry.contacts(now, every_seed=True))
        yield from self.look_on(now)

    def seed_addresses(self) -> list[Address]:
        """Return where we have found seeds so far, or have been told to."""
        return list(self._seed_at)

    def moved_to(self, addr: bytes) -> None:
        """Take note that our own address is another one now."""
        if self.lookup:
            self.lookup.moved_to(addr)

    def stop(self) -> Actions:
        """Contact nobody any more."""
        self._stopped = True
        self.lookup = None
        for timer in (Timer.LOOKUP, Timer.JOIN_RETRY, Timer.RECONNECT):
            yield SetTimer(timer, None)

    def look_on(self, now: float) -> Actions:
        """Go on with the look that we begin with: it may be over, or has to wait for one more."""
        look = self.lookup
        if look is None:
            return
        if look.is_over(now):
            if _must_ask(look):
                yield from self._ask_holder(look, now)
            else:
                yield LookupDone()
                return
        yield SetTimer(Timer.LOOKUP, look.deadline)

    def enter(self, look: Lookup, now: float) -> Actions:
        """Go on from looking to joining whoever has answered."""
        self.lookup = None
        for contact in look.answered:
            yield from self.reach(contact)
        yield from self.mind_company(now)
        yield from self.retry(now)

    def resolved(self, seed: Seed, ips: Iterable[str], now: float) -> Actions:
        """Take the addresses of a seed's name; none when there are none."""
        found = list(dict.fromkeys(ips))[:MAX_RESOLVED]
        if not found:
            self._seed_failed(seed, "its name has no address")
        for ip in found:
            yield from self.reach(Address(ip, seed.port), seed)
        if self.lookup:
            self.lookup.resolved()
            yield from self.look_on(now)

    def exchanged(self, event: ExchangeFinished, now: float) -> Actions:
        """Take the end of an exchange."""
        answered = event.error is None and not event.own
        if seed := self._seed_at.get(event.to):
            self._note_seed(seed, event, now)
        if self.lookup:
            self.lookup.finished(event, now)
            yield from self.look_on(now)
        elif event.purpose == _Looking():  # of the look that is over
            if answered:
                yield from self.reach(event.to)
        elif answered and self._table.live_remotes:
            self._join_retry.answered()
            self._reconnect.answered(event.to, now, reunited=not self._still_apart(event))
            yield SetTimer(Timer.JOIN_RETRY, None)
            yield from self._expect_reconnect()
            yield Complete()

    def pinged(self, event: PingFinished, now: float) -> Actions:
        """Take the outcome of a ping of ours."""
        match event.purpose:
            case _Holder(address) if self.lookup and self.lookup.asked_holder == address:
                self.lookup.pinged_holder(answered=event.seconds is not None)
                yield from self.look_on(now)
            case _Missing(address) if event.seconds is not None:
                yield from self.reach(address)

    def returned(self, now: float) -> Actions:
        """Take note that somebody who was missing is back, or that we are, to others."""
        self._reconnect.expedite(now)
        yield from self._expect_reconnect()

    def joined(self, member: Member) -> None:
        """Take note that somebody is at a member's address: what trying it came to is over."""
        seed = self._seed_at.get(member.address)
        if seed and (news := self._seed_news.get(seed)):
            self._seed_news[seed] = replace(news, problem=None)

    def failed(self, member: Member) -> None:
        """Take note that nobody answers at a member's address, which may be a seed's."""
        if seed := self._seed_at.get(member.address):
            self._silent[seed] = None

    def forgotten(self) -> None:
        """Seek every seed again that is no live member's, now that others were given up."""
        live = {member.address for member in self._table if member.live}
        found = {seed for address, seed in self._seed_at.items() if address in live}
        for seed in self._settings.seeds:
            if seed not in found and seed not in self._own:
                self._silent[seed] = None

    def _note_seed(self, seed: Seed, event: ExchangeFinished, now: float) -> None:
        if event.error is not None:
            self._seed_failed(seed, event.error)
            return
        self._silent.pop(seed, None)
        if event.own:
            self._own.add(seed)
        self._seed_news[seed] = SeedStatus(seed, now, "is this host" if event.own else None)

    def _seed_failed(self, seed: Seed, problem: str) -> None:
        news = self._seed_news.get(seed, SeedStatus(seed))
        self._seed_news[seed] = replace(news, problem=problem)

    def _ask_holder(self, look: Lookup, now: float) -> Actions:
        """Find out whether our name belongs to somebody else or to an earlier self, now gone."""
        name, holder = look.holder_name, look.holder
        assert holder is not None, "somebody must be asked"
        yield inform(
            "our name, {member}, is known at {address}: asking whether somebody is still there",
            member=name,
            address=holder,
        )
        look.ask_holder(holder, 2, now)
        yield Ping(holder, name, _Holder(holder))
        yield Ping(holder, name, _Holder(holder), stream=True)

    def mind_company(self, now: float) -> Actions:
        """Search anew when we are left alone, and no more once somebody is there."""
        has_company = self._table.alive_remotes > 0
        if self._stopped or self.lookup or has_company == self._had_company:
            return
        self._had_company = has_company
        if not has_company:
            self._join_retry.remember(member.address for member in self._lost())
            self._join_retry.answered()
            self._join_retry.alone(now)
            yield SetTimer(Timer.RECONNECT, None)
            yield from self.retry(now)
            return
        self._reconnect.start(now)
        yield from self._expect_reconnect()
        if self._join_retry.searching:
            # Somebody has found us first: it knows the others, and has a turn before any seed.
            yield from self.reach(self._any_live().address)

    def retry(self, now: float) -> Actions:
        """Contact others while nobody has answered."""
        yield from self._contact(self._join_retry.contacts(now))
        yield from self._expect_retry()

    def _expect_retry(self) -> Actions:
        """Wait for the next round, as far as there is anybody to contact."""
        at = self._join_retry.next_timer() if self.has_contacts else None
        yield SetTimer(Timer.JOIN_RETRY, at)

    def reconnect(self, now: float) -> Actions:
        """Contact those who are missing."""
        alive = self._table.live_remotes + 1
        yield from self._contact(self._reconnect.contacts(self._missing(now), alive, now))
        if pinged := self._reconnect.to_ping(self._missing(now), now):
            yield from _pings(pinged)
            yield from self._ask_around(now)
        yield from self._expect_reconnect()

    def _expect_reconnect(self) -> Actions:
        if self._had_company and not self._stopped:
            yield SetTimer(Timer.RECONNECT, self._reconnect.next_timer())

    def _ask_around(self, now: float) -> Actions:
        """Exchange tables with a few: who was on the other side may know that a member left there.

        Of long lost members nobody is asked: all have been told long ago.
        """
        failed_at = (self._failed.failed_at(member.name) for member in self._lost())
        if any(at is None or now - at < LATELY for at in failed_at):
            alive = [one for one in self._table.others() if one.state is MemberState.ALIVE]
            for member in self._rng.sample(alive, min(ASKED, len(alive))):
                yield from self.reach(member.address)

    def _any_live(self) -> Member:
        name = self._settings.name
        reliable = self._table.others()
        return (
            reliable[0]
            if reliable
            else next(one for one in self._table if one.live and one.name != name)
        )

    def _lost(self, suspected_before: float = inf) -> Iterator[Member]:
        """Yield the failed members, and those that are suspected for long.

        But none of a crowd who has never answered us: nobody was lost there.
        """
        yield from self._failed
        for member in self._table.others():
            if member.state is MemberState.SUSPECT and member.state_changed_at < suspected_before:
                yield member

    def _missing(self, now: float) -> Iterator[Contact]:
        """Yield the members we have lost, and the seeds that we do not reach."""
        suspected_before = now - 2 * self._settings.timing.probe_interval
        for member in self._lost(suspected_before):
            yield member.address
        yield from self._silent

    def _still_apart(self, event: ExchangeFinished) -> bool:
        """Tell whether somebody is alive over there whom we hold failed."""
        return any(
            record.state == RecordState.ALIVE and record.name in self._failed
            for record in event.records
        )

    def _contact(self, contacts: Iterable[Contact]) -> Actions:
        """Contact somebody: an address at once, a name when it has been looked up."""
        for contact in contacts:
            if isinstance(contact, Address):
                yield from self.reach(contact)
            elif contact.address:
                yield from self.reach(contact.address, contact)
            else:
                yield Resolve(contact)
                if self.lookup:
                    self.lookup.resolving()

    def reach(self, address: Address, seed: Seed | None = None) -> Actions:
        """Exchange tables with whoever is there, or only look while we look."""
        if self._stopped:
            return
        self.contacted.add(address.ip)
        if seed:
            self._seed_at[address] = seed
        if self.lookup:
            self.lookup.asked()
            yield ReadTable(address, _Looking())
        else:
            yield Exchange(address)


def _must_ask(look: Lookup) -> bool:
    """Tell whether who has our name elsewhere has not been asked yet."""
    return bool(look.holder and not look.holder_answered and look.holder != look.asked_holder)


def _pings(contacts: Iterable[Contact]) -> Actions:
    """Ping members; seeds have their turn in any case."""
    for contact in contacts:
        if isinstance(contact, Address):
            yield Ping(contact, "", _Missing(contact))
