"""The token: one word that tells a new host whom to ask, until when, and a secret to prove.

    wesher1-  expires 4 | secret 16 | addresses: family 1, IP 4 or 16, port 2; 1 to 3 | CRC-32 4

in base 32 with Crockford's alphabet: no letter looks like a digit, upper and lower case are the
same, and a double click takes all of it. The checksum is over all that precedes it, prefix
included: it finds for certain whatever changed within 32 bits of each other, one wrong letter,
two that changed places, and all but one in 2^32 of other mistakes. So what was cut off or mistyped
is told at once, by the new host alone.

Id and key are derived from the secret: whoever sees the id, which goes over the network, learns
nothing of either.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from zlib import crc32

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.mesh.invitations.handshake import hkdf

PREFIX = "wesher1-"
SECRET_SIZE = 16  # bytes: beyond guessing, as every key of 128 bits
MAX_ADDRESSES = 3
MAX_TOKEN = 256  # characters: three IPv6 addresses take 138
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOK_ALIKE = str.maketrans("oil", "011")
_BITS = 5  # of a letter
_CHECK_SIZE = 4
_ID_SIZE = 5  # bytes, which are eight letters
_TIME_SIZE = 4  # bytes, good until 2106
_SIZES = {4: 4, 6: 16}
_CONTEXT = b"wesher invitation"


@frozen(hidden=("secret",))
class Token:
    """Where to redeem an invitation, until when (seconds since 1970), and its secret."""

    addresses: tuple[Address, ...]
    expires_at: int
    secret: bytes


def derive(secret: bytes) -> tuple[str, bytes]:
    """Return the id of a token, which may be seen, and its key of 32 bytes, which may not."""
    key, name = hkdf(_CONTEXT, secret, 2)
    return _letters(name[:_ID_SIZE]), key


def written(token: Token) -> str:
    """Return the word; ValueError for none or too many addresses, or a secret of another size."""
    if not 1 <= len(token.addresses) <= MAX_ADDRESSES or len(token.secret) != SECRET_SIZE:
        raise ValueError("a token has 1 to 3 addresses and a secret of 16 bytes")
    body = token.expires_at.to_bytes(_TIME_SIZE) + token.secret
    body += b"".join(map(_packed, token.addresses))
    return PREFIX + _letters(body + _check(body))


def read_token(text: str) -> Token:
    """Read a token as somebody pasted it; raises ValueError, with a text for the operator.

    No such text quotes it.
    """
    word = "".join(text.split()).lower()
    prefix, dash, letters = word.partition("-")
    if not word:
        raise ValueError("the token is empty")
    if not dash or not prefix.startswith("wesher") or not prefix[6:].isdecimal():
        raise ValueError(f"this is no token: one begins with {PREFIX}")
    if prefix + dash != PREFIX:
        raise ValueError("this token is of another version: install the wesher that made it")
    damaged = ValueError("the token is damaged: part of it is missing or mistyped; copy it anew")
    if len(word) > MAX_TOKEN:
        raise damaged
    try:
        content = _bytes(letters.translate(_LOOK_ALIKE))
    except ValueError:
        raise damaged from None
    body, check = content[:-_CHECK_SIZE], content[-_CHECK_SIZE:]
    if check != _check(body):
        raise damaged
    head = _TIME_SIZE + SECRET_SIZE
    addresses = tuple(_addresses(body[head:]))
    return Token(addresses, int.from_bytes(body[:_TIME_SIZE]), body[_TIME_SIZE:head])


def _check(body: bytes) -> bytes:
    return crc32(PREFIX.encode() + body).to_bytes(_CHECK_SIZE)


def _packed(address: Address) -> bytes:
    ip = ip_address(address.ip)
    return bytes([ip.version]) + ip.packed + address.port.to_bytes(2)


def _addresses(packed: bytes) -> Sequence[Address]:
    """Return the addresses; ValueError for what is none, although the checksum fits."""
    found = []
    while packed:
        end = 1 + _SIZES.get(packed[0], len(packed))
        if len(packed) < end + 2:
            raise ValueError("this token is of another version: install the wesher that made it")
        port = int.from_bytes(packed[end : end + 2])
        found.append(Address(str(ip_address(packed[1:end])), port))
        packed = packed[end + 2 :]
    if not 1 <= len(found) <= MAX_ADDRESSES:
        raise ValueError("this token is of another version: install the wesher that made it")
    return found


def _letters(data: bytes) -> str:
    """Return bytes in letters, with zero bits after the last."""
    count = -(-8 * len(data) // _BITS)
    number = int.from_bytes(data) << (count * _BITS - 8 * len(data))
    return "".join(_ALPHABET[number >> _BITS * at & 31] for at in reversed(range(count)))


def _bytes(letters: str) -> bytes:
    """Read letters; ValueError for others, and for bits after the last byte that are not zero."""
    number = 0
    for letter in letters:
        number = number << _BITS | _ALPHABET.index(letter)
    size, over = divmod(len(letters) * _BITS, 8)
    if over >= _BITS or number & ((1 << over) - 1):
        raise ValueError("bits are left over")
    return (number >> over).to_bytes(size)
