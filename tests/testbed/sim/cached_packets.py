"""Packets that are opened once, however often they arrive: to check what we send costs nothing."""

from collections.abc import Sequence

from wesher.gossip import Wire
from wesher.gossip.wire import MAX_PACKET, Opened

CHECKSUM = 5  # bytes, which no budget accounts for (spec/memberlist.md, 2.3)
LARGEST = MAX_PACKET + CHECKSUM


class Letter(bytes):
    """A sealed packet that remembers what is in it, for those who have its key."""

    sealed: Opened
    opened: Opened | None = None
    key: bytes = b""


class CheckedWire(Wire):
    """A Wire that is asked what is wrong with each packet of ours; this one says nothing."""

    def inspect(self, data: bytes) -> str | None:
        """Say what is wrong with a packet of ours."""
        return None


class LetterWire(CheckedWire):
    """A Wire whose packets are letters."""

    def seal_packet(
        self, parts: Sequence[bytes], *, checksum: bool, key: bytes | None = None
    ) -> bytes:
        """Return the datagram as a letter, not opened yet."""
        letter = Letter(super().seal_packet(parts, checksum=checksum, key=key))
        # Opened now, as its key may be gone when it is sent.
        letter.sealed = super().open_packet(letter)
        return letter

    def open_packet(self, data: bytes) -> Opened:
        """Return what is in a packet; of a letter that has been opened, without any work."""
        if isinstance(data, Letter) and data.opened and self._can_open(data):
            return data.opened
        return super().open_packet(data)

    def _can_open(self, letter: Letter) -> bool:
        return letter.key in self.keyring.keys

    def inspect(self, data: bytes) -> str | None:
        """Say what is wrong with a packet of ours; whoever receives it need not open it again."""
        if len(data) > LARGEST:
            return f"{len(data)} bytes"
        opened = data.sealed if isinstance(data, Letter) else super().open_packet(data)
        if opened.problems:
            return str(opened.problems)
        if isinstance(data, Letter) and opened.key:
            data.opened, data.key = opened, opened.key
        return None
