"""Contact addresses for `wesher doctor`, as somebody would who is not the agent."""

import asyncio
from itertools import repeat

from wesher.base.errors import AgentError
from wesher.control.status import Json
from wesher.gossip import Address
from wesher.mesh.base.plan import Endpoint
from wesher.system.gossip_client import contact, wire_of

MAX_ADDRESSES = 128
MAX_NAME = 255  # bytes


async def contact_all(key: bytes, addresses: object, names: object = None) -> list[Json]:
    """Return what each address, given as text, answers by UDP and by TCP, in the given order.

    `names` are of whom to ask for at each: whoever is there where it is empty, or without any.
    """
    if not isinstance(addresses, list) or len(addresses) > MAX_ADDRESSES:
        raise AgentError(f"the request needs a list of {MAX_ADDRESSES} addresses at most")
    parsed = [_parse(address) for address in addresses]
    wanted = [""] * len(parsed) if names is None else names
    if not isinstance(wanted, list) or len(wanted) != len(parsed) or not all(map(_is_name, wanted)):
        raise AgentError("the request needs a name, perhaps empty, for each address")
    wire = wire_of(key)
    made = await asyncio.gather(*(map(contact, repeat(wire), parsed, wanted)))
    return [
        {"address": str(address), "udp": one.udp.value, "tcp": one.tcp.value}
        for address, one in zip(parsed, made, strict=True)
    ]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= MAX_NAME


def _parse(text: object) -> Address:
    try:
        endpoint = Endpoint.parse(str(text))
    except ValueError:
        raise AgentError(f"{text!r} is no address with a port") from None
    if not 0 < endpoint.port < 65536:
        raise AgentError(f"{text!r} has no port from 1 to 65535")
    return Address(str(endpoint.ip), endpoint.port)
