"""Who answers by UDP and by TCP: through the agent if it answers, else by ourselves."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib import import_module
from ipaddress import ip_address

from wesher.base.addresses import Contact, Heard
from wesher.base.errors import AgentError, NoAgentError
from wesher.doctor.context import Case
from wesher.mesh.base.plan import Endpoint
from wesher.system.control_client import ask

AGENT_PATIENCE = 8.0  # seconds: it waits for some itself
PATIENCE = 2.5  # seconds for a name to be resolved
AT_ONCE = 64  # addresses in one request
_UNAIDED = "wesher.doctor.standalone"  # loads gossip and cryptography, which most runs need not

Whom = tuple[Endpoint, str]
"""An address, and the name of the member that should be there: "" for whoever is."""

Looker = Callable[[bytes, str, Sequence[Endpoint]], Awaitable[list[Endpoint]]]


async def contact_all(case: Case, whom: Sequence[Whom]) -> list[Contact] | None:
    """Contact all at once, from ports that no agent uses; None when we have no key to do so."""
    if case.account is not None:
        with suppress(AgentError, NoAgentError):
            return await asyncio.to_thread(_through_agent, case, whom)
    if case.key is None:
        return None
    contact: Callable[[bytes, Sequence[Whom]], Awaitable[list[Contact]]]
    contact = import_module(_UNAIDED).contact_all
    return await contact(case.key, whom)


async def find_others(case: Case, name: str, addresses: Sequence[Endpoint]) -> list[Endpoint]:
    """Return where live members of this name are that answer, as one of these addresses tells."""
    find: Looker = import_module(_UNAIDED).find_others
    return await find(case.key, name, addresses) if case.key else []


async def resolve(host: str, port: int) -> list[Endpoint]:
    """Return the addresses of a host; none when its name is unknown or nobody tells in time."""
    try:
        return [Endpoint(ip_address(host), port)]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    with suppress(OSError, UnicodeError):
        async with asyncio.timeout(PATIENCE):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            return list(dict.fromkeys(Endpoint(ip_address(one[4][0]), port) for one in found))
    return []


def _through_agent(case: Case, whom: Sequence[Whom]) -> list[Contact]:
    """Return what the agent hears; AgentError from an older one, which cannot be asked this."""
    made: list[Contact] = []
    for start in range(0, len(whom), AT_ONCE):
        part = whom[start : start + AT_ONCE]
        answer = ask(
            case.run_dir,
            case.interface,
            "contact",
            patience=AGENT_PATIENCE,
            addresses=[str(address) for address, _ in part],
            names=[name for _, name in part],
        )
        made += [Contact(Heard(one["udp"]), Heard(one["tcp"])) for one in answer]
    return made
