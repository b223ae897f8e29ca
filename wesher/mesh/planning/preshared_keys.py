"""The preshared key of each pair of members, to which both come without a word about it.

A handshake of WireGuard mixes a preshared key in, if the two have one (Noise IKpsk2; WireGuard
paper, 5.2). Who records their packets, and can break the curve one day, still lacks it and reads
nothing. Ours follows from the cluster key, which is sent nowhere, and from the pair:

    HKDF-SHA256(cluster key, no salt, PURPOSE + one public key + the other, 32 bytes)   (RFC 5869)

with WireGuard's public keys as they are on the wire, the smaller one first. Whoever holds the
cluster key can derive all of them: among members it is the curve that keeps them apart.

A pair uses one if both say so in `Ext`. Go members cannot, and nothing is taken for a yes.

Which cluster key, while it is being changed, follows from what both say that they hold. It is one
that both have: the primary one of both; else that of either; of several the one with the smallest
fingerprint. So the two come to the same from the same two lists, whoever begins. They learn of a
new list at different moments, and WireGuard asks for the key only in a handshake: until then the
session goes on, for a minute at least, while a failed handshake is tried again after 5 s.

If they have no key in common they cannot hear each other either. The peer is left what it has: its
packets flow on that as long as nobody changes it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wesher.base.frozen import frozen, replace
from wesher.gossip.keyring import Keyring
from wesher.mesh.base.metadata import MAX_FINGERPRINTS
from wesher.mesh.base.plan import Peer
from wesher.mesh.planning.validation import ValidMember

PURPOSE = b"wesher preshared key 1"
SIZE = 32  # bytes


def derive(cluster_key: bytes, one: str, other: str) -> str:
    """Return the preshared key of two WireGuard public keys, in whichever order, all in base64."""
    pair = sorted((base64.b64decode(one), base64.b64decode(other)))
    made = HKDF(SHA256(), SIZE, None, PURPOSE + b"".join(pair)).derive(cluster_key)
    return base64.b64encode(made).decode()


def shared_key(ours: Sequence[str], theirs: Sequence[str]) -> str | None:
    """Return the fingerprint of the cluster key that two members derive from, None for none.

    The arguments are the fingerprints of what each says it holds, the primary one first.
    """
    common = {*ours} & {*theirs}
    primary = common & {*ours[:1], *theirs[:1]}
    return min(primary or common, default=None)


Pair = tuple[str, str]
"""The fingerprint of a cluster key, and a peer's public key."""


@frozen
class _Filled:
    """What `fill` was told last, and what it made of it."""

    peers: Mapping[str, Peer]
    held: tuple[str, ...]
    filled: Mapping[str, Peer]


class PresharedKeys:
    """Gives the peers of a Plan their preshared keys, derived from the keys of the ring."""

    def __init__(self, public_key: str, keyring: Keyring) -> None:
        self._public_key = public_key
        self._keyring = keyring
        self._derived: dict[Pair, str] = {}
        self._last: _Filled | None = None

    def fill(
        self, told: Sequence[str], peers: Mapping[str, Peer], members: Iterable[ValidMember]
    ) -> Mapping[str, Peer]:
        """Return the peers, which are those of these members, with their preshared keys.

        `told` are the fingerprints that others know of us: what we hold may be newer, unsaved yet.
        The same mapping must stand for the same members: what was made of it is kept.
        """
        ring = dict(zip(self._keyring.fingerprints, self._keyring.keys, strict=True))
        keys = {one: ring[one] for one in told[:MAX_FINGERPRINTS] if one in ring}
        held, last = tuple(keys), self._last
        if last and last.peers is peers and last.held == held:
            return last.filled
        filled = dict(peers)
        derived: dict[Pair, str] = {}
        for member in members:
            if not member.metadata.preshared:
                continue
            key = member.public_key
            made = None
            if shared := shared_key(held, member.metadata.key_fingerprints):
                pair = shared, key
                made = self._derived.get(pair) or derive(keys[shared], self._public_key, key)
                derived[pair] = made
            filled[key] = replace(peers[key], preshared_key=made)
        self._derived, self._last = derived, _Filled(peers, held, filled)
        return filled
