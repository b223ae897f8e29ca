"""Who has taken which step of a change of the cluster key, by what it says of itself (Ext, `f`).

A member of ours confirms by the fingerprints of its keys: INSTALL is taken by who has the new one,
USE by who has it first. Who is live and has not confirmed is waited for. Who has failed without the
new key is waited for only before the others are retired, since it could not come back: until it is
forgotten. Who says nothing of its keys cannot follow at all, as Go and our own 1.0: it is spared
too, until it speaks with the new key. An operator may order to wait for neither.
"""

from collections.abc import Iterable, Iterator

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.gossip import Keyring, Member
from wesher.mesh.base.metadata import key_fingerprints
from wesher.mesh.base.rotation import Rotation, Step


@frozen
class Waiting:
    """A member for which the next step waits, and why: a text that goes after its name."""

    member: str
    reason: str


class Confirmations:
    """What members say of their keys; `live` and `failed` are the other ones."""

    def __init__(self, keyring: Keyring, live: Iterable[Member], failed: Iterable[Member]) -> None:
        self._keyring = keyring
        self._live = list(live)
        self._failed = list(failed)

    def waiting(self, rotation: Rotation, step: Step) -> Iterator[Waiting]:
        """Yield for whom `step` waits: who has not taken the one before."""
        new = rotation.fingerprint
        for member in self._live:
            told = key_fingerprints(member)
            if told and new not in told:
                yield Waiting(member.name, "lacks the new key")
            elif told and told[0] != new and step is Step.RETIRE:
                yield Waiting(member.name, "does not use the new key yet")
        if step is Step.RETIRE and not rotation.without_unable:
            yield from self._unable_to_go_on(rotation)
        if step is Step.RETIRE and not rotation.without_failed:
            yield from self._unable_to_return(rotation)

    def _unable_to_go_on(self, rotation: Rotation) -> Iterator[Waiting]:
        for member in self.unable():
            if self._keyring.spoken(member.address.ip) != rotation.key:
                yield Waiting(
                    member.name, "cannot change its key while it runs: restart it with the new one"
                )

    def _unable_to_return(self, rotation: Rotation) -> Iterator[Waiting]:
        for member in self._failed:
            told = key_fingerprints(member)
            if rotation.fingerprint not in told and (told or not rotation.without_unable):
                yield Waiting(member.name, "has failed and lacks the new key")

    def unable(self) -> Iterator[Member]:
        """Yield the live members that cannot follow any change."""
        return (member for member in self._live if not key_fingerprints(member))

    def sealing(self) -> Iterator[tuple[Address, bytes | None]]:
        """Yield what to seal with for each member: the first key of ours that it says it has.

        None is for who does not say, or has none of ours.
        """
        ring = dict(zip(self._keyring.fingerprints, self._keyring.keys, strict=True))
        for member in (*self._failed, *self._live):
            told = frozenset(key_fingerprints(member))
            yield member.address, next((key for one, key in ring.items() if one in told), None)

    def holders(self) -> dict[str, list[str]]:
        """Return which members hold each key, by its fingerprint; "" is for who does not say."""
        held: dict[str, list[str]] = {}
        for member in self._live:
            for one in key_fingerprints(member) or ("",):
                held.setdefault(one, []).append(member.name)
        return held
