"""What this agent tells the agents of other members, and how much of it (decision 27).

Whoever has the cluster key may ask. So that nobody is slowed down by it, questions beyond a few a
second are answered with no more than that; what is told was found out once for all who ask at
about the same time; and the doctor, which is a process of its own, runs once in ten seconds.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from loguru import logger

from wesher import __version__
from wesher.base.errors import ProtocolError
from wesher.config.config import as_told
from wesher.control.doctor_runs import DoctorRuns
from wesher.control.status import Running
from wesher.control.tunnels import Tunnels
from wesher.gossip import Address, Wire
from wesher.mesh.base.questions import (
    EVENTS_FOR,
    MAX_EVENTS,
    MAX_QUESTION,
    MemberAnswer,
    PastEvent,
    Topic,
    decode_question,
    encode_answer,
    is_question,
)

RATE, BURST = 4.0, 16.0  # questions a second, and at once; one map of a mesh is one question
MAX_WAITING = 32  # questions that are being answered
NONCE_SIZE = 12  # bytes
OVERHEAD = 64  # bytes, more than encryption adds to a question


class MemberAnswers:
    """Answers members' questions, for an agent whose `running` gives its node once there is one."""

    def __init__(self, running: Callable[[], Running | None]) -> None:
        self._running = running
        self._tunnels = Tunnels()
        self._doctor = DoctorRuns()
        self._events: deque[tuple[float, str, str, str]] = deque(maxlen=MAX_EVENTS)
        self._allowance = Allowance()
        self._waiting = 0

    def happened(self, what: str, member: str, text: str = "") -> None:
        """Remember an event."""
        self._events.append((_monotonic(), what, member, text))

    def streams(self, frame: bytes, source: Address) -> Awaitable[bytes | None] | None:
        """Return the coming answer to a stream that holds a question, None for any other."""
        running = self._running()
        if running is None or len(frame) > MAX_QUESTION + OVERHEAD:
            return None
        wire = Wire(running.keyring, lambda: os.urandom(NONCE_SIZE))
        try:
            body, key = wire.unseal_frame(frame)
        except ProtocolError:
            return None
        if not is_question(body):
            return None
        running.keyring.note(source.ip, key)
        return self._sealed(wire, body, key, running)

    async def _sealed(self, wire: Wire, body: bytes, key: bytes, running: Running) -> bytes | None:
        try:
            answer = await self._limited(decode_question(body), running)
            return wire.seal_frame(encode_answer(answer), key)
        except ProtocolError:
            return None
        except Exception:  # whoever asks must not cost this host its mesh
            logger.exception("a bug in wesher, please report it")
            return None

    async def _limited(self, topics: frozenset[Topic], running: Running) -> MemberAnswer:
        if self._waiting >= MAX_WAITING or not self._allowance.takes(_monotonic()):
            busy = frozenset(topic.value for topic in topics)
            return MemberAnswer(running.config.node_name, __version__, busy=busy)
        self._waiting += 1
        try:
            return await self.tell(topics, running)
        finally:
            self._waiting -= 1

    async def tell(self, topics: Iterable[Topic], running: Running) -> MemberAnswer:
        """Return what is asked for, whoever asks."""
        wanted = frozenset(topics)
        told: dict[str, Any] = {}
        if Topic.TUNNELS in wanted:
            found = await self._tunnels.look(running)
            told |= {"tunnels": found.tunnels, "wireguard": found.wireguard}
        if Topic.EVENTS in wanted:
            told["events"] = self._last_hour()
        if Topic.SETTINGS in wanted:
            told["settings"] = _settings(running)
        if Topic.DOCTOR in wanted:
            told["doctor"] = await self._doctor.told(running.config)
        return MemberAnswer(running.config.node_name, __version__, **told)

    def _last_hour(self) -> list[PastEvent]:
        now = _monotonic()
        return [
            PastEvent(now - at, what, member, text)
            for at, what, member, text in self._events
            if now - at <= EVENTS_FOR
        ]


class Allowance:
    """A token bucket."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = 0.0

    def takes(self, now: float) -> bool:
        """Take one more, if there is one to be had at `now`."""
        passed = max(0.0, now - self._at)
        self._tokens, self._at = min(self._burst, self._tokens + passed * self._rate), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _settings(running: Running) -> dict[str, str]:
    """Return what this agent runs with, and on; no secrets."""
    config = running.config
    told = {name: _as_text(value) for name, value in as_told(config).items()}
    return told | {
        "timing": config.timing,
        "forget_after": f"{config.forget_after:g}",
        "metadata_format": config.metadata_format,
        "log_level": config.log_level,
        "uptime": f"{_monotonic() - running.started_at:.0f}",
        "python": sys.version.partition(" ")[0],
        "kernel": os.uname().release,
        "keys": str(len(running.keyring.keys)),
    }


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _monotonic() -> float:
    return time.monotonic()
