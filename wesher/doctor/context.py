"""What the checks start from: what is known of this host, and how others answer."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wesher.base.addresses import Address, Contact, Heard
from wesher.base.errors import AgentError, CommandError, NoAgentError
from wesher.config.config import Config, Keys, from_told
from wesher.system import files
from wesher.system.control_client import ask
from wesher.system.network import Network, read_network
from wesher.system.state_file import State, decode
from wesher.system.wireguard import WireGuardState, read_wireguard

ASK_PATIENCE = 2.0  # seconds until an agent counts as one that does not answer
TOOL_PATIENCE = 3.0  # seconds for `ip` and `wg`

Reply = Mapping[str, Any]
CONTACT_PATIENCE = 8.0  # seconds: it waits for some itself
NAME_PATIENCE = 2.5  # seconds for a name to be resolved
AT_ONCE = 128  # addresses in one request: four sockets each, of the 1024 that an agent may have
_CLIENT = "wesher.system.gossip_client"  # loads gossip and cryptography, which most runs need not
Whom = tuple[Address, str]
"""An address, and the name of the member that should be there: "" for whoever is."""
Looker = Callable[[Keys, str, Sequence[Address]], Awaitable[list[Address]]]


@dataclass(frozen=True)
class Case:
    """Everything that the checks start from.

    `settings` are those of the agent that runs, else of the one that would run here.
    Without an answer from the agent `status` and `account` are None and `silence` says why.
    `network` and `wireguard` are None when `ip` or `wg` told nothing.
    """

    settings: Config
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
            return decode(files.read(self.settings.state_dir / f"{self.settings.interface}.json"))
        return State()

    @property
    def keys(self) -> Keys:
        """The cluster keys, as far as this host has any, the primary one first."""
        return self.settings.cluster_keys or self.saved.keys


async def open_case(config: Config) -> Case:
    """Gather what is known; takes as long as the agent and the tools let it, a few seconds."""
    asked = asyncio.to_thread(_ask_agent, config.run_dir, config.interface)
    (status, account, silence), network, wireguard = await asyncio.gather(
        asked, _read_network(), _read_wireguard(config.interface)
    )
    settings = from_told(account["settings"], config) if account else config
    return Case(settings, status, account, silence, network, wireguard)


def _ask_agent(
    run_dir: Path, interface: str
) -> tuple[Reply | None, Reply | None, NoAgentError | AgentError | None]:
    try:
        status = ask(run_dir, interface, "status", patience=ASK_PATIENCE)
        return status, ask(run_dir, interface, "account", patience=ASK_PATIENCE), None
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


async def contact_all(case: Case, whom: Sequence[Whom]) -> list[Contact] | None:
    """Contact all at once, from ports that no agent uses; None when we have no key to do so."""
    if case.account is not None:
        with suppress(AgentError, NoAgentError):
            return await asyncio.to_thread(_through_agent, case, whom)
    if not case.keys:
        return None
    contact: Callable[[Keys, Sequence[Whom]], Awaitable[list[Contact]]]
    contact = import_module(_CLIENT).contact_all
    return await contact(case.keys, whom)


async def find_others(case: Case, name: str, addresses: Sequence[Address]) -> list[Address]:
    """Return where live members of this name are that answer, as one of these addresses tells."""
    find: Looker = import_module(_CLIENT).find_others
    return await find(case.keys, name, addresses) if case.keys else []


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host; none when its name is unknown or nobody tells in time."""
    try:
        return [Address(str(ip_address(host)), port)]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    with suppress(OSError, UnicodeError):
        async with asyncio.timeout(NAME_PATIENCE):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            return list(dict.fromkeys(Address(str(ip_address(one[4][0])), port) for one in found))
    return []


def _through_agent(case: Case, whom: Sequence[Whom]) -> list[Contact]:
    """Return what the agent hears; AgentError from an older one, which cannot be asked this."""
    made: list[Contact] = []
    for start in range(0, len(whom), AT_ONCE):
        part = whom[start : start + AT_ONCE]
        answer = ask(
            case.settings.run_dir,
            case.settings.interface,
            "contact",
            patience=CONTACT_PATIENCE,
            addresses=[str(address) for address, _ in part],
            names=[name for _, name in part],
        )
        made += [Contact(Heard(one["udp"]), Heard(one["tcp"])) for one in answer]
    return made
