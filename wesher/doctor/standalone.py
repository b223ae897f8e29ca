"""Speak gossip ourselves, where no agent does it for us."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from wesher.base.addresses import Contact, Heard
from wesher.gossip import Address, RecordState, Wire, unpack_ip
from wesher.mesh.base.plan import Endpoint
from wesher.system.gossip_client import contact, look, wire_of

_LIVE = (RecordState.ALIVE, RecordState.SUSPECT)


async def contact_all(key: bytes, whom: Sequence[tuple[Endpoint, str]]) -> list[Contact]:
    """Contact all at once, each by its name, or whoever is there where that is empty."""
    wire = wire_of(key)
    return await asyncio.gather(*(_contact(wire, address, name) for address, name in whom))


async def find_others(key: bytes, name: str, addresses: Sequence[Endpoint]) -> list[Endpoint]:
    """Return where live members of this name are, as the first of `addresses` with members tells.

    Only those that answer.
    """
    wire = wire_of(key)
    for address in addresses:
        if records := await look(wire, Address(str(address.ip), address.port)):
            found = [
                Endpoint(ip_address(unpack_ip(record.addr)), record.port)
                for record in records
                if record.name == name and record.state in _LIVE
            ]
            return [one for one in found if Heard.ANSWER in await _heard(wire, one, name)]
    return []


async def _heard(wire: Wire, endpoint: Endpoint, name: str) -> set[Heard]:
    made = await _contact(wire, endpoint, name)
    return {made.udp, made.tcp}


async def _contact(wire: Wire, endpoint: Endpoint, name: str) -> Contact:
    return await contact(wire, Address(str(endpoint.ip), endpoint.port), name)
