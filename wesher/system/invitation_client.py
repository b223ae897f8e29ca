"""Ask an inviting agent: one frame each way on a stream of its gossip port."""

import asyncio
from collections.abc import Callable

from wesher.base.addresses import Address
from wesher.base.errors import ProtocolError

PATIENCE = 5.0  # seconds for an answer; the other may have to wait for its disk
_CHUNK = 4096  # bytes


async def ask(address: Address, frame: bytes, whole: Callable[[bytes], int | None]) -> bytes:
    """Return the frame that is answered; `whole` tells its size from how it begins, if it can.

    Raises TimeoutError and other OSErrors, and ProtocolError for an end or a beginning that is not
    that of an answer.
    """
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(address.ip, address.port)
        try:
            writer.write(frame)
            await writer.drain()
            answer = b""
            while (size := whole(answer)) is None or len(answer) < size:
                chunk = await reader.read(_CHUNK)
                if not chunk:
                    raise ProtocolError("closed without an answer")
                answer += chunk
            return answer[:size]
        finally:
            writer.close()
