"""Names that are pinned (`--trust pinned`): to the first identity seen, or by an operator's word.

A pin outlives its member, whether that failed, left or was taken for dead. A word counts if a
member has signed it whose own name is pinned to it, or is ours, and nobody speaks for himself. It
goes to all members at once, and with every table to those who missed it.

A word lets an identity in, and takes nothing from one that has the name and answers: that is for
`identity_contests`, under `pinned` as under `live`.
"""

from collections.abc import Iterable, Iterator, Mapping

from wesher.base import problems
from wesher.base.addresses import Address
from wesher.gossip import Member
from wesher.mesh.base.actions import Actions, Broadcast, SendWithTables, Warn
from wesher.mesh.base.identity import Identity, fingerprint
from wesher.mesh.base.pins import (
    MAX_SERIAL,
    MAX_WORDS,
    Pin,
    decode_words,
    encode_words,
    signed_pin,
)
from wesher.mesh.base.signing import identity_of

MAX_PINS = 4096  # names; who is new then is pinned to nothing, which leaves it to `live`
PART = "trust"


class NamePins:
    """The pins of all names, if names are `pinned` here; we are `name` and sign as `identity`."""

    def __init__(self, name: str, identity: Identity | None, *, pinned: bool) -> None:
        self._name = name
        self._identity = identity
        self._pinned = pinned
        self._pins: dict[str, bytes] = {}
        self._words: dict[str, Pin] = {}
        self.revision = 0
        """How often they have changed."""

    def __iter__(self) -> Iterator[Pin]:
        """Yield all that is to be kept: words, and then what was seen beside them."""
        yield from self._words.values()
        for name, identity in self._pins.items():
            if name not in self._words or self._words[name].identity != identity:
                yield Pin(name, identity)

    @property
    def identities(self) -> Mapping[str, bytes]:
        """The identity that each name is pinned to."""
        return dict(self._pins)

    def restore(self, pins: Iterable[Pin]) -> Actions:
        """Take over what an earlier start has saved, and tell of the words in it."""
        if not self._pinned:
            return
        for pin in pins:
            if pin.author:
                yield from self._take(pin)
            elif pin.identity:
                self._pins[pin.name] = pin.identity
        self.revision += 1

    def see(self, member: Member) -> None:
        """Pin a member's name, unless it is; the crowd's have to prove themselves first."""
        identity = identity_of(member)
        if not self._pinned or not identity or member.name in self._pins:
            return
        if len(self._pins) < MAX_PINS:
            self._pins[member.name] = identity
            self.revision += 1

    def say(self, name: str, identity: bytes | None) -> Actions:
        """Pin a name by our own word to an identity, or to whoever comes next (None).

        ValueError says why that cannot be.
        """
        known = self._words.get(name)
        serial = known.serial + 1 if known else 1
        if not self._pinned or self._identity is None:
            raise ValueError("names are not pinned on this host: see --trust")
        if serial > MAX_SERIAL:
            raise ValueError(f"too much was said of {name}: start all members anew")
        word = signed_pin(name, identity, serial, self._identity)
        yield from self._take(word)
        yield from self._spread([word])

    def withdraw(self, name: str) -> Actions:
        """Let whoever comes next have a name that is pinned."""
        if name in self._pins and self._identity:
            yield from self.say(name, None)

    def heard(self, payload: bytes, source: Address) -> Actions:
        """Take in what somebody told; others are told what is news. Raises ProtocolError."""
        words = decode_words(payload)
        if not self._pinned:
            return
        news = []
        for word in words:
            if not word.outdoes(self._words.get(word.name)):
                continue
            if (author := self._author_of(word)) is None or not word.is_true:
                data = {"member": word.name, "address": source, "identity": _named(word.identity)}
                data["author"] = fingerprint(word.author)
                yield Warn(problems.UNTRUSTED_WORD, word.name, data, always=True)
                continue
            news.append(word)
            yield from self._take(word)
            told = {"member": word.name, "author": author, "identity": _named(word.identity)}
            yield Warn(problems.TRUSTED, word.name, told, always=True)
        yield from self._spread(news)

    def _author_of(self, word: Pin) -> str | None:
        """Return whose word it is; nobody's that we know, or his own cause, is None's."""
        if self._identity and word.author == self._identity.public_key:
            return self._name
        if word.author == word.identity:
            return None
        authors = (name for name, identity in self._pins.items() if identity == word.author)
        return next((name for name in authors if name != word.name), None)

    def _take(self, word: Pin) -> Actions:
        self._words.pop(word.name, None)
        self._words[word.name] = word
        if len(self._words) > MAX_WORDS:
            del self._words[next(iter(self._words))]
        self._pins.pop(word.name, None)
        if word.identity:
            self._pins[word.name] = word.identity
        self.revision += 1
        yield SendWithTables(PART, encode_words(self._words.values()))

    def _spread(self, words: list[Pin]) -> Actions:
        for word in words:
            # As of tombstones: news of the member itself stay beside it.
            yield Broadcast(f"\0trust {word.name}", encode_words([word]))


def _named(identity: bytes | None) -> str:
    return fingerprint(identity) if identity else "whoever comes next"
