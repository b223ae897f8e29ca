"""The agent: one MeshNode with real time, real sockets and real effects."""

import asyncio
import os
import random
import secrets
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from loguru import logger

from wesher.agent import signals
from wesher.agent.own_address import LOOK_INTERVAL, OwnAddress, parsed
from wesher.agent.shutdown import opened, take_down
from wesher.agent.signals import Stop
from wesher.agent.startup import (
    Underlay,
    drop_hosts_lines,
    find_underlay,
    load_state,
    settle_state,
)
from wesher.agent.state_conversion import as_saved, as_state, wall_clock_began
from wesher.agent.systemd import Service
from wesher.agent.watch import Watch
from wesher.base.errors import StartError, WesherError
from wesher.base.problems import OTHER_FAMILY, RENAMED
from wesher.config.config import Config, renamed_to
from wesher.control.commands import Control
from wesher.control.reload import Reread
from wesher.control.status import Running
from wesher.gossip import PRESETS, Keyring, Wire
from wesher.mesh.base.events import (
    Departed,
    MemberEvent,
    MeshEvent,
    Notice,
    Pinged,
    PlanChanged,
    Refused,
    Resolve,
)
from wesher.mesh.base.local_facts import LocalFacts
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.settings import HostsNaming, NodeSettings
from wesher.mesh.node import MeshNode
from wesher.system import log
from wesher.system.device import Device
from wesher.system.event_loop import Suspension, in_thread
from wesher.system.files import InterfaceLock
from wesher.system.host_facts import ASKED, host_facts
from wesher.system.hosts import HostsFile
from wesher.system.interface import Leftover, check_requirements
from wesher.system.log import complain, tell
from wesher.system.network import KnownRoutes, Network, Scope
from wesher.system.reconciler import Reconciler
from wesher.system.sockets import Sockets, bind, check_port_free
from wesher.system.state_file import State, StateFile
from wesher.system.transport import Transport

STOP_TIME = 1.8  # seconds that an orderly stop takes at most, of the two that are promised
LEAVE_TIME = 1.1  # seconds of it for telling the others
NAME_INTERVAL = 2.0  # seconds between two looks at the host's name; a look is one uname(2)
NONCE_SIZE = 12  # bytes


def run(config: Config, reread: Reread | None = None) -> int:
    """Run one node until it is told to stop; returns the exit code.

    `reread` reads the configuration again when the operator says so. Raises WesherError when it
    could not start or could not go on.
    """
    check_requirements()
    with InterfaceLock(config.run_dir, config.interface):
        log.detach()
        try:
            return asyncio.run(Agent(config, reread or (lambda: config)).run())
        finally:
            signals.ignore()
            log.flush()


class Agent:
    """One node on this host, from its start to its orderly stop."""

    def __init__(self, config: Config, reread: Reread) -> None:
        self._config = config
        self._hosts = HostsFile(config.hosts_file, config.interface, config.run_dir)
        self._state_file = StateFile(config.state_dir, config.interface)
        self._control = Control(config, reread)
        self._service = Service()
        self._key = b""
        self._sockets: Sockets | None = None
        self._opening: asyncio.Task[Device] | None = None
        self._node: MeshNode | None = None
        self._transport: Transport | None = None
        self._reconciler: Reconciler | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._departed = asyncio.Event()
        self._suspension = Suspension()
        self._refused: set[int | None] = set()  # errors of the system that were reported

    async def run(self) -> int:
        """Run until a signal or a failure ends it; returns the exit code or raises the failure."""
        loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = loop.create_future()
        self._stop: asyncio.Future[Stop] = loop.create_future()
        loop.set_exception_handler(self._on_bug)
        signals.catch(loop, self._request_stop, self._control.reload)
        self._spawn(self._work())
        ends: set[asyncio.Future[Any]] = {self._stop, self._failure}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        deadline = loop.time() + STOP_TIME
        if self._stop.done():
            self._failure.cancel()
            return await self._end(self._stop.result(), deadline)
        return await self._give_up(self._failure, deadline)

    # Running

    async def _work(self) -> None:
        """Start step by step, then reconcile for ever."""
        config, started_at = self._config, asyncio.get_running_loop().time()
        await self._control.open()
        state = load_state(config, self._state_file)
        underlay = await find_underlay(config, [node.addr for node in state.nodes])
        self._sockets = bind(underlay.bind, config.cluster_port)
        routes = KnownRoutes(Scope(config.interface, config.overlay_net.network))
        self._opening = asyncio.create_task(
            Device.open(
                config.interface,
                fresh_key=config.fresh_key,
                of_original=state.by_original,
                routes=routes,
            )
        )
        device = await asyncio.shield(self._opening)
        if not device.adopted:
            check_port_free(config.wireguard_port)
        if not config.etc_hosts:
            await in_thread(drop_hosts_lines, self._hosts)
        state = settle_state(config, state, self._state_file)
        assert state.cluster_key
        self._key = state.cluster_key
        self._node = self._make_node(state, underlay, device)
        self._reconciler = Reconciler(
            device,
            self._hosts if config.etc_hosts else None,
            self._state_file,
            plan=self._node.plan,
            state=self._state,
            observed=self._observe,
        )
        self._transport = Transport(
            self._node,
            PRESETS[config.timing].stream_timeout,
            self._drain_events,
            self._notice_suspension,
        )
        self._control.running = Running(
            config, self._key, self._node, self._transport, device, self._reconciler, started_at
        )
        self._node.start(asyncio.get_running_loop().time())
        self._tell_address(underlay.network)
        await self._transport.open(self._sockets)
        self._spawn(self._announce(self._reconciler))
        self._spawn(self._watch_address(self._reconciler))
        self._spawn(self._watch_name())
        hosts = self._hosts if config.etc_hosts else None
        self._spawn(Watch(config.interface, hosts, routes, self._reconciler.wake).run())
        await self._reconciler.run()

    def _notice_suspension(self, now: float) -> None:
        """Tell the node, before anything else, when the host was suspended."""
        if self._node and (seconds := self._suspension.seconds()):
            self._clock_began += seconds
            self._node.slept(seconds, now)

    def _make_node(self, state: State, underlay: Underlay, device: Device) -> MeshNode:
        config = self._config
        settings = NodeSettings(
            name=config.node_name,
            ip=str(underlay.advertise),
            port=config.cluster_port,
            mapped=underlay.mapped,
            seeds=config.join,
            overlay_net=config.overlay_net,
            overlay_addr=config.overlay_addr,
            public_key=device.public_key,
            interface_kept=device.adopted,
            wireguard_port=config.wireguard_port,
            metadata_format=config.metadata_format,
            forget_after=config.forget_after,
            timing=PRESETS[config.timing],
            first_sequence=secrets.randbits(32),
            hosts=HostsNaming(
                str(config.hosts_file) if config.etc_hosts else None,
                config.hosts_suffix,
                config.hosts_dots,
            ),
        )
        self._address = OwnAddress(config, underlay.advertise, underlay.network)
        self._bound_to_any = underlay.bind.is_unspecified
        self._loopback_bound = underlay.bind.is_loopback
        self._clock_began = wall_clock_began(asyncio.get_running_loop().time())
        self._family = socket.AF_INET if underlay.bind.version == 4 else socket.AF_INET6
        wire = Wire(
            Keyring(self._key),
            lambda: os.urandom(NONCE_SIZE),
            compress_packets=False,
            compress_streams=False,
        )
        facts = self._local_facts(underlay.network)
        saved = as_saved(state, config.cluster_port, self._clock_began)
        return MeshNode(settings, saved, facts, wire, random.Random())

    def _state(self) -> State | None:
        """Return what belongs in the state file now, None while it is to stay as it is."""
        saved = self._node.saved() if self._node else None
        return as_state(self._key, saved, self._clock_began) if saved else None

    def _local_facts(self, network: Network) -> LocalFacts:
        facts = host_facts(network, self._config.interface)
        return LocalFacts(
            connected=facts.connected,
            routed=facts.routed,
            own_addresses=facts.own_addresses,
            next_hops=facts.next_hops,
            resolvers=facts.resolvers,
            foreign_host_names=self._hosts.foreign_names() if self._config.etc_hosts else {},
            talks_from=self._address.talks_from(network, self._contacts()),
            loopback_bound=self._loopback_bound,
        )

    async def _observe(self, network: Network) -> None:
        """Tell the node what a reconcile has seen of this host."""
        facts = await in_thread(self._local_facts, network)
        if self._node and self._transport:
            self._node.update_facts(facts, asyncio.get_running_loop().time())
            await self._follow_address(network, self._node, self._transport)
            self._transport.flush()

    async def _follow_address(self, network: Network, node: MeshNode, transport: Transport) -> None:
        """Go on at another address when ours is gone, or is not where our packets come from."""
        if other := self._address.stranded(network, asyncio.get_running_loop().time()):
            version = self._address.current.version
            logger.warning(OTHER_FAMILY.text, version=version, address=other)
        address = self._address.moved(network, self._contacts())
        if address is None:
            return
        if not self._bound_to_any:
            self._sockets = bind(address, self._config.cluster_port)
            await transport.open(self._sockets)
        self._address.move_to(address, network)
        node.move_to(str(address), asyncio.get_running_loop().time())

    def _contacts(self) -> list[IPAddress]:
        return list(parsed(self._node.contacts()))[:ASKED] if self._node else []

    def _tell_address(self, network: Network) -> None:
        """Say what others are told, and when an option makes it differ from what they will see."""
        logger.info("others are told to reach us at {address}", address=self._address.current)
        if source := self._address.talks_from(network, self._contacts()):
            logger.info(
                "but the route to {peers} leaves from {source}: if they do not reach us, "
                "give --advertise-addr {source}",
                peers="the seed" if self._config.join else "the members",
                source=source,
            )

    async def _watch_address(self, reconciler: Reconciler) -> None:
        """Have this host looked at as soon as something says that its address changed."""
        seen = None
        while self._address.may_move:
            signs = self._address.signs(self._contacts())
            if seen is not None and signs != seen:
                reconciler.wake()
            seen = signs
            await asyncio.sleep(LOOK_INTERVAL)

    async def _watch_name(self) -> None:
        """Say once that this host was renamed while we run."""
        while (name := renamed_to(self._config)) is None:
            await asyncio.sleep(NAME_INTERVAL)
        logger.warning(RENAMED.text, name=name, member=self._config.node_name)

    async def _announce(self, reconciler: Reconciler) -> None:
        """Say that the interface is up, and from then on how we live."""
        await reconciler.up.wait()
        plan = self._node.plan() if self._node else None
        if plan is None:
            return
        name, address = self._config.interface, plan.interface.address
        logger.info("{interface} is up as {address}", interface=name, address=address)
        if sys.stdout.isatty():
            waiting = "" if plan.peers else ", waiting for members"
            tell(f"{name} up as {address}{waiting}")
        await self._service.run(self._describe)

    def _describe(self) -> str:
        """Say in a line how the mesh is doing, for the service manager."""
        plan = self._node.plan() if self._node else None
        if self._node is None or plan is None:
            return ""
        return f"{self._node.members.live_remotes} other members alive, {len(plan.peers)} peers"

    def _drain_events(self) -> None:
        """Act on what the node has to say after an input."""
        for event in self._node.events() if self._node else ():
            self._on_event(event)

    def _on_event(self, event: MeshEvent) -> None:
        match event:
            case Notice():
                logger.log(event.severity.value, event.text, **event.data)
                self._control.noticed(event)
            case PlanChanged():
                self._control.plan_changed()
                if self._reconciler:
                    self._reconciler.wake()
            case MemberEvent():
                self._control.happened(event)
            case Pinged():
                self._control.pinged(event)
            case Resolve():
                self._spawn(self._resolve(event))
            case Refused():
                self._fail(StartError(event.reason))
            case Departed():
                self._departed.set()

    async def _resolve(self, request: Resolve) -> None:
        """Look a seed's name up, which may take as long as the resolver likes."""
        ips: list[str] = []
        with suppress(OSError, UnicodeError):
            found = await in_thread(
                socket.getaddrinfo, request.host, request.port, self._family, socket.SOCK_DGRAM
            )
            ips = [str(address[0]) for *_, address in found]
        if self._node and self._transport:
            self._node.resolved(request, ips, asyncio.get_running_loop().time())
            self._transport.flush()

    # Stopping

    def _request_stop(self, how: Stop) -> None:
        if not self._stop.done():
            self._stop.set_result(how)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _on_bug(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End on what nobody expected: a restart is safer than going on half-broken.

        What the system refused for the moment (descriptors, memory) asyncio tries again by itself.
        """
        error = context.get("exception") or RuntimeError(context["message"])
        if not isinstance(error, OSError):
            self._fail(error)
        elif error.errno not in self._refused:
            self._refused.add(error.errno)
            logger.warning("{what}: {error}", what=context["message"], error=error)

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _end(self, how: Stop, deadline: float) -> int:
        """Stop as we were told to; returns the exit code."""
        self._service.stopping()
        await self._halt()
        if how is Stop.HAND_OVER:
            self._close_sockets()
            return 0
        await self._leave(deadline)
        self._close_sockets()
        leftovers = await self._take_down(deadline)
        for left in leftovers:
            complain(f"wesher: {left.what} is left; run: {left.command}")
        return 1 if leftovers else 0

    async def _give_up(self, failure: "asyncio.Future[None]", deadline: float) -> int:
        """Undo a failed start and raise its failure; after a bug all stays, as after a crash."""
        await self._halt()
        self._close_sockets()
        error = failure.exception()
        assert error
        if isinstance(error, WesherError):
            await self._undo_start(deadline)
        raise error

    async def _halt(self) -> None:
        """End every task of ours, and with them the tools they run."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LEAVE_TIME / 4)

    async def _leave(self, deadline: float) -> None:
        """Tell the others that we leave."""
        if not (self._node and self._transport):
            return
        loop = asyncio.get_running_loop()
        self._node.leave(loop.time())
        self._transport.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(deadline, loop.time() + LEAVE_TIME)):
                await self._departed.wait()

    def _close_sockets(self) -> None:
        self._control.close()
        if self._transport:
            self._transport.close()
        if self._sockets:
            self._sockets.close()

    async def _undo_start(self, deadline: float) -> None:
        """Remove what this start has made; what an earlier agent left stays for the next one."""
        patience = deadline - asyncio.get_running_loop().time()
        device = await opened(self._opening, patience) if self._opening else None
        if device is not None and not device.adopted:
            for left in await self._take_down(deadline):
                logger.warning(
                    "{what} is left; run: {command}", what=left.what, command=left.command
                )

    async def _take_down(self, deadline: float) -> list[Leftover]:
        hosts = self._hosts if self._reconciler and self._config.etc_hosts else None
        return await take_down(self._config, hosts, self._opening, deadline)
