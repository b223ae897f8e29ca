"""Finding the others: looking before we enter, then searching for who is missing."""

import random
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from math import inf

from wesher.base.frozen import replace
from wesher.gossip import (
    Address,
    ExchangeFinished,
    Gossip,
    Member,
    MemberState,
    PingFinished,
    RecordState,
)
from wesher.mesh.base.events import Resolve
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.seeds import Contact, Seed, SeedStatus
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.discovery.join_retry import JoinRetry
from wesher.mesh.discovery.lookup import Lookup
from wesher.mesh.discovery.reconnect import Reconnect
from wesher.mesh.members import FailedMembers

MAX_RESOLVED = 8  # addresses of one seed that are tried
LATELY = 600.0  # seconds in which a loss may be explained by those who were elsewhere
ASKED = 2  # members that are asked for an explanation


class Discovery:
    """Contacts seeds, saved members and failed ones through a Gossip.

    `saved` are the addresses to try besides the seeds. Until `enter` nothing that we do changes
    anything elsewhere.
    """

    def __init__(
        self,
        settings: NodeSettings,
        saved: Iterable[Address],
        gossip: Gossip,
        failed: FailedMembers,
        *,
        operator_log: OperatorLog,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._gossip = gossip
        self._failed = failed
        self._operator_log = operator_log
        self._rng = rng
        self._join_retry = JoinRetry(settings.seeds, saved, rng)
        self._reconnect = Reconnect(self._missing, rng)
        self._silent = dict.fromkeys(
            settings.seeds
        )  # seeds that we do not reach, as far as we know
        self._own: set[Seed] = set()  # seeds that are ourselves
        self._seed_at: dict[Address, Seed] = {}
        self._seed_news: dict[Seed, SeedStatus] = {}
        self._look: Lookup | None = None
        self._late: set[int] = set()  # requests of a look that is over
        self._pinged: dict[int, Address] = {}
        self._had_company = False
        self._stopped = True
        self._requests: list[Resolve] = []
        self.contacted: set[str] = set()
        """IP addresses of whom we ever contacted: an operator cares what they answer."""

    @property
    def has_contacts(self) -> bool:
        """Whether there is anybody to contact at all."""
        return self._join_retry.has_contacts

    def next_timer(self) -> float | None:
        """Return when `look` or `search` has something to do, None for never."""
        if self._stopped:
            return None
        if self._look:
            return self._look.deadline
        reconnect = self._reconnect.next_timer() if self._had_company else None
        deadlines = (self._join_retry.next_timer(), reconnect)
        return min((at for at in deadlines if at is not None), default=None)

    def requests(self) -> Iterator[Resolve]:
        """Give out the names to look up, once."""
        requests, self._requests = self._requests, []
        yield from requests

    def seeds(self) -> tuple[SeedStatus, ...]:
        """Return how the seeds fare."""
        seeds = dict.fromkeys(self._settings.seeds)
        return tuple(self._seed_news.get(seed, SeedStatus(seed)) for seed in seeds)

    def replace_seeds(self, seeds: tuple[Seed, ...]) -> None:
        """Contact these seeds from now on, and no others; new ones have not answered yet."""
        known = set(self._settings.seeds)
        self._settings = replace(self._settings, seeds=seeds)
        self._join_retry.replace_seeds(seeds)
        self._silent = {seed: None for seed in seeds if seed in self._silent or seed not in known}

    def start(self, now: float) -> None:
        """Begin to look."""
        self._stopped = False
        self._look = Lookup(
            self._settings.name, self._gossip.settings.addr, self._settings.port, now
        )
        self._join_retry.alone(now)
        self._contact(self._join_retry.contacts(now, every_seed=True), now)

    def seed_addresses(self) -> list[Address]:
        """Return where we have found seeds so far, or have been told to."""
        return list(self._seed_at)

    def moved_to(self, addr: bytes) -> None:
        """Take note that our own address is another one now."""
        if self._look:
            self._look.moved_to(addr)

    def stop(self) -> None:
        """Contact nobody any more."""
        self._stopped = True
        self._look = None
        self._join_retry.answered()

    def advance(self, now: float) -> Lookup | None:
        """Do what is due; returns the look when it is over, for `enter` or for its refusal."""
        if self._stopped:
            return None
        if self._look is None:
            self._discovery(now)
            return None
        look = self._look
        if not look.is_over(now):
            return None
        if look.holder and not look.holder_answered and look.holder != look.asked_holder:
            self._ask_holder(look, look.holder, now)
            return None
        return look

    def enter(self, look: Lookup, now: float) -> None:
        """Go on from looking to joining whoever has answered."""
        self._look, self._late = None, look.waiting
        for contact in look.answered:
            self.reach(contact, now)

    def resolved(self, request: Resolve, ips: Iterable[str], now: float) -> bool:
        """Take the addresses of a contact's name; False when there are none."""
        found = list(dict.fromkeys(ips))[:MAX_RESOLVED]
        if not found:
            self._seed_failed(Seed(request.host, request.port), "its name has no address")
        for ip in found:
            self.reach(Address(ip, request.port), now, Seed(request.host, request.port))
        if self._look:
            self._look.resolved()
        return bool(found)

    def finished(self, event: ExchangeFinished, now: float) -> bool:
        """Take the end of an exchange; True when another live member has told us all it knows."""
        answered = event.error is None and not event.own
        if seed := self._seed_at.get(event.to):
            self._note_seed(seed, event, now)
        if self._look:
            self._look.finished(event, now)
            return False
        if event.exchange in self._late:
            self._late.discard(event.exchange)
            if answered:
                self.reach(event.to, now)
            return False
        if not answered or not self._gossip.members.live_remotes:
            return False
        self._join_retry.answered()
        self._reconnect.answered(event.to, now, reunited=not self._still_apart(event))
        return True

    def pinged(self, event: PingFinished, now: float) -> None:
        """Take the outcome of a ping of ours."""
        if self._look:
            self._look.answered_ping(event)
        address = self._pinged.pop(event.ping, None)
        if address and event.seconds is not None:
            self.reach(address, now)

    def returned(self, now: float) -> None:
        """Take note that somebody who was missing is back, or that we are, to others."""
        self._reconnect.expedite(now)

    def joined(self, member: Member) -> None:
        """Take note that somebody is at a member's address: what trying it came to is over."""
        seed = self._seed_at.get(member.address)
        if seed and (news := self._seed_news.get(seed)):
            self._seed_news[seed] = replace(news, trouble=None)

    def failed(self, member: Member) -> None:
        """Take note that nobody answers at a member's address, which may be a seed's."""
        if seed := self._seed_at.get(member.address):
            self._silent[seed] = None

    def forgotten(self) -> None:
        """Seek every seed again that is no live member's, now that others were given up."""
        live = {member.address for member in self._gossip.members if member.live}
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

    def _seed_failed(self, seed: Seed, trouble: str) -> None:
        news = self._seed_news.get(seed, SeedStatus(seed))
        self._seed_news[seed] = replace(news, trouble=trouble)

    def _ask_holder(self, look: Lookup, holder: Address, now: float) -> None:
        """Find out whether our name belongs to somebody else or to an earlier self, now gone."""
        name = look.holder_name
        self._operator_log.inform(
            "our name, {member}, is known at {address}: asking whether somebody is still there",
            member=name,
            address=holder,
        )
        by_packet = self._gossip.ping(holder, name, now)
        by_stream = self._gossip.ping(holder, name, now, stream=True)
        look.ask_holder(holder, (by_packet, by_stream), now)

    def _discovery(self, now: float) -> None:
        """Contact others while nobody has answered, and again when we are left alone."""
        has_company = self._gossip.members.alive_remotes > 0
        if self._had_company and not has_company:
            self._join_retry.remember(member.address for member in self._lost())
            self._join_retry.answered()
            self._join_retry.alone(now)
        elif has_company and not self._had_company:
            self._reconnect.start(now)
            if self._join_retry.searching:
                # Somebody has found us first: it knows the others, and has a turn before any seed.
                self.reach(self._any_live().address, now)
        self._had_company = has_company
        self._contact(self._join_retry.contacts(now), now)
        if has_company:
            alive = self._gossip.members.live_remotes + 1
            self._contact(self._reconnect.contacts(now, alive), now)
            if pinged := self._reconnect.to_ping(now):
                self._ping(pinged, now)
                self._ask_around(now)

    def _ping(self, contacts: Iterable[Contact], now: float) -> None:
        """Ping members; seeds have their turn in any case."""
        for contact in contacts:
            if not contact.seed:
                address = Address(contact.host, contact.port)
                self._pinged[self._gossip.ping(address, "", now)] = address

    def _ask_around(self, now: float) -> None:
        """Exchange tables with a few: who was on the other side may know that a member left there.

        Of long lost members nobody is asked: all have been told long ago.
        """
        failed_at = (self._failed.failed_at(member.name) for member in self._lost())
        if any(at is None or now - at < LATELY for at in failed_at):
            alive = [one for one in self._gossip.members if self._is_another(one)]
            for member in self._rng.sample(alive, min(ASKED, len(alive))):
                self.reach(member.address, now)

    def _is_another(self, member: Member) -> bool:
        return (
            member.state is MemberState.ALIVE
            and member.name != self._settings.name
            and not self._gossip.members.proofs.waits(member.name)
        )

    def _any_live(self) -> Member:
        name, waits = self._settings.name, self._gossip.members.proofs.waits
        live = [one for one in self._gossip.members if one.live and one.name != name]
        return next((one for one in live if not waits(one.name)), live[0])

    def _lost(self, suspected_before: float = inf) -> Iterator[Member]:
        """Yield the failed members, and those that are suspected for long.

        But none of a crowd who has never answered us: nobody was lost there.
        """
        yield from self._failed
        waits = self._gossip.members.proofs.waits
        for member in self._gossip.members:
            if member.state is not MemberState.SUSPECT or waits(member.name):
                continue
            if member.state_changed_at < suspected_before:
                yield member

    def _missing(self, now: float) -> list[Contact]:
        """Return the members we have lost, and the seeds that we do not reach."""
        suspected_before = now - 2 * self._settings.timing.probe_interval
        lost = [Contact(*member.address, seed=False) for member in self._lost(suspected_before)]
        return [*lost, *(Contact(seed.host, seed.port, seed=True) for seed in self._silent)]

    def _still_apart(self, event: ExchangeFinished) -> bool:
        """Tell whether somebody is alive over there whom we hold failed."""
        return any(
            record.state == RecordState.ALIVE and record.name in self._failed
            for record in event.records
        )

    def _contact(self, contacts: Iterable[Contact], now: float) -> None:
        """Contact somebody: an address at once, a name when it has been looked up."""
        for contact in contacts:
            try:
                ip = str(ip_address(contact.host))
            except ValueError:
                self._requests.append(Resolve(contact.host, contact.port))
                if self._look:
                    self._look.resolving()
            else:
                seed = Seed(contact.host, contact.port) if contact.seed else None
                self.reach(Address(ip, contact.port), now, seed)

    def reach(self, address: Address, now: float, seed: Seed | None = None) -> None:
        """Exchange tables with whoever is there, or only look while we look."""
        if self._stopped:
            return
        self.contacted.add(address.ip)
        if seed:
            self._seed_at[address] = seed
        look = self._look
        exchange = self._gossip.push_pull(address, now, join=not look, look=bool(look))
        if look:
            look.asked(exchange)
