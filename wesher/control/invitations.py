"""The invitations of a running agent: made, listed and withdrawn for operators, redeemed by hosts.

Whatever changes is on disk before anybody relies on it: a use is counted before the keys are sent.

What strangers cost is bounded before it is spent. An id that no invitation has is answered without
any arithmetic. A network may be wrong some times in a row; then even an id that is ours is answered
without being opened, and whoever goes on is not let as far as that: the kernel keeps it from our
streams for half a minute. Members it does not: somebody without rights on their host could have
them cut off. Right ones cost nothing of that, so a hundred hosts behind one address are let in at
once.
"""

import asyncio
import hashlib
import os
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from loguru import logger

from wesher.base.addresses import Address
from wesher.base.errors import AgentError, ProtocolError, StartError, printable
from wesher.config.config import Config
from wesher.gossip import Keyring
from wesher.gossip.context import TokenBucket
from wesher.mesh.base.identity import fingerprint
from wesher.mesh.base.invitation import Invitation, Use
from wesher.mesh.invitations import (
    MAX_ADDRESSES,
    MAX_MEMBERS,
    SECRET_SIZE,
    Answering,
    Book,
    Grant,
    Member,
    OtherVersionError,
    Reason,
    Refused,
    Request,
    Token,
    derive,
    ephemeral_of,
    is_repeated,
    open_request,
    prologue,
    read_request,
    refused_plainly,
    sealed_reply,
    verdict,
    whole,
    written,
)
from wesher.mesh.node import MeshNode
from wesher.mesh.reporting import Standing
from wesher.system.event_loop import in_thread
from wesher.system.host_facts import lasting_addresses, link_of
from wesher.system.invitation_file import InvitationFile
from wesher.system.network import Network
from wesher.system.transport import Reply

WRONG_RATE = 8.0  # wrong ones a second from one network that are borne with,
WRONG_BURST = 64.0  # and that many at once: a fleet may come with an old token
MAX_NETWORKS = 256  # that are remembered for it
NETWORK_BITS = {4: 24, 6: 64}  # prefix length, as for streams
TOLD = 60.0  # seconds between two lines of the log about those who were refused
COUNTED = (
    "issued",
    "redeemed",
    "repeated",
    "withdrawn",
    *(f"refused_{one.name.lower()}" for one in Reason),
    "shut_out",
)
EPHEMERAL_SIZE = 32  # bytes
PROOF_SIZE = 16  # bytes of a hash


class Invitations:
    """All invitations of this agent, and what has become of them since its start."""

    def __init__(self, file: InvitationFile) -> None:
        self._file = file
        self._book = Book(file.load())
        self._changing = asyncio.Lock()
        self.counts: Counter[str] = Counter()

    def listed(self) -> tuple[Invitation, ...]:
        """Return those that are open, and those that ended lately."""
        return self._book.remembered(_wall()).invitations

    def find(self, name: str) -> Invitation | None:
        """Return the invitation with this id."""
        return self._book.find(name)

    async def issue(
        self, ttl: float, uses: int, addresses: Sequence[Address]
    ) -> tuple[Invitation, str]:
        """Make an invitation, valid for `ttl` seconds; return it and its token.

        Raises AgentError when there are too many, or the disk does not take it.
        """
        secret, now = os.urandom(SECRET_SIZE), _wall()
        name, key = derive(secret)
        made = Invitation(name, key, int(now), int(now + ttl), uses)
        async with self._changing:
            try:
                await self._change(self._book.issued(made, now))
            except (ValueError, StartError) as error:
                raise AgentError(str(error)) from error
        self.counts["issued"] += 1
        return made, written(Token(tuple(addresses), made.expires_at, secret))

    async def withdraw(self, name: str | None) -> list[str]:
        """Withdraw one invitation, or all that are open; return their ids.

        Raises AgentError when there is none, or the disk does not take it: then nothing changes.
        """
        now = _wall()
        async with self._changing:
            chosen = [one.id for one in self._book.open(now) if name in (None, one.id)]
            if name is not None and not chosen:
                raise AgentError(self._not_open(name, now))
            try:
                await self._change(self._book.withdrawn(chosen, now))
            except StartError as error:
                raise AgentError(f"nothing was withdrawn: {error}") from error
        self.counts["withdrawn"] += len(chosen)
        return chosen

    def _not_open(self, name: str, now: float) -> str:
        if ended := self._book.find(name):
            return f"invitation {name} is {ended.standing(now).value} already"
        return f"there is no invitation {name!r}: `wesher invite list` shows all"

    async def use(self, name: str, use: Use) -> Reason | None:
        """Count a use, unless this host has been let in before; return why it is not let in."""
        async with self._changing:  # two at once must not share the last use
            invitation = self._book.find(name)
            if invitation is None:
                return Reason.UNKNOWN
            if (why := verdict(invitation, use.proof, use.at)) is not None:
                return why
            if is_repeated(invitation, use.proof):
                self.counts["repeated"] += 1
                return None
            try:
                await self._change(self._book.redeemed(name, use))
            except StartError as error:
                logger.warning("{error}; nobody is let in before it can", error=error)
                return Reason.UNSAVED
        self.counts["redeemed"] += 1
        return None

    async def _change(self, book: Book) -> None:
        """Go by another book once it is saved; raises StartError."""
        await in_thread(self._file.save, book.invitations)
        self._book = book


class Redeeming:
    """The door of the gossip port through which a token's holder comes in.

    `grant` returns what a member has to know at this moment, `is_member` tells whether a live one
    is at an IP address.
    """

    def __init__(
        self,
        invitations: Invitations,
        grant: Callable[[], Grant],
        is_member: Callable[[str], bool],
    ) -> None:
        self._invitations = invitations
        self._grant = grant
        self._is_member = is_member
        self._wrong: OrderedDict[str, TokenBucket] = OrderedDict()
        self._told_at = float("-inf")
        self._untold = 0

    def frame_size(self, head: bytes) -> int | None:
        """Return the size of the frame that begins with `head`; None to be asked with more."""
        return whole(head)

    async def answer(self, frame: bytes, source: Address) -> Reply:
        """Return what to say to one who has come."""
        patience = self._patience(source.ip)
        try:
            name, message = read_request(frame)
        except OtherVersionError:
            return self._refuse(Reason.VERSION, source, patience)
        except ProtocolError:
            return self._refuse(Reason.FORGED, source, patience)
        invitation = self._invitations.find(name)
        if invitation is None:
            return self._refuse(Reason.UNKNOWN, source, patience)
        if not patience.has_room(_now()):
            return self._refuse(Reason.LIMITED, source, patience)
        answering = Answering(invitation.key, prologue(name))
        try:
            request = open_request(answering, message)
        except ProtocolError:
            return self._refuse(Reason.FORGED, source, patience)
        proof = hashlib.sha256(ephemeral_of(message)).digest()[:PROOF_SIZE]
        outcome = await self._redeem(name, request, source, proof)
        try:
            return Reply(sealed_reply(answering, outcome, os.urandom(EPHEMERAL_SIZE)))
        except ProtocolError:
            return self._refuse(Reason.FORGED, source, patience)

    async def _redeem(
        self, name: str, request: Request, source: Address, proof: bytes
    ) -> Grant | Refused:
        identity = fingerprint(request.identity)
        use = Use(request.name, source.ip, int(_wall()), proof, identity)
        if (why := await self._invitations.use(name, use)) is not None:
            self._note(why, source)
            grant = self._grant()
            return Refused(why, grant.inviter, grant.at)
        invitation = self._invitations.find(name)
        logger.info(
            "invitation {invitation} was used by {host} at {ip} (identity {identity});"
            " it lets in {left} more",
            invitation=name,
            host=printable(request.name),
            ip=source.ip,
            identity=identity,
            left=invitation.left if invitation else 0,
        )
        return self._grant()

    def _patience(self, ip: str) -> TokenBucket:
        """Return what is left of the patience with one network."""
        address = ip_address(ip.partition("%")[0])
        network = str(ip_network((address, NETWORK_BITS[address.version]), strict=False))
        bucket = self._wrong.pop(network, None) or TokenBucket(WRONG_RATE, WRONG_BURST)
        self._wrong[network] = bucket
        if len(self._wrong) > MAX_NETWORKS:
            self._wrong.popitem(last=False)
        return bucket

    def _refuse(self, why: Reason, source: Address, patience: TokenBucket) -> Reply:
        """Say why not; whoever has used up all patience is not welcome, unless it is a member."""
        self._note(why, source)
        unwelcome = not patience.allow(_now()) and not self._is_member(source.ip)
        if unwelcome:
            self._invitations.counts["shut_out"] += 1
        return Reply(refused_plainly(why), unwelcome)

    def _note(self, why: Reason, source: Address) -> None:
        """Count who is not let in, and tell of some of them: nobody shall fill a disk."""
        self._invitations.counts[f"refused_{why.name.lower()}"] += 1
        if _now() - self._told_at < TOLD:
            self._untold += 1
            return
        more = f"; {self._untold} more since the last such line" if self._untold else ""
        self._told_at, self._untold = _now(), 0
        logger.warning(
            "{ip} was not let in by an invitation: {why}{more}",
            ip=source.ip,
            why=_IN_WORDS[why],
            more=more,
        )


_IN_WORDS = {
    Reason.UNKNOWN: "there is none of that id",
    Reason.FORGED: "it does not know its secret",
    Reason.LIMITED: "too many wrong ones came from its network",
    Reason.VERSION: "it speaks another version",
    Reason.USED: "it is used up",
    Reason.EXPIRED: "it has expired",
    Reason.WITHDRAWN: "it was withdrawn",
    Reason.UNSAVED: "its use cannot be saved",
}


def grant_of(config: Config, keyring: Keyring, node: MeshNode, identity: bytes) -> Grant:
    """Return what a new host must know to be a member: this node is the first to contact."""
    status = node.status()
    alive = [one for one in status.members if one.standing is Standing.ALIVE]
    members = [(status.name, status.address), *((one.name, one.address) for one in alive)]
    return Grant(
        keyring.keys,
        str(config.overlay_net),
        config.timing,
        config.metadata_format,
        config.cluster_port,
        status.name,
        identity,
        int(_wall()),
        tuple(Member(name, one) for name, one in members[:MAX_MEMBERS]),
    )


def as_invitations(invitations: Invitations, now: float) -> dict[str, Any]:
    """Return what `wesher invite list` shows; no secrets."""
    listed = [as_invitation(one, now) for one in invitations.listed()]
    return {"invitations": listed, "counts": as_counts(invitations)}


def as_invitation(one: Invitation, now: float) -> dict[str, Any]:
    """Return one invitation as JSON; times are in seconds, those of day since 1970."""
    used = [
        {"host": use.name, "identity": use.identity, "address": use.ip, "at": use.at}
        for use in one.used
    ]
    return {
        "id": one.id,
        "state": one.standing(now).value,
        "made_at": one.made_at,
        "expires_at": one.expires_at,
        "uses": one.uses,
        "left": one.left,
        "used_by": used,
    }


def as_counts(invitations: Invitations) -> dict[str, int]:
    """Return what has become of invitations since the agent's start, zeros included."""
    return {name: invitations.counts[name] for name in COUNTED}


def command(token: str) -> str:
    """Return what to type on the new host."""
    return f"sudo wesher join {token}"


def addresses_of(config: Config, advertised: Address, network: Network) -> tuple[Address, ...]:
    """Return where a new host may reach this one: where the others do, and beside it.

    Those are the addresses that we listen on of the same link, or of every link where the
    advertised one is on none, as behind 1:1 NAT: a host on our side of it reaches us there.
    """
    here = ip_address(advertised.ip)
    if config.bind_addr.is_unspecified and config.bind_iface is None:
        only = 4 if here.version == 4 else None  # the socket for IPv6 takes both
        link = link_of(network, here)
        others = [
            address.ip
            for where, address in lasting_addresses(network, only)
            if link in (None, where.name)
        ]
    else:
        others = [] if config.bind_addr.is_unspecified else [config.bind_addr]
    beside = [Address(str(ip), config.cluster_port) for ip in others]
    return tuple(dict.fromkeys((advertised, *beside)))[:MAX_ADDRESSES]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _wall() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
