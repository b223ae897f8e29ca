"""What this host can say of its own tunnels just now, for whoever draws the mesh (decision 27).

A tunnel without traffic shakes hands with nobody, so that WireGuard's silence tells nothing; what
is asked for is therefore tried: an echo request through the tunnel, and where echoes may not be
sent or are dropped, a TCP connection, which a refusal answers as well. Nobody is called silent who
was not tried. When all members are asked at the same moment, both ends of a tunnel try it: of two
without a session the one with the smaller key goes first, since handshakes that cross fail, both.

What arrives from the other end meanwhile, an answer or not, is told too (`heard`): where one end
hears the other and not the other way round, it shows in which direction packets are lost.

All of it is done at most once in a few seconds, whoever asks and how often; a member with a
thousand peers tries those of which it knows least.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from wesher.base.errors import CommandError
from wesher.base.frozen import frozen
from wesher.control.status import Running
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.questions import Reach, Tunnel
from wesher.mesh.reporting import MemberStatus, Standing
from wesher.system.echo import Echo, connect_time, round_trips
from wesher.system.wireguard import PeerState, read_wireguard

REST = 3.0  # seconds for which what was found out serves everybody who asks
MAX_TRIED = 256  # members at a time
MAX_BEGUN = 128  # of them without a session: handshakes cost more than packets
BATCH, PAUSE = 16, 0.02  # so many handshakes at once, and seconds until the next, as greetings
TURN = 0.2  # seconds that the end with the greater key waits for the other's handshake
SEND_AT, PATIENCE = (0.0, 0.3), 0.8  # seconds; those who ask wait for two
TCP_AT = 0.35  # seconds: who has not answered an echo by then may not be allowed to
WIREGUARD_PATIENCE = 0.4  # seconds for `wg show`

Peers = Mapping[str, PeerState]


@frozen
class TunnelsTold:
    """The tunnels of this host; `wireguard` is False when `wg show` gave no answer."""

    at: float
    wireguard: bool
    tunnels: Sequence[Tunnel]


@frozen
class _Tried:
    """A peer that is to be tried: where, and whether WireGuard has a session with it."""

    name: str
    key: str
    overlay: IPAddress
    port: int
    session: bool


class Tunnels:
    """Finds out about the tunnels of one agent, once for all who ask at about the same time."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._told: TunnelsTold | None = None

    async def look(self, running: Running) -> TunnelsTold:
        """Return what is known of every tunnel, found out in the last few seconds."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._told is None or now - self._told.at > REST:
                self._told = await _look(running)
        return self._told


async def _look(running: Running) -> TunnelsTold:
    interface, began = running.config.interface, _wall()
    before = await _read(interface)
    members = [one for one in running.node.status().members if one.standing is not Standing.LEFT]
    tried = _to_try(members, before or {}, began)
    answers = await _try(tried, running.device.public_key)
    silent = any(one.name not in answers for one in tried)
    after = await _read(interface) if silent and before is not None else before
    names = {one.name for one in tried}
    told = [
        _tunnel(one, before or {}, after or {}, answers, began, tried=one.name in names)
        for one in members
    ]
    return TunnelsTold(asyncio.get_running_loop().time(), before is not None, told)


async def _read(interface: str) -> Peers | None:
    with suppress(CommandError, TimeoutError):
        async with asyncio.timeout(WIREGUARD_PATIENCE):
            return (await read_wireguard(interface)).peers
    return None


def _to_try(members: Iterable[MemberStatus], peers: Peers, now: float) -> list[_Tried]:
    """Return whom to try: without a session first, then by how long ago they shook hands."""
    found = []
    for one in members:
        key = one.metadata.public_key if one.metadata else ""
        overlay = one.metadata.overlay_addr if one.metadata else None
        if one.endpoint is None or one.reason is not None or overlay is None:
            continue
        state = peers.get(key)
        age = now - state.latest_handshake if state else now
        session = state is not None and state.has_session(now)
        found.append((session, -age, _Tried(one.name, key, overlay, one.address.port, session)))
    found.sort(key=lambda one: one[:2])
    tried = [one for *_, one in found]
    begun = [one for one in tried if not one.session][:MAX_BEGUN]
    return [*begun, *(one for one in tried if one.session)][:MAX_TRIED]


async def _try(tried: Sequence[_Tried], our_key: str) -> dict[str, float]:
    """Return the seconds that each answer took, by name."""
    going = [one for one in tried if one.session]
    groups = [(0.0, going)] if going else []
    begun = [one for one in tried if not one.session]
    for turn, ours in ((0.0, True), (TURN, False)):
        some = [one for one in begun if (our_key < one.key) is ours]
        for number, start in enumerate(range(0, len(some), BATCH)):
            groups.append((turn + number * PAUSE, some[start : start + BATCH]))
    found = await asyncio.gather(*(_try_some(delay, some) for delay, some in groups))
    return {name: seconds for one in found for name, seconds in one.items()}


async def _try_some(delay: float, tried: Sequence[_Tried]) -> dict[str, float]:
    await asyncio.sleep(delay)
    answers: dict[str, float] = {}
    await asyncio.gather(_echoed(tried, answers), _connected(tried, answers))
    return answers


async def _echoed(tried: Sequence[_Tried], answers: dict[str, float]) -> None:
    names = {Echo(one.overlay): one.name for one in tried}
    with suppress(OSError):  # echoes may not be sent by us: the other way has to do
        for echo, seconds in (await round_trips(names, SEND_AT, PATIENCE)).items():
            answers[names[echo]] = seconds


async def _connected(tried: Sequence[_Tried], answers: dict[str, float]) -> None:
    await asyncio.sleep(TCP_AT)
    silent = [one for one in tried if one.name not in answers]
    times = await asyncio.gather(
        *(connect_time(one.overlay, one.port, PATIENCE - TCP_AT) for one in silent)
    )
    for one, seconds in zip(silent, times, strict=True):
        if seconds is not None:
            answers.setdefault(one.name, seconds)


def _tunnel(
    member: MemberStatus,
    before: Peers,
    after: Peers,
    answers: Mapping[str, float],
    began: float,
    *,
    tried: bool,
) -> Tunnel:
    key = member.metadata.public_key if member.metadata else ""
    earlier, now = before.get(key), after.get(key)
    endpoint = (now and now.endpoint) or member.endpoint
    heard = bool(earlier and now and now.received > earlier.received)
    took = answers.get(member.name)
    if member.endpoint is None or member.reason is not None:
        reach = Reach.NOT_A_PEER
    elif took is not None or (tried and _has_shaken_hands(earlier, now)):
        reach = Reach.ANSWERED
    elif tried:
        reach = Reach.SILENT
    else:
        session = now is not None and now.has_session(began)
        reach = Reach.SESSION if session else Reach.UNTRIED
    return Tunnel(
        peer=member.name,
        reach=reach,
        state=member.standing.value,
        handshake=max(0.0, _wall() - now.latest_handshake)
        if now and now.latest_handshake
        else None,
        round_trip=took if took is not None else member.round_trip,
        received=now.received if now else 0,
        sent=now.sent if now else 0,
        endpoint=str(endpoint) if endpoint else None,
        heard=heard or took is not None,
    )


def _has_shaken_hands(earlier: PeerState | None, now: PeerState | None) -> bool:
    """Tell whether WireGuard has done so meanwhile, for which packets must pass both ways.

    What it received besides proves nothing: the other end may be trying us, and not hear us.
    """
    return bool(earlier and now and now.latest_handshake > earlier.latest_handshake)


def _wall() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
