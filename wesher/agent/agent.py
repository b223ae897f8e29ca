"""The agent: from its start, step by step, to its end, which undoes the steps it has to.

Each step of a start registers how it is undone, before anything can interrupt it, on one stack.
Whatever ends an agent, a signal or a failure, at whatever moment, takes the same way: every task is
halted, so that nothing changes any more; then the stack is undone from its top. That gives an order
that matters: the others are told while there are sockets, the sockets are closed before the
interface goes, and no entry in /etc/hosts outlives what it leads to.

What is on this host lies at the bottom, in a stack of its own: a phase that keeps it forgets that
part (phases.py). An interface that is just being opened goes on being opened when the start is
halted, since nobody could tell what half of it is on the host; it is waited for.
"""

import asyncio
import math
import os
import sys
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from loguru import logger

from wesher.agent import phases
from wesher.agent.driver import Driver, Prepared, Tasks
from wesher.agent.own_address import find_underlay, scope_of
from wesher.agent.phases import MOVES, Move, Phase
from wesher.agent.state import load_state, settle_state, with_identity
from wesher.base.errors import WesherError
from wesher.config.config import Config
from wesher.control.commands import Control
from wesher.control.invitations import Invitations
from wesher.control.reload import Reread
from wesher.system import log
from wesher.system.device import Device
from wesher.system.event_loop import in_thread
from wesher.system.files import InterfaceLock
from wesher.system.hosts import HostsFile, HostsFileError
from wesher.system.interface import Leftover, check_requirements, clean_up
from wesher.system.invitation_file import InvitationFile
from wesher.system.log import complain
from wesher.system.network import KnownRoutes, Network
from wesher.system.notify import Notifier
from wesher.system.sockets import bind, check_port_free
from wesher.system.state_file import StateFile

if TYPE_CHECKING:
    from wesher.agent.foreground import Foreground

STOP_TIME = 1.8  # seconds that an orderly stop takes at most, of the two that are promised
LEAVE_TIME = 1.1  # seconds of it for telling the others
HALT_TIME = LEAVE_TIME / 4  # seconds of it for ending tasks and the tools they run
LEAST = (
    0.5  # seconds for each of entries and interface, however late: the host may have stood still
)


def run(config: Config, reread: Reread | None = None) -> int:
    """Run one node until it is told to stop; returns the exit code.

    `reread` reads the configuration again when the operator says so. Raises WesherError when it
    could not start or could not go on.
    """
    check_requirements()
    with InterfaceLock(config.run_dir, config.interface):
        log.detach()
        try:
            return asyncio.run(_run(config, reread or (lambda: config)))
        finally:
            phases.ignore_signals()
            log.flush()


async def _run(config: Config, reread: Reread) -> int:
    return await Agent(config, reread).run()


class Agent:
    """One node on this host, from its start to its end; it is made in its event loop."""

    def __init__(self, config: Config, reread: Reread) -> None:
        self._config = config
        self._hosts = HostsFile(config.hosts_file, config.interface, config.run_dir)
        self._loop = asyncio.get_running_loop()
        self._control = Control(config, reread)
        self._notifier = Notifier(os.environ)
        self._tasks = Tasks()
        self._stop: asyncio.Future[Move] = self._loop.create_future()
        self._phase = Phase.STARTING
        self._made = False  # the interface, by this start
        self._deadline = math.inf  # of the end
        self._leftovers: list[Leftover] = []
        self._removed: list[str] = []
        self._foreground = _foreground(config)
        self._undo = AsyncExitStack()
        self._undo_host = AsyncExitStack()
        self._undo.push_async_exit(self._undo_host)

    async def run(self) -> int:
        """Run until a signal or a failure ends it; returns the exit code or raises the failure."""
        self._loop.set_exception_handler(self._tasks.on_bug)
        phases.catch_signals(self._loop, self._request_stop, self._control.reload)
        self._tasks.spawn(self._work())
        failure = self._tasks.failure
        await asyncio.wait((self._stop, failure), return_when=asyncio.FIRST_COMPLETED)
        if self._stop.done():
            failure.cancel()
            self._notifier.stopping()
            return await self._stopped(self._stop.result())
        error = failure.exception()
        assert error
        await self._failed(error)
        raise error

    def _request_stop(self, move: Move) -> None:
        if not self._stop.done():
            self._stop.set_result(move)

    # The start

    async def _work(self) -> None:
        """Start step by step, then keep this host as planned."""
        prepared = await self._prepare()
        driver = Driver(prepared, self._control, self._notifier, self._tasks, self._foreground)
        self._undo.callback(driver.close)
        self._control.running = driver.running
        await driver.enter()
        self._undo.push_async_callback(self._leave, driver)
        self._go(Move.READY)
        await driver.run()

    async def _prepare(self) -> Prepared:
        """Get all that a node stands on; what is saved is replaced once nothing can refuse us."""
        config, started_at = self._config, self._loop.time()
        self._undo.callback(self._control.close)
        await self._control.open()
        state_file = StateFile(config.state_dir, config.interface)
        state = load_state(config, state_file)
        underlay = await find_underlay(config, [one.address.ip for one in state.mesh.members])
        sockets = bind(underlay.bind, config.cluster_port)
        self._undo.callback(sockets.close)
        routes = KnownRoutes(scope_of(config))
        device = await self._open_device(routes, underlay.network, of_original=state.by_original)
        self._made = not device.adopted
        if self._made:
            check_port_free(config.wireguard_port)
        if not config.etc_hosts:
            await in_thread(_drop_hosts_entries, self._hosts)
        is_new, is_known = not (state.cluster_key or config.cluster_keys), bool(state.cluster_key)
        state = settle_state(config, state, state_file)
        state = with_identity(state, state_file, fresh=config.fresh_key)
        invitations = _invitations(config, is_known=is_known)
        if is_new and self._foreground:
            await self._foreground.invite(invitations, underlay)
        if config.etc_hosts:
            self._undo_host.push_async_callback(self._remove_hosts_entries)
        return Prepared(
            config,
            state,
            underlay,
            sockets,
            device,
            routes,
            self._hosts if config.etc_hosts else None,
            state_file,
            invitations,
            started_at,
        )

    async def _open_device(
        self, routes: KnownRoutes, network: Network, *, of_original: bool
    ) -> Device:
        opening = asyncio.create_task(
            Device.open(
                self._config.interface,
                fresh_key=self._config.fresh_key,
                of_original=of_original,
                routes=routes,
                network=network,
            )
        )
        self._undo_host.push_async_callback(self._take_down, opening)
        return await asyncio.shield(opening)

    # The end

    async def _stopped(self, move: Move) -> int:
        """End as we were told to; returns the exit code."""
        was_member = self._phase is Phase.RUNNING
        await self._end(move)
        for left in self._leftovers:
            complain(f"wesher: {left.what} is left; run: {left.command}")
        if self._foreground:
            keeps = self._phase is Phase.KEEPING
            self._foreground.stopped(self._removed, left=was_member and not keeps, keeps=keeps)
        return 1 if self._leftovers else 0

    async def _failed(self, error: BaseException) -> None:
        """End because of this error."""
        if not isinstance(error, WesherError):
            await self._end(Move.BREAK)
        else:
            await self._end(Move.FAIL if self._made else Move.FAIL_ADOPTED)
        for left in self._leftovers:
            logger.warning("{what} is left; run: {command}", what=left.what, command=left.command)

    async def _end(self, move: Move) -> None:
        """Undo what the start has done, but for what the phase keeps, within STOP_TIME."""
        self._deadline = self._loop.time() + STOP_TIME
        self._go(move)
        await self._tasks.halt(HALT_TIME)
        if self._phase is Phase.KEEPING:
            self._undo_host.pop_all()
        await self._undo.aclose()

    def _go(self, move: Move) -> None:
        self._phase = MOVES[self._phase, move]

    @property
    def _time_left(self) -> float:
        return self._deadline - self._loop.time()

    async def _leave(self, driver: Driver) -> None:
        """Tell the others that we leave, if that is what we do."""
        if self._phase is Phase.LEAVING:
            await driver.leave(min(self._deadline, self._loop.time() + LEAVE_TIME))
            self._go(Move.DEPARTED)

    async def _remove_hosts_entries(self) -> None:
        try:
            async with asyncio.timeout(max(LEAST, self._time_left / 2)):
                if count := await in_thread(self._hosts.remove_all):
                    entries = "1 entry" if count == 1 else f"{count} entries"
                    self._removed.append(f"{entries} of {self._config.hosts_file}")
        except (WesherError, TimeoutError) as error:
            reason = error if isinstance(error, WesherError) else "no time left"
            self._leave_over(f"what we wrote to {self._config.hosts_file} ({reason})")

    async def _take_down(self, opening: asyncio.Task[Device]) -> None:
        """Take our interface away; one that is still being opened is waited for."""
        device = None
        with suppress(WesherError, TimeoutError):  # one that is given up, like one that failed
            async with asyncio.timeout(self._time_left / 2):
                device = await opening
        limit = max(LEAST, self._time_left)
        if device:
            self._note_removed([device.what], await device.close(limit))
        else:
            await self._clean_up(limit)

    async def _clean_up(self, limit: float) -> None:
        """Remove an interface that was perhaps made or adopted before we stopped waiting for it."""
        try:
            async with asyncio.timeout(limit):
                found, leftovers = await clean_up(self._config.interface, limit)
        except (WesherError, TimeoutError):
            self._leave_over(f"perhaps interface {self._config.interface}")
        else:
            self._note_removed(found, leftovers)

    def _note_removed(self, found: list[str], leftovers: list[Leftover]) -> None:
        """Take note of what was found and taken away, but for these leftovers."""
        self._leftovers += leftovers
        if not leftovers:
            self._removed[:0] = found

    def _leave_over(self, what: str) -> None:
        command = f"wesher cleanup --interface {self._config.interface}"
        self._leftovers.append(Leftover(what, command))


def _foreground(config: Config) -> "Foreground | None":
    """Return who tells of what happens, where there is a terminal to tell it to."""
    if not sys.stdout.isatty():
        return None
    made: Foreground = import_module("wesher.agent.foreground").Foreground(config)
    return made


def _invitations(config: Config, *, is_known: bool) -> Invitations:
    """Return the invitations of before; those into another mesh than ours are void."""
    file = InvitationFile(config.state_dir, config.interface)
    if not is_known:
        file.discard()
    return Invitations(file)


def _drop_hosts_entries(hosts: HostsFile) -> None:
    """Take out what an earlier agent, which kept the hosts file, has left there."""
    try:
        hosts.remove_all()
    except HostsFileError as error:
        logger.warning("lines of an earlier start stay in the hosts file: {error}", error=error)
