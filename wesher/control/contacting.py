"""Contact addresses for `wesher doctor`, as somebody would who is not the agent."""

import asyncio

from wesher.control.status import Json
from wesher.errors import AgentError
from wesher.gossip import Address
from wesher.mesh.plan import Endpoint
from wesher.system.contacting import contact, wire_of

MAX_ADDRESSES = 128


async def contact_all(key: bytes, addresses: object) -> list[Json]:
    """Return what each address, given as text, answers by UDP and by TCP, in the given order."""
    if not isinstance(addresses, list) or len(addresses) > MAX_ADDRESSES:
        raise AgentError(f"the request needs a list of {MAX_ADDRESSES} addresses at most")
    parsed = [_parse(address) for address in addresses]
    wire = wire_of(key)
    made = await asyncio.gather(*(contact(wire, address) for address in parsed))
    return [
        {"address": str(address), "udp": one.udp.value, "tcp": one.tcp.value}
        for address, one in zip(parsed, made, strict=True)
    ]


def _parse(text: object) -> Address:
    try:
        endpoint = Endpoint.parse(str(text))
    except ValueError:
        raise AgentError(f"{text!r} is no address with a port") from None
    if not 0 < endpoint.port < 65536:
        raise AgentError(f"{text!r} has no port from 1 to 65535")
    return Address(str(endpoint.ip), endpoint.port)
