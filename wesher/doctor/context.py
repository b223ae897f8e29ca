"""What is known of this host before anything is examined: its settings, its agent, its network."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from wesher.base.errors import AgentError, CommandError, NoAgentError
from wesher.base.frozen import frozen
from wesher.config.config import Config
from wesher.mesh.base.plan import IPAddress, IPNetwork
from wesher.mesh.base.seeds import Seed, parse_seed
from wesher.system import files
from wesher.system.control_client import ask
from wesher.system.network import Network, read_network
from wesher.system.state_file import State, decode
from wesher.system.wireguard import WireGuardState, read_wireguard

AGENT_PATIENCE = 2.0  # seconds until an agent counts as one that does not answer
TOOL_PATIENCE = 3.0  # seconds for `ip` and `wg`

Reply = Mapping[str, Any]


@frozen
class Settings:
    """What the agent runs with, or would run with."""

    node_name: str
    join: tuple[Seed, ...]
    bind_addr: IPAddress
    bind_iface: str | None
    advertise_addr: IPAddress | None
    cluster_port: int
    wireguard_port: int
    overlay_net: IPNetwork
    etc_hosts: bool
    hosts_file: Path
    state_dir: Path

    @classmethod
    def of_config(cls, config: Config) -> "Settings":
        """Return those that an agent would be given here."""
        return cls(
            node_name=config.node_name,
            join=config.join,
            bind_addr=config.bind_addr,
            bind_iface=config.bind_iface,
            advertise_addr=config.advertise_addr,
            cluster_port=config.cluster_port,
            wireguard_port=config.wireguard_port,
            overlay_net=config.overlay_net.network,
            etc_hosts=config.etc_hosts,
            hosts_file=config.hosts_file,
            state_dir=config.state_dir,
        )

    @classmethod
    def of_agent(cls, told: Reply) -> "Settings":
        """Return those that a running agent tells."""
        port = told["cluster_port"]
        advertised = told["advertise_addr"]
        return cls(
            node_name=told["node_name"],
            join=tuple(parse_seed(seed, port) for seed in told["join"]),
            bind_addr=ip_address(told["bind_addr"]),
            bind_iface=told["bind_iface"],
            advertise_addr=ip_address(advertised) if advertised else None,
            cluster_port=port,
            wireguard_port=told["wireguard_port"],
            overlay_net=ip_network(told["overlay_net"]),
            etc_hosts=told["etc_hosts"],
            hosts_file=Path(told["hosts_file"]),
            state_dir=Path(told["state_dir"]),
        )


@dataclass(frozen=True)
class Case:
    """Everything that the checks start from.

    Without an answer from the agent `status` and `account` are None and `silence` says why.
    `network` and `wireguard` are None when `ip` or `wg` told nothing.
    """

    interface: str
    run_dir: Path
    settings: Settings
    given_key: bytes | None
    status: Reply | None = None
    account: Reply | None = None
    silence: NoAgentError | AgentError | None = None
    network: Network | None = None
    wireguard: WireGuardState | None = None

    @property
    def no_agent_runs(self) -> bool:
        """Whether there is none at all, rather than one that does not answer."""
        return isinstance(self.silence, NoAgentError)

    @cached_property
    def saved(self) -> State:
        """The state file, read without touching it; an empty State when it tells nothing."""
        with suppress(OSError, ValueError):
            return decode(files.read(self.settings.state_dir / f"{self.interface}.json"))
        return State()

    @property
    def key(self) -> bytes | None:
        """The cluster key, as far as this host has one."""
        return self.given_key or self.saved.cluster_key


async def open_case(config: Config) -> Case:
    """Gather what is known; takes as long as the agent and the tools let it, a few seconds."""
    asked = asyncio.to_thread(_ask_agent, config.run_dir, config.interface)
    (status, account, silence), network, wireguard = await asyncio.gather(
        asked, _read_network(), _read_wireguard(config.interface)
    )
    settings = Settings.of_agent(account["settings"]) if account else Settings.of_config(config)
    return Case(
        config.interface,
        config.run_dir,
        settings,
        config.cluster_key,
        status,
        account,
        silence,
        network,
        wireguard,
    )


def _ask_agent(
    run_dir: Path, interface: str
) -> tuple[Reply | None, Reply | None, NoAgentError | AgentError | None]:
    try:
        status = ask(run_dir, interface, "status", patience=AGENT_PATIENCE)
        return status, ask(run_dir, interface, "account", patience=AGENT_PATIENCE), None
    except (NoAgentError, AgentError) as error:
        return None, None, error


async def _read_network() -> Network | None:
    with suppress(CommandError, TimeoutError):
        async with asyncio.timeout(TOOL_PATIENCE):
            return await read_network()
    return None


async def _read_wireguard(interface: str) -> WireGuardState | None:
    with suppress(CommandError, TimeoutError):
        async with asyncio.timeout(TOOL_PATIENCE):
            return await read_wireguard(interface)
    return None
