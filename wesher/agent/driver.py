"""What drives a node on this host: hands it all that happens, and does what it says."""

import asyncio
import os
import random
import socket
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from loguru import logger

from wesher.agent.own_address import OwnAddress, Underlay, parsed
from wesher.agent.state import as_saved, as_state, wall_clock_began, with_keys
from wesher.agent.watch import Watch, watch_name
from wesher.base.errors import StartError
from wesher.base.frozen import frozen
from wesher.base.problems import OTHER_FAMILY, STALE_KEY
from wesher.config.config import Config
from wesher.config.given_keys import is_stale, stale_data
from wesher.control.commands import Control
from wesher.control.invitations import Invitations, Redeeming, grant_of
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
    SaveKeys,
)
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.plan import IPAddress, LocalFacts
from wesher.mesh.base.rotation import KeysSaved
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import HostsNaming, NodeSettings
from wesher.mesh.invitations import FIRST_BYTE, Grant
from wesher.mesh.node import MeshNode
from wesher.system.device import Device
from wesher.system.event_loop import Suspension, in_thread
from wesher.system.host_facts import ASKED, host_facts
from wesher.system.hosts import HostsFile
from wesher.system.network import KnownRoutes, Network
from wesher.system.notify import Notifier
from wesher.system.reconciler import Reconciler
from wesher.system.sockets import Sockets, bind
from wesher.system.state_file import State, StateFile
from wesher.system.transport import Transport

if TYPE_CHECKING:
    from wesher.agent.foreground import Foreground

NONCE_SIZE = 12  # bytes, of AES-GCM
SAVE_AGAIN = 1.0  # seconds until what could not be saved is tried again
STATUS_INTERVAL = 5.0  # seconds between two looks whether systemd is to be told something new


class Tasks:
    """The tasks of one agent, and the first failure of any of them."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused: set[int | None] = set()  # errors of the system that were reported

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` go on beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def fail(self, error: BaseException) -> None:
        """Have the agent end with this error, unless it already ends."""
        if not self.failure.done():
            self.failure.set_exception(error)

    async def halt(self, patience: float) -> None:
        """End every task, and with them the tools they run, waiting so many seconds at most."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    def on_bug(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Fail on what nobody expected: a restart is safer than going on half-broken.

        What the system refused for the moment (descriptors, memory) asyncio tries again by itself.
        """
        error = context.get("exception") or RuntimeError(context["message"])
        if not isinstance(error, OSError):
            self.fail(error)
        elif error.errno not in self._refused:
            self._refused.add(error.errno)
            logger.warning("{what}: {error}", what=context["message"], error=error)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)


@frozen
class Prepared:
    """All that a node stands on; `hosts` is None when /etc/hosts is not ours to write."""

    config: Config
    state: State
    underlay: Underlay
    sockets: Sockets
    device: Device
    routes: KnownRoutes
    hosts: HostsFile | None
    state_file: StateFile
    invitations: Invitations
    started_at: float


class Driver:
    """A MeshNode with real time, real sockets and real effects."""

    def __init__(
        self,
        prepared: Prepared,
        control: Control,
        notifier: Notifier,
        tasks: Tasks,
        foreground: "Foreground | None" = None,
    ) -> None:
        config, network = prepared.config, prepared.underlay.network
        self._prepared = prepared
        self._sockets = prepared.sockets
        self._control = control
        self._notifier = notifier
        self._tasks = tasks
        self._foreground = foreground
        self._address = OwnAddress(config, prepared.underlay.advertise, network)
        self._clock_began = wall_clock_began(_now())
        self._suspension = Suspension()
        self._departed = asyncio.Event()
        self._keyring = Keyring(*prepared.state.keys)
        self._last_state = prepared.state
        self._told_stale: Mapping[str, object] | None = None
        settings = _settings(prepared)
        node = self._node(settings, network)
        transport = self._transport(node)
        reconciler = self._reconciler(node)
        self.running = Running(
            config,
            self._keyring,
            node,
            transport,
            prepared.device,
            reconciler,
            prepared.invitations,
            prepared.started_at,
            settings.identity,
        )

    def _node(self, settings: NodeSettings, network: Network) -> MeshNode:
        saved = as_saved(
            self._prepared.state, self._prepared.config.cluster_port, self._clock_began
        )
        facts = self._local_facts(network, [])
        return MeshNode(settings, saved, facts, _wire(self._keyring), random.Random())

    def _transport(self, node: MeshNode) -> Transport:
        invited = Redeeming(self._prepared.invitations, self._grant, self._is_member)
        return Transport(
            node,
            PRESETS[self._prepared.config.timing].stream_timeout,
            self._drain_events,
            self._notice_suspension,
            doors={FIRST_BYTE: invited},
            own_streams=self._control.streams,
        )

    def _reconciler(self, node: MeshNode) -> Reconciler:
        return Reconciler(
            self._prepared.device,
            self._prepared.hosts,
            self._prepared.state_file,
            plan=node.plan,
            state=self._state,
            observed=self._observe,
        )

    async def enter(self) -> None:
        """Begin to look for the others, and to receive."""
        self.running.node.start(_now())
        self._address.tell(self._prepared.underlay.network, self._contacts())
        await self.running.transport.open(self._sockets)

    async def run(self) -> None:
        """Keep this host as planned until cancelled; what watches it are tasks of their own."""
        prepared, wake = self._prepared, self.running.reconciler.wake
        watch = Watch(prepared.config.interface, prepared.hosts, prepared.routes, wake)
        self._tasks.spawn(self._announce())
        self._tasks.spawn(self._address.watch(self._contacts, wake))
        self._tasks.spawn(watch_name(prepared.config))
        self._tasks.spawn(watch.run())
        await self.running.reconciler.run()

    async def leave(self, deadline: float) -> None:
        """Tell the others that we leave, and wait until they are told, not beyond `deadline`."""
        self.running.node.leave(_now())
        self.running.transport.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._departed.wait()

    def close(self) -> None:
        """Close the sockets; calling it again does nothing."""
        self.running.transport.close()
        self._sockets.close()

    # What the node says

    def _drain_events(self) -> None:
        """Act on what the node has to say after an input."""
        for event in self.running.node.events():
            self._perform(event)

    def _perform(self, event: MeshEvent) -> None:
        match event:
            case Notice():
                logger.log(event.severity.value, event.text, **event.data)
                self._control.noticed(event)
            case PlanChanged():
                self._control.plan_changed()
                self.running.reconciler.wake()
            case MemberEvent():
                self._control.happened(event)
                if self._foreground:
                    self._foreground.happened(event)
            case Pinged():
                self._control.pinged(event)
            case SaveKeys():
                self._tasks.spawn(self._save_keys(event))
            case Resolve():
                self._tasks.spawn(self._resolve(event.seed))
            case Refused():
                self._tasks.fail(StartError(event.reason))
            case Departed():
                self._departed.set()

    async def _resolve(self, seed: Seed) -> None:
        """Look a seed's name up, which may take as long as the resolver likes."""
        ips: list[str] = []
        family = socket.AF_INET if self._prepared.underlay.bind.version == 4 else socket.AF_INET6
        with suppress(OSError, UnicodeError):
            found = await in_thread(
                socket.getaddrinfo, seed.host, seed.port, family, socket.SOCK_DGRAM
            )
            ips = [str(address[0]) for *_, address in found]
        self.running.node.resolved(seed, ips, _now())
        self.running.transport.flush()

    # What the node hears of this host

    def _notice_suspension(self, now: float) -> None:
        """Tell the node, before anything else, when the host was suspended."""
        if seconds := self._suspension.seconds():
            self._clock_began += seconds
            self.running.node.slept(seconds, now)

    async def _observe(self, network: Network) -> None:
        """Tell the node what a reconcile has seen of this host."""
        facts = await in_thread(self._local_facts, network, self._contacts())
        self.running.node.update_facts(facts, _now())
        await self._follow_address(network)
        self.running.transport.flush()

    def _local_facts(self, network: Network, contacts: Sequence[IPAddress]) -> LocalFacts:
        """Look at what a node must know of this host; blocks on the disk."""
        facts = host_facts(network, self._prepared.config.interface)
        hosts = self._prepared.hosts
        return LocalFacts(
            connected=facts.connected,
            routed=facts.routed,
            own_routes=facts.own_routes,
            own_addresses=facts.own_addresses,
            next_hops=facts.next_hops,
            resolvers=facts.resolvers,
            foreign_host_names=hosts.foreign_names() if hosts else {},
            talks_from=self._address.talks_from(network, contacts),
            loopback_bound=self._prepared.underlay.bind.is_loopback,
        )

    async def _follow_address(self, network: Network) -> None:
        """Go on at another address when ours is gone, or is not where our packets come from."""
        if other := self._address.stranded(network, _now()):
            version = self._address.current.version
            logger.warning(OTHER_FAMILY.text, version=version, address=other)
        address = self._address.moved(network, self._contacts())
        if address is None:
            return
        if not self._prepared.underlay.bind.is_unspecified:
            self._sockets = bind(address, self._prepared.config.cluster_port)
            await self.running.transport.open(self._sockets)
        self._address.move_to(address, network)
        self.running.node.move_to(str(address), _now())

    def _contacts(self) -> list[IPAddress]:
        return list(parsed(self.running.node.contacts()))[:ASKED]

    # What others hear of us

    def _grant(self) -> Grant:
        """Return what a host that was invited must know."""
        assert self._prepared.state.identity, "every start has one"
        identity = Identity(self._prepared.state.identity).public_key
        return grant_of(self.running.config, self._keyring, self.running.node, identity)

    def _is_member(self, ip: str) -> bool:
        return any(one.live and one.address.ip == ip for one in self.running.node.members)

    def _state(self) -> State | None:
        """Return what belongs in the state file now, None while it is to stay as it is.

        The keys belong there at any time, beside what else was last to be saved.
        """
        saved, last = self.running.node.saved(), self._last_state
        if saved:
            state = as_state(self._keyring.keys, last.identity, saved, self._clock_began)
        else:
            keys = self.running.node.saved_keys().shifted(self._clock_began)
            state = with_keys(last, self._keyring.keys, keys)
        self._last_state = state
        return state if saved or state != last else None

    async def _save_keys(self, event: SaveKeys) -> None:
        """Save the keys, however often that fails at first, and say so to the node."""
        self._tell_stale_configuration()
        while not await self.running.reconciler.save_state():
            await asyncio.sleep(SAVE_AGAIN)
        self.running.node.obey(KeysSaved(event.number), _now())
        self.running.transport.flush()

    def _tell_stale_configuration(self) -> None:
        """Say once for each change of the key that our configuration does not have the new one."""
        given, saved = self.running.config.cluster_keys, self.running.node.saved_keys()
        stale = is_stale(given, self._keyring.keys, saved)
        told = stale_data(given, saved) if stale else None
        if told and told != self._told_stale:
            logger.warning(STALE_KEY.text, **told)
        self._told_stale = told

    async def _announce(self) -> None:
        """Say that the interface is up, and from then on how we live."""
        await self.running.reconciler.up.wait()
        plan = self.running.node.plan()
        if plan is None:
            return
        name, address = self._prepared.config.interface, plan.interface.address
        logger.info("{interface} is up as {address}", interface=name, address=address)
        if self._foreground:
            self._foreground.up(address)
        await self._keep_informed()

    async def _keep_informed(self) -> None:
        """Tell the service manager that we are ready, and go on saying that and how we live.

        That is done in the event loop: systemd notices when it stands.
        """
        self._notifier.ready()
        interval = min(self._notifier.watchdog_interval or STATUS_INTERVAL, STATUS_INTERVAL)
        told = ""
        while True:
            self._notifier.alive()
            if (status := self._describe()) != told:
                self._notifier.status(status)
                told = status
            await asyncio.sleep(interval)

    def _describe(self) -> str:
        """Say in a line how the mesh is doing."""
        node = self.running.node
        plan = node.plan()
        if plan is None:
            return ""
        return f"{node.members.live_remotes} other members alive, {len(plan.peers)} peers"


def _settings(prepared: Prepared) -> NodeSettings:
    config, underlay, device = prepared.config, prepared.underlay, prepared.device
    return NodeSettings(
        name=config.node_name,
        ip=str(underlay.advertise),
        port=config.told_port,
        mapped=underlay.mapped,
        seeds=config.join,
        overlay_net=config.overlay_net,
        overlay_addr=config.overlay_addr,
        public_key=device.public_key,
        interface_kept=device.adopted,
        wireguard_port=config.wireguard_port,
        told_wireguard_port=config.told_wireguard_port,
        keepalive=config.keepalive,
        mtu=config.mtu,
        routing=config.routing,
        metadata_format=config.metadata_format,
        forget_after=config.forget_after,
        preshared_keys=config.psk == "on",
        timing=PRESETS[config.timing],
        first_sequence=int.from_bytes(os.urandom(4)),
        hosts=HostsNaming(
            str(config.hosts_file) if config.etc_hosts else None,
            config.hosts_suffix,
            config.hosts_dots,
        ),
        trust=config.trust,
        identity=Identity(state.identity) if (state := prepared.state).identity else None,
    )


def _wire(keyring: Keyring) -> Wire:
    return Wire(
        keyring,
        lambda: os.urandom(NONCE_SIZE),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
