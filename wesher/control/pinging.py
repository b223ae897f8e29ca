"""Reach one member in every way there is, side by side: so that it shows which one is broken."""

import asyncio
import re

from wesher.control.status import Json, Running
from wesher.errors import AgentError, CommandError
from wesher.gossip import Address
from wesher.mesh.status import MemberStatus, Standing
from wesher.system.shell import run

TRIES = 2  # gossip pings: one may get lost, or wait for WireGuard's handshake
ICMP_PATIENCE = 2.0  # seconds for each echo request
_ANSWERED = re.compile(r"time=([0-9.]+) ms")


class Pinger:
    """Pings of ours that are under way; the agent tells of each one's end by `finished`."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[float | None]] = {}

    def finished(self, number: int, seconds: float | None) -> None:
        """Take the outcome of a ping."""
        if outcome := self._waiting.pop(number, None):
            outcome.set_result(seconds)

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
            "gossip_udp": udp,
            "gossip_tcp": tcp,
            "overlay": overlay,
        }

    async def _gossip(
        self, running: Running, member: MemberStatus, address: Address, *, stream: bool
    ) -> float | None:
        """Return the seconds of the first ping that is answered, None after some silent ones."""
        loop = asyncio.get_running_loop()
        for _ in range(TRIES):
            number = running.node.ping(address, member.name, loop.time(), stream=stream)
            outcome: asyncio.Future[float | None] = loop.create_future()
            self._waiting[number] = outcome
            running.transport.flush()
            try:
                if (seconds := await outcome) is not None:
                    return round(seconds, 6)
            finally:
                self._waiting.pop(number, None)
        return None

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
        first = await self._gossip(running, member, address, stream=True)
        if first is None:
            return result | {"seconds": await _echo(str(target)), "method": "icmp"}
        # The first may have waited for WireGuard's handshake.
        second = await self._gossip(running, member, address, stream=True)
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
