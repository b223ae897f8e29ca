"""What a running agent answers those who ask it through the control socket."""

import asyncio
import base64
import difflib
import time
from collections.abc import Mapping
from contextlib import suppress

from loguru import logger

from wesher.accounting import as_account
from wesher.config import Config
from wesher.errors import AgentError, CommandError, StartError
from wesher.mesh.status import MemberStatus
from wesher.status import Json, Moment, Running, as_details, as_status
from wesher.system.control import Arguments, ControlServer
from wesher.system.wireguard import PeerState, is_userspace, read_wireguard

WIREGUARD_PATIENCE = 1.5  # seconds for `wg show`; without it a status is still of use
FRESH = 1.0  # seconds for which what WireGuard told serves everybody who asks


class Control:
    """The control socket of one agent; `running` is None until the agent has a node."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._server = ControlServer(
            {
                "status": self._status,
                "account": self._account,
                "info": self._info,
                "key": self._key,
            }
        )
        self._reading = asyncio.Lock()
        self._moment: Moment | None = None
        self.running: Running | None = None

    async def open(self) -> None:
        """Begin to listen; a mesh without its control socket is better than none."""
        try:
            await self._server.open(self._config.run_dir, self._config.interface)
        except StartError as error:
            logger.warning("{error}; nobody can ask this agent anything", error=error)

    def close(self) -> None:
        """Stop to listen; calling it again does nothing."""
        self._server.close()

    async def _status(self, _request: Arguments) -> Json:
        return as_status(self._ready(), await self.moment())

    async def _account(self, _request: Arguments) -> Json:
        return as_account(self._ready(), _now())

    async def _info(self, request: Arguments) -> Json:
        member = self._member(request)
        return as_details(member, await self.moment())

    async def _key(self, _request: Arguments) -> Json:
        return {"key": base64.b64encode(self._ready().key).decode()}

    async def moment(self) -> Moment:
        """Return this moment, with what WireGuard told at most a second ago."""
        async with self._reading:  # a crowd of clients starts one process a second, not a crowd
            if self._moment is None or _now() - self._moment.now > FRESH:
                self._moment = await _look(self._config.interface)
        moment = self._moment
        return Moment(_now(), _wall(), moment.userspace, moment.peers)

    def _ready(self) -> Running:
        if self.running is None:
            raise AgentError("the agent is still starting; try again in a moment")
        return self.running

    def _member(self, request: Arguments) -> MemberStatus:
        """Return the member that is asked about; AgentError when there is none of that name."""
        name, status = _name(request), self._ready().node.status()
        if name == status.name:
            raise AgentError(f"{name} is this node itself: see `wesher status`")
        members = {member.name: member for member in status.members}
        if name not in members:
            near = difflib.get_close_matches(name, members, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise AgentError(f"no member is named {name!r}{hint}")
        return members[name]


def _name(request: Arguments) -> str:
    name = request.get("name")
    if not isinstance(name, str):
        raise AgentError("the request lacks the name of a member")
    return name


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
