"""Bring this host to the newest plan, and keep it there: interface, hosts file, state file."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from loguru import logger

from wesher.base.errors import WesherError
from wesher.mesh.base.plan import HostsEntry, Plan
from wesher.system.device import Device
from wesher.system.event_loop import in_thread
from wesher.system.hosts import HostsFile
from wesher.system.network import Network
from wesher.system.state_file import State, StateFile

INTERVAL = 25.0  # seconds between two looks at what others may have broken, repaired within 30
RETRY_FIRST, RETRY_LONGEST = 0.5, 5.0  # seconds until what failed is tried again
REST = 1.0  # times as long as a reconcile took we rest after it, so that bursts coalesce
LONGEST_REST = 1.0  # seconds
SHOWN = 3  # failed changes that one warning names


class Reconciles:
    """How often and how long this host was compared with the plan; failures by what failed."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.repairs = 0
        self.failures: Counter[str] = Counter()


class PartlyAppliedError(WesherError):
    """Some changes of a plan failed, the others are in place."""


class Reconciler:
    """Applies whatever `plan` and `state` return when it is woken, one reconcile at a time.

    `observed` is called with what each reconcile saw of the host's network.
    """

    def __init__(
        self,
        device: Device,
        hosts: HostsFile | None,
        state_file: StateFile,
        *,
        plan: Callable[[], Plan | None],
        state: Callable[[], State | None],
        observed: Callable[[Network], Awaitable[None]],
    ) -> None:
        self._device = device
        self._hosts = hosts
        self._state_file = state_file
        self._plan = plan
        self._state = state
        self._observed = observed
        self._woken = asyncio.Event()
        self._saving = asyncio.Lock()
        self._problems: dict[str, str] = {}
        self._retry = RETRY_FIRST
        self._lowered_mtu: int | None = None
        self._written: tuple[HostsEntry, ...] | None = None
        self.counts = Reconciles()
        self.up = asyncio.Event()
        """Set once a plan has been applied for the first time."""

    def wake(self) -> None:
        """Say that the plan may have changed; any number of calls cause one reconcile."""
        self._woken.set()

    async def run(self) -> None:
        """Reconcile whenever woken, and from time to time without, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wait()
            began = loop.time()
            await self._reconcile()
            took = loop.time() - began
            self.counts.count += 1
            self.counts.seconds += took
            await asyncio.sleep(min(REST * took, LONGEST_REST))

    async def _wait(self) -> None:
        """Wait to be woken, but no longer than until the next look or the next try is due."""
        patience = INTERVAL
        if self._problems:
            patience = self._retry
            self._retry = min(2 * self._retry, RETRY_LONGEST)
        else:
            self._retry = RETRY_FIRST
        try:
            async with asyncio.timeout(patience):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _reconcile(self) -> None:
        plan = self._plan()
        if plan is None:
            return
        await self._attempt("interface", self._apply(plan))
        # Until we know the whole mesh, lines that an earlier agent left are not ours to judge.
        if self._hosts and (plan.complete or not self._device.adopted):
            await self._attempt("hosts file", self._write_hosts(self._hosts, plan.hosts))
        await self.save_state()

    async def save_state(self) -> bool:
        """Save what belongs in the state file now; False when that failed, and will be retried.

        One at a time: an older state must not be written after a newer one.
        """
        async with self._saving:
            if state := self._state():
                await self._attempt("state file", in_thread(self._state_file.save, state))
        return "state file" not in self._problems

    async def _attempt(self, what: str, work: Awaitable[object]) -> None:
        """Do `work`; say so once when it fails, and again when it works."""
        try:
            await work
        except WesherError as error:
            self._report(what, str(error))
        else:
            self._recovered(what)

    async def _apply(self, plan: Plan) -> None:
        applied = await self._device.apply(plan)
        for what in applied.repaired:
            self.counts.repairs += 1
            logger.warning("another program changed {what}; repaired", what=what)
        self._tell_mtu(applied.network, plan)
        await self._observed(applied.network)
        if applied.failed:
            raise PartlyAppliedError("; ".join(applied.failed[:SHOWN]))
        self.up.set()

    def _tell_mtu(self, network: Network, plan: Plan) -> None:
        """Say once that an MTU below ours is left as it is."""
        link = network.links.get(self._device.name)
        settings = plan.interface
        low = link is not None and not settings.fixed and link.mtu < settings.mtu
        lowered = link.mtu if link and low else None
        if lowered is not None and lowered != self._lowered_mtu:
            logger.warning(
                "the MTU of {name} is {mtu} instead of {ours}: somebody lowered it, it stays so",
                name=self._device.name,
                mtu=lowered,
                ours=settings.mtu,
            )
        self._lowered_mtu = lowered

    async def _write_hosts(self, hosts: HostsFile, entries: tuple[HostsEntry, ...]) -> None:
        """Write our lines, and say so when they were there before."""
        written, self._written = self._written, None
        if await in_thread(hosts.update, entries) and entries == written:
            self.counts.repairs += 1
            logger.warning("another program changed the hosts file; repaired")
        self._written = entries

    @property
    def problems(self) -> Mapping[str, str]:
        """What could not be brought up to date the last time, and why."""
        return dict(self._problems)

    def _report(self, what: str, problem: str) -> None:
        self.counts.failures[what] += 1
        if what not in self._problems:
            logger.warning("{problem}; trying again until it works", problem=problem)
        self._problems[what] = problem

    def _recovered(self, what: str) -> None:
        if self._problems.pop(what, None):
            logger.warning("the {what} is up to date again", what=what)
