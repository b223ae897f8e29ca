"""What an agent settles before it can run: its cluster key, saved state and addresses."""

import asyncio
import base64
import os
import sys
from collections.abc import Sequence

from loguru import logger

from wesher.agent.own_address import find_address
from wesher.base.errors import ConfigError, StartError
from wesher.base.frozen import frozen, replace
from wesher.base.problems import NO_ADDRESS, OVERLAY_ENCLOSED, OVERLAY_HAS_US, SEVERAL_ADDRESSES
from wesher.config.config import Config
from wesher.mesh.base.plan import IPAddress
from wesher.system.host_facts import (
    address_inside,
    enclosing_network,
    first_global_address,
    host_facts,
    lasting_addresses,
)
from wesher.system.hosts import HostsFile, HostsFileError
from wesher.system.log import tell
from wesher.system.network import Network, Scope, read_network
from wesher.system.state_file import State, StateFile, StateFileError

ADDRESS_PATIENCE = 30.0  # seconds that the host may take to get an address
KEY_SIZE = 32  # bytes
_POLL_INTERVAL = 0.5  # seconds
_KEYLESS_JOIN = "--join needs the cluster's key: give it with --cluster-key or --cluster-key-file"


@frozen
class Underlay:
    """Where we listen and where others reach us; `network` is the host as it was seen then.

    `mapped` is the form in which a Go node bound like us would write the address
    (spec/memberlist.md, 4.2).
    """

    bind: IPAddress
    advertise: IPAddress
    mapped: bool
    network: Network


def load_state(config: Config, file: StateFile) -> State:
    """Return the earlier state, or an empty one when the cluster key is another or yet to be made.

    Blocks on the disk. Raises ConfigError or StartError when there is no usable key. Nothing is
    replaced: a start that is refused later leaves the earlier state in its place.
    """
    given = config.cluster_key
    if config.init:
        if config.join and not given:
            raise ConfigError(_KEYLESS_JOIN)
        return State()
    earlier = file.load(key_needed=given is None)
    if config.join and not given and not earlier.cluster_key:
        raise ConfigError(_KEYLESS_JOIN)
    if given and earlier.cluster_key and earlier.cluster_key != given:
        logger.warning(
            "the given cluster key is not the saved one:"
            " this start knows nothing of the old cluster's members"
        )
        return State()
    return earlier


def settle_state(config: Config, state: State, file: StateFile) -> State:
    """Save what `load_state` returned with its key; once nothing else can fail the start.

    Blocks on the disk. Raises StartError, with the earlier state in its place.
    """
    if state.cluster_key:
        return state
    old = file.set_aside() if config.init else None
    try:
        settled = _with_key(config.cluster_key, state, file)
    except StartError:
        if old:
            file.put_back(old)
        raise
    if old:
        logger.warning("set the earlier state aside as {path}", path=old)
    return settled


def _with_key(given: bytes | None, state: State, file: StateFile) -> State:
    if given is None:
        return _with_new_key(file)
    state = replace(state, cluster_key=given)
    try:
        file.save(state)
    except StateFileError as error:
        logger.warning("{error}; the next start needs the cluster key again", error=error)
    return state


def _with_new_key(file: StateFile) -> State:
    """Make a cluster key, save it, and only then say so."""
    state = State(cluster_key=os.urandom(KEY_SIZE))
    try:
        file.save(state)
    except StateFileError as error:
        raise StartError(f"{error}; a new cluster key is of no use unsaved") from error
    assert state.cluster_key
    if sys.stdout.isatty():
        text = base64.b64encode(state.cluster_key).decode()
        tell(f"new cluster key generated: {text}")
    else:
        tell(f"new cluster key generated, it is in {file.path}")
    return state


def drop_hosts_lines(hosts: HostsFile) -> None:
    """Take out what an earlier agent, which kept the hosts file, has left there."""
    try:
        hosts.remove_all()
    except HostsFileError as error:
        logger.warning("lines of an earlier start stay in the hosts file: {error}", error=error)


async def find_underlay(config: Config, members: Sequence[str] = ()) -> Underlay:
    """Return our own addresses, waiting up to 30 s for the host to get one.

    `members` are where others were the last time: without seeds the route to them decides.

    Raises StartError when it gets none, or when the overlay network cannot work on this host.
    """
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    while True:
        network = await read_network(Scope(config.interface, config.overlay_net.network))
        if underlay := await _underlay(config, network, members):
            _check_overlay(config, network)
            return underlay
        if deadline is None:
            deadline = loop.time() + ADDRESS_PATIENCE
            logger.warning(
                "{reason}; waiting up to {seconds:.0f} s for one",
                reason=_no_address(config, network),
                seconds=ADDRESS_PATIENCE,
            )
        if loop.time() >= deadline:
            raise StartError(_no_address(config, network))
        await asyncio.sleep(_POLL_INTERVAL)


async def _underlay(config: Config, network: Network, members: Sequence[str]) -> Underlay | None:
    bind: IPAddress | None = config.bind_addr
    if config.bind_iface:
        bind = first_global_address(network, config.bind_iface)
    if bind is None:
        return None
    advertise = config.advertise_addr or bind
    if advertise.is_unspecified:
        version = 6 if bind.version == 6 else None
        advertise = await find_address(config.join, members, network, version) or bind
    if advertise.is_unspecified:
        return None
    if bind.is_unspecified:
        bind = type(advertise)(0)
    mapped = bind.is_unspecified and bind.version == 4 and config.advertise_addr is None
    return Underlay(bind, advertise, mapped, network)


def _no_address(config: Config, network: Network) -> str:
    if config.bind_iface and config.bind_iface not in network.links:
        return f"there is no interface {config.bind_iface}: choose another --bind-iface"
    if config.bind_iface:
        return (
            f"interface {config.bind_iface} has no global address: give it one, "
            "or choose another --bind-iface"
        )
    found = lasting_addresses(network, 6 if config.bind_addr.version == 6 else None)
    if not found:
        return NO_ADDRESS.text
    listed = ", ".join(str(address.ip) for _, address in found)
    return SEVERAL_ADDRESSES.text.format(addresses=listed)


def _check_overlay(config: Config, network: Network) -> None:
    overlay = config.overlay_net.network
    facts = host_facts(network, config.interface)
    if outer := enclosing_network(overlay, facts):
        raise StartError(OVERLAY_ENCLOSED.text.format(overlay=overlay, network=outer))
    if inner := address_inside(overlay, facts):
        logger.warning(OVERLAY_HAS_US.text, address=inner, network=overlay)
