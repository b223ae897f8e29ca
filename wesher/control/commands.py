"""What a running agent answers those who ask it through the control socket."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress

from loguru import logger

from wesher.base.errors import AgentError, CommandError, StartError, WesherError, nearest
from wesher.base.naming import fingerprint
from wesher.base.problems import FIXED_ADDRESS, OUR_NAME, SAME_ADDRESS, SAME_NAME
from wesher.config.config import Config
from wesher.control.invitations import addresses_of, as_invitation, as_invitations, command
from wesher.control.keys import as_keys, change_keys
from wesher.control.member_answers import MemberAnswers
from wesher.control.pings import Pinger, answer_contact
from wesher.control.reload import Reread, in_words, reload
from wesher.control.stats import as_account
from wesher.control.status import Json, Moment, Running, as_details, as_export, as_status
from wesher.gossip import Address
from wesher.mesh.base.events import MemberEvent, Notice, Pinged
from wesher.mesh.base.invitation import MOST_TTL, MOST_USES
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.questions import Topic, answer_as_map
from wesher.mesh.reporting import MemberStatus
from wesher.system.control_client import FOLLOW, STARTING
from wesher.system.control_server import Answer, Arguments, ControlServer
from wesher.system.network import Scope, read_network
from wesher.system.wireguard import PeerState, is_userspace, read_wireguard

WIREGUARD_PATIENCE = 1.5  # seconds for `wg show`; without it a status is still of use
FRESH = 1.0  # seconds for which what WireGuard told serves everybody who asks

_CONFLICTS = {one.text for one in (OUR_NAME, SAME_NAME, SAME_ADDRESS, FIXED_ADDRESS)}


class Control:
    """The control socket of one agent; `running` is None until the agent has a node."""

    def __init__(self, config: Config, reread: Reread) -> None:
        self._run_dir = config.run_dir
        self._interface = config.interface
        self._reread = reread
        self._server = ControlServer({name: _safely(name, one) for name, one in self._answers()})
        self._pinger = Pinger()
        self._members = MemberAnswers(lambda: self.running)
        self._reading = asyncio.Lock()
        self._moment: Moment | None = None
        self._overlay_addr: IPAddress | None = None
        self.running: Running | None = None

    def _answers(self) -> list[tuple[str, Answer]]:
        return [
            (FOLLOW, self._monitor),
            ("status", self._status),
            ("account", self._account),
            ("info", self._info),
            ("ping", self._ping),
            ("tell", self._tell),
            ("contact", self._contact),
            ("forget", self._forget),
            ("trust", self._trust),
            ("key", self._key),
            ("keys", self._keys),
            ("change-keys", self._change_keys),
            ("invite", self._invite),
            ("invitations", self._invitations),
            ("revoke", self._revoke),
            ("export", self._export),
            ("reload", self._reload),
        ]

    async def open(self) -> None:
        """Begin to listen; a mesh without its control socket is better than none."""
        try:
            await self._server.open(self._run_dir, self._interface)
        except StartError as error:
            logger.warning("{error}; nobody can ask this agent anything", error=error)

    def close(self) -> None:
        """Stop to listen; calling it again does nothing."""
        self._server.close()

    def reload(self) -> None:
        """Take a changed configuration because of a signal; the log tells what came of it."""
        try:
            report = self._take_configuration()
        except AgentError as error:
            logger.warning("{error}", error=error)
        else:
            level = "WARNING" if report["restart_needed"] or report["warnings"] else "INFO"
            told = in_words(report)
            logger.log(level, "the configuration was read again; {report}", report=told)

    # What the agent tells

    def happened(self, event: MemberEvent) -> None:
        """Tell those who follow what happened to a member."""
        data = {name: None if value is None else str(value) for name, value in event.data.items()}
        self._publish(event.what.value, event.member, data)

    def noticed(self, event: Notice) -> None:
        """Tell those who follow of a conflict."""
        if event.text in _CONFLICTS:
            member = str(event.data.get("member") or event.data.get("loser"))
            self._publish("conflict", member, {"text": event.text.format(**event.data)})

    def plan_changed(self) -> None:
        """Tell those who follow of our own new overlay address."""
        plan = self.running.node.plan() if self.running else None
        if self.running is None or plan is None or plan.interface.address == self._overlay_addr:
            return
        old, self._overlay_addr = self._overlay_addr, plan.interface.address
        before = {} if old is None else {"old_overlay_address": str(old)}
        self._publish("self-changed", self.running.config.node_name, self._own_address() | before)

    def pinged(self, event: Pinged) -> None:
        """Hear the outcome of a ping."""
        self._pinger.finished(event)

    def streams(self, frame: bytes, source: Address) -> Awaitable[bytes | None] | None:
        """Return the coming answer to a member's question, None for what is none."""
        return self._members.streams(frame, source)

    def _publish(self, what: str, member: str, data: Mapping[str, str | None]) -> None:
        self._members.happened(what, member, data.get("text") or "")
        self._server.publish(self._event(what, member, data))

    def _own_address(self) -> dict[str, str | None]:
        return {"overlay_address": str(self._overlay_addr) if self._overlay_addr else None}

    @staticmethod
    def _event(what: str, member: str, data: Mapping[str, str | None]) -> Json:
        return {"event": what, "at": round(_wall(), 3), "member": member, **data}

    # Answers

    async def _monitor(self, _request: Arguments) -> Json:
        return self._event("following", self._ready().config.node_name, self._own_address())

    async def _status(self, _request: Arguments) -> Json:
        return as_status(self._ready(), await self.moment())

    async def _account(self, _request: Arguments) -> Json:
        return as_account(self._ready(), _now())

    async def _info(self, request: Arguments) -> Json:
        running, member = self._ready(), self._member(request)
        return as_details(running, member, await self.moment())

    async def _ping(self, request: Arguments) -> Json:
        return await self._pinger.ping(self._ready(), self._member(request))

    async def _tell(self, request: Arguments) -> Json:
        """Tell of ourselves what members' agents are told."""
        known, asked = {topic.value: topic for topic in Topic}, request.get("topics")
        topics = [known[one] for one in asked if one in known] if isinstance(asked, list) else []
        return answer_as_map(await self._members.tell(topics, self._ready()))

    async def _contact(self, request: Arguments) -> list[Json]:
        addresses, names = request.get("addresses"), request.get("names")
        return await answer_contact(self._ready().keyring.keys, addresses, names)

    async def _forget(self, request: Arguments) -> Json:
        running, name = self._ready(), _name(request)
        try:
            running.node.forget(name, _now())
        except ValueError as error:
            raise AgentError(str(error)) from error
        running.transport.flush()
        return {"name": name}

    async def _trust(self, request: Arguments) -> Json:
        running, name, identity = self._ready(), _name(request), request.get("identity")
        try:
            running.node.trust(name, identity if isinstance(identity, str) else None, _now())
        except ValueError as error:
            raise AgentError(str(error)) from error
        running.transport.flush()
        return {"name": name, "identity": running.node.pinned_to(name)}

    async def _key(self, _request: Arguments) -> Json:
        keys = self._ready().keyring.keys
        told = [
            {"key": base64.b64encode(key).decode(), "fingerprint": fingerprint(key)} for key in keys
        ]
        return {"key": told[0]["key"], "keys": told}

    async def _keys(self, _request: Arguments) -> Json:
        return as_keys(self._ready(), _now())

    async def _change_keys(self, request: Arguments) -> Json:
        return await change_keys(self._ready(), request, _now)

    async def _invite(self, request: Arguments) -> Json:
        running = self._ready()
        ttl, uses = _within(request, "ttl", 1, MOST_TTL), _within(request, "uses", 1, MOST_USES)
        config, at = running.config, running.node.status().address
        network = await read_network(Scope(config.interface, config.overlay_net.network))
        addresses = addresses_of(config, at, network)
        made, token = await running.invitations.issue(ttl, uses, addresses)
        told = {"token": token, "command": command(token), "addresses": list(map(str, addresses))}
        return as_invitation(made, _wall()) | told

    async def _invitations(self, _request: Arguments) -> Json:
        return as_invitations(self._ready().invitations, _wall())

    async def _revoke(self, request: Arguments) -> Json:
        wanted = request.get("id")
        if not isinstance(wanted, str):
            raise AgentError("the request lacks the id of an invitation, or all")
        name = None if wanted == "all" else wanted.lower()
        return {"withdrawn": await self._ready().invitations.withdraw(name)}

    async def _export(self, request: Arguments) -> Json:
        running, private_key = self._ready(), None
        if request.get("with_private_key") is True:
            private_key = (await read_wireguard(self._interface)).private_key
        return as_export(running, await self.moment(), private_key)

    async def _reload(self, _request: Arguments) -> Json:
        return self._take_configuration()

    def _take_configuration(self) -> Json:
        self.running, report = reload(self._ready(), self._reread, _now())
        return report

    async def moment(self) -> Moment:
        """Return this moment, with what WireGuard told at most a second ago."""
        async with self._reading:  # a crowd of clients starts one process a second, not a crowd
            if self._moment is None or _now() - self._moment.now > FRESH:
                self._moment = await _look(self._interface)
        moment = self._moment
        return Moment(_now(), _wall(), moment.userspace, moment.peers)

    def _ready(self) -> Running:
        if self.running is None:
            raise AgentError(STARTING)
        return self.running

    def _member(self, request: Arguments) -> MemberStatus:
        """Return the member that is asked about; AgentError when there is none of that name."""
        name, status = _name(request), self._ready().node.status()
        if name == status.name:
            raise AgentError(f"{name} is this node itself: see `wesher status`")
        members = {member.name: member for member in status.members}
        if name not in members:
            near = nearest(name, members)
            hint = f"; did you mean {near}?" if near else ""
            raise AgentError(
                f"no member is named {name!r}{hint or ': `wesher members` lists them'}"
            )
        return members[name]


def _name(request: Arguments) -> str:
    name = request.get("name")
    if not isinstance(name, str):
        raise AgentError("the request lacks the name of a member")
    return name


def _within(request: Arguments, name: str, least: int, most: int) -> int:
    value = request.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise AgentError(f"the request's {name} is no number from {least} to {most}")
    return value


def _safely(name: str, answer: Answer) -> Answer:
    """Contain a bug: whoever asks for something must not cost this host its mesh."""

    async def answer_safely(request: Arguments) -> object:
        try:
            return await answer(request)
        except WesherError:
            raise
        except Exception as error:
            logger.exception("a bug in wesher, please report it")
            raise AgentError(f"a bug in wesher's {name}: its log has more") from error

    return answer_safely


async def _look(interface: str) -> Moment:
    peers: Mapping[str, PeerState] | None = None
    with suppress(CommandError, TimeoutError):
        async with asyncio.timeout(WIREGUARD_PATIENCE):
            peers = (await read_wireguard(interface)).peers
    return Moment(_now(), _wall(), is_userspace(interface), peers)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _wall() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
