"""Reach others in every way there is, side by side: so that it shows which one is broken."""

import asyncio
import re
from collections.abc import Sequence

from wesher.base.errors import AgentError, CommandError
from wesher.base.frozen import replace
from wesher.control.status import Json, Running
from wesher.gossip import Address
from wesher.mesh.base.events import Pinged
from wesher.mesh.reporting import MemberStatus, Standing
from wesher.system.gossip_client import contact_all
from wesher.system.shell import run
from wesher.system.transport import REFUSED

TRIES = 2  # gossip pings: one may get lost, or wait for WireGuard's handshake
ICMP_PATIENCE = 2.0  # seconds for each echo request
MAX_ADDRESSES, MAX_NAME = 128, 255  # of one request of the doctor's; bytes
_ANSWERED = re.compile(r"time=([0-9.]+) ms")


class Pinger:
    """Pings of ours that are under way; the agent tells of each one's end by `finished`."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Pinged]] = {}

    def finished(self, event: Pinged) -> None:
        """Take the outcome of a ping."""
        if outcome := self._waiting.pop(event.ping, None):
            outcome.set_result(event)

    async def ping(self, running: Running, member: MemberStatus) -> Json:
        """Return seconds for gossip by UDP and by TCP and for the overlay, None for silence."""
        if member.standing is Standing.LEFT:
            raise AgentError(f"{member.name} has left")
        udp, tcp, overlay = await asyncio.gather(
            self._gossip(running, member, member.address, stream=False),
            self._gossip(running, member, member.address, stream=True),
            self._overlay(running, member),
        )
        return {
            "name": member.name,
            "address": str(member.address),
            "gossip_udp": udp.seconds,
            "gossip_tcp": tcp.seconds,
            "refused": tcp.error == REFUSED,
            "overlay": overlay,
        }

    async def _gossip(
        self, running: Running, member: MemberStatus, address: Address, *, stream: bool
    ) -> Pinged:
        """Return the first ping that is answered, or the last of some silent ones."""
        for _ in range(TRIES):
            pinged = await self._once(running, member.name, address, stream=stream)
            if pinged.seconds is not None:
                return replace(pinged, seconds=round(pinged.seconds, 6))
        return pinged

    async def _once(self, running: Running, name: str, address: Address, *, stream: bool) -> Pinged:
        loop = asyncio.get_running_loop()
        number = running.node.ping(address, name, loop.time(), stream=stream)
        outcome: asyncio.Future[Pinged] = loop.create_future()
        self._waiting[number] = outcome
        running.transport.flush()
        try:
            return await outcome
        finally:
            self._waiting.pop(number, None)

    async def _overlay(self, running: Running, member: MemberStatus) -> Json:
        """Ping the member's gossip by TCP at its overlay address; if that is silent, its kernel.

        It is silent where the member, or we, are bound to another address.
        """
        target = member.metadata.overlay_addr if member.metadata else None
        result: Json = {"address": None, "seconds": None, "method": None, "reason": member.reason}
        if target is None or member.endpoint is None or member.reason is not None:
            return result
        result["address"] = str(target)
        address = Address(str(target), member.address.port)
        first = (await self._gossip(running, member, address, stream=True)).seconds
        if first is None:
            return result | {"seconds": await _echo(str(target)), "method": "icmp"}
        # The first may have waited for WireGuard's handshake.
        second = (await self._gossip(running, member, address, stream=True)).seconds
        return result | {"seconds": min(first, second or first), "method": "gossip"}


async def _echo(address: str) -> float | None:
    """Return the shortest round trip of two echo requests, None when nobody answered."""
    argv = ("ping", "-n", "-c", "2", "-i", "0.3", "-W", f"{ICMP_PATIENCE:g}", address)
    try:
        told = await run(*argv, timeout=3 * ICMP_PATIENCE)
    except CommandError:
        return None
    found = [float(match) / 1000 for match in _ANSWERED.findall(told)]
    return min(found, default=None)


async def answer_contact(
    keys: Sequence[bytes], addresses: object, names: object = None
) -> list[Json]:
    """Return what each address, given as text, answers by UDP and by TCP, in the given order.

    `names` are of whom to ask for at each: whoever is there where it is empty, or without any.
    """
    if not isinstance(addresses, list) or len(addresses) > MAX_ADDRESSES:
        raise AgentError(f"the request needs a list of {MAX_ADDRESSES} addresses at most")
    parsed = [_parse(address) for address in addresses]
    wanted = [""] * len(parsed) if names is None else names
    if not isinstance(wanted, list) or len(wanted) != len(parsed) or not all(map(_is_name, wanted)):
        raise AgentError("the request needs a name, perhaps empty, for each address")
    made = await contact_all(keys, list(zip(parsed, wanted, strict=True)))
    return [
        {"address": str(address), "udp": one.udp.value, "tcp": one.tcp.value}
        for address, one in zip(parsed, made, strict=True)
    ]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= MAX_NAME


def _parse(text: object) -> Address:
    try:
        address = Address.parse(str(text))
    except ValueError:
        raise AgentError(f"{text!r} is no address with a port") from None
    if not 0 < address.port < 65536:
        raise AgentError(f"{text!r} has no port from 1 to 65535")
    return address
