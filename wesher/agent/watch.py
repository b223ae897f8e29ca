"""Notice at once what others change on this host: to repair it, to follow it, or just to say so."""

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing

from loguru import logger

from wesher.base.errors import CommandError
from wesher.base.problems import RENAMED
from wesher.config.config import Config, renamed_to
from wesher.system.hosts import HostsFile
from wesher.system.network import PROTOCOL, KnownRoutes
from wesher.system.shell import follow

GATHER = 0.1  # seconds, so that one wake serves a burst of changes
REST = 0.4  # seconds after a wake without another: at most two a second, whatever happens
LOOK_INTERVAL = 0.5  # seconds between two looks at the hosts file; a look is one stat(2)
NAME_INTERVAL = 2.0  # seconds between two looks at the host's name; a look is one uname(2)
RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0  # seconds until `ip monitor` is started again

HEARS_AFTER = 2.0  # seconds after its start `ip monitor` surely hears everything
ROUTES_REST = 2.0  # seconds between two wakes for what happened to routes of others

_MONITOR = ("ip", "-N", "-o", "monitor", "link", "address", "route")


class Watch:
    """Calls `wake` soon after the kernel's network or the hosts file was changed.

    Where `ip monitor` does not work, the reconciler's own rounds have to do.
    """

    def __init__(
        self,
        interface: str,
        hosts: HostsFile | None,
        routes: KnownRoutes,
        wake: Callable[[], None],
    ) -> None:
        self._relevant = relevant_lines(interface)
        self._ours, self._others = lines_of_ours(interface), lines_of_others(interface)
        self._routes = routes
        self._hosts = hosts
        self._wake = wake
        self._changed = asyncio.Event()
        self._routes_changed = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on())
            group.create_task(self._pass_on_routes())
            group.create_task(self._listen())
            if self._hosts:
                group.create_task(self._look(self._hosts))

    async def _pass_on(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER)
            self._changed.clear()
            self._wake()
            await asyncio.sleep(REST)

    async def _pass_on_routes(self) -> None:
        """Wake when routes of others, which may change without end, are worth reading again."""
        while True:
            await self._routes_changed.wait()
            while pause := self._routes.due_in:
                await asyncio.sleep(pause)
            self._routes_changed.clear()
            if self._routes.due_in is not None:  # nobody has read them meanwhile
                await asyncio.sleep(GATHER)
                self._wake()
                await asyncio.sleep(ROUTES_REST)

    async def _listen(self) -> None:
        """Follow `ip monitor`, again and again when it ends."""
        loop = asyncio.get_running_loop()
        pause = RETRY_FIRST
        while True:
            began = loop.time()
            try:
                await self._follow()
            except CommandError as error:
                logger.debug("cannot listen to the kernel: {error}", error=error)
            if loop.time() - began > RETRY_LONGEST:
                pause = RETRY_FIRST
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_LONGEST)

    async def _follow(self) -> None:
        hears = asyncio.get_running_loop().call_later(HEARS_AFTER, self._hear)
        try:
            async with aclosing(follow(*_MONITOR)) as bursts:
                async for lines in bursts:
                    self._sort(lines)
        finally:
            hears.cancel()
            self._routes.lose()

    def _hear(self) -> None:
        """Rely on being told from now on; what changed until now is read once more."""
        self._routes.follow()
        self._routes_changed.set()

    def _sort(self, lines: str) -> None:
        if self._others.search(lines):
            self._routes.change()
            self._routes_changed.set()
        elif self._ours.search(lines):
            self._routes.change_ours()
        if self._relevant.search(lines):
            self._changed.set()

    async def _look(self, hosts: HostsFile) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            if hosts.touched():
                self._changed.set()


async def watch_name(config: Config) -> None:
    """Say once that this host was renamed while we run."""
    while (name := renamed_to(config)) is None:
        await asyncio.sleep(NAME_INTERVAL)
    logger.warning(RENAMED.text, name=name, member=config.node_name)


def relevant_lines(interface: str) -> re.Pattern[str]:
    """Return what finds a line of `ip -o monitor` that may concern us.

    Those are changes of links and addresses, of default routes, routes through `interface` that
    go, and a word that events were lost. A router's other routes change thousands of times a
    second; and a route of ours that comes is our own doing.
    """
    change = r"(?:Deleted )?(?:\d+: |default )"
    loss = rf"Deleted .* dev {re.escape(interface)} "
    return re.compile(rf"^(?:{change}|{loss}|netlink receive error)", re.MULTILINE)


def lines_of_ours(interface: str) -> re.Pattern[str]:
    """Return what finds a line about a route through `interface`."""
    return re.compile(rf"^(?:Deleted )?\S.* dev {re.escape(interface)} ", re.MULTILINE)


def lines_of_others(interface: str) -> re.Pattern[str]:
    """Return what finds a line after which the routes of others may be different.

    That is any which is not about a route of ours or to a member of another mesh: a link that goes
    down takes its routes with it, and nothing is said of them.
    """
    ours = rf".* dev {re.escape(interface)} "
    members = rf"(?:Deleted |(?!Deleted ))[^\s/]+ (?:.* )?proto {PROTOCOL} "
    return re.compile(rf"^(?!{ours}|{members})\S", re.MULTILINE)
