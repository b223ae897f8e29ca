"""Answers bear the key of their question, all else one that whoever hears it is known to have."""

import pytest

from tests.unit.gossip.harness import (
    KEY,
    LOCAL,
    STRANGER,
    Harness,
    address,
    alive,
    sealing,
)
from wesher.base.errors import UndecryptableError
from wesher.gossip import Address, ExchangeFinished, Keyring, Message, NotRead, Wire
from wesher.gossip.codec import encode
from wesher.gossip.keyring import MAX_KEYS
from wesher.gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Nack,
    Ping,
    PushPull,
    UserMessage,
    pack_ip,
)

NEW, OLD = bytes(range(1, 33)), KEY
REMOTE = address("10.0.0.2")


class Rotating(Harness):
    """A participant whose primary key is NEW, and which still opens what OLD seals."""

    def __init__(self, *known: Message, ring: tuple[bytes, ...] = (NEW, OLD)) -> None:
        self.ring = Keyring(*ring)
        super().__init__(*known, wire=Wire(self.ring, sealing().nonce))

    def hears_sealed(self, key: bytes, *messages: Message) -> None:
        """Receive the messages from somebody who has only this key."""
        data = sealing(key).seal_packet([encode(one) for one in messages], checksum=False)
        self.receives(data, REMOTE)

    def said_with(self, key: bytes) -> list[Message]:
        """Return what was sent since, as far as somebody with only this key can read it."""
        wire = sealing(key)
        opened = [wire.open_packet(packet.data).messages for packet in self.packets()]
        return [message for messages in opened for message in messages]

    def asked_by(self, key: bytes, message: Message) -> Message:
        """Serve a stream of somebody who has only this key; return what it can read."""
        wire = sealing(key)
        reply = self.serves(wire.seal_frame(encode(message)))
        assert reply is not None
        return wire.open_frame(reply, reply=True)


@pytest.mark.parametrize("key", [NEW, OLD], ids=["new", "old"])
def test_an_ack_bears_the_key_of_the_ping(key: bytes) -> None:
    harness = Rotating(alive())

    harness.hears_sealed(key, Ping(7, LOCAL))

    assert harness.said_with(key)[:1] == [Ack(7)]


@pytest.mark.parametrize("key", [NEW, OLD], ids=["new", "old"])
def test_a_correction_bears_the_key_of_the_old_news(key: bytes) -> None:
    harness = Rotating(alive(incarnation=5))

    harness.hears_sealed(key, Dead(3, "remote", "other"))

    assert [one for one in harness.said_with(key) if isinstance(one, Alive)]


@pytest.mark.parametrize("key", [NEW, OLD], ids=["new", "old"])
def test_a_relay_asks_with_the_primary_key_and_answers_with_that_of_the_request(
    key: bytes,
) -> None:
    harness = Rotating(alive(), alive("target", ip="10.0.0.3"))

    harness.hears_sealed(key, IndirectPing(9, pack_ip("10.0.0.3"), 7946, "target", nack=True))
    (ping,) = [one for one in harness.said_with(NEW) if isinstance(one, Ping)]
    harness.hears_sealed(NEW, Ack(ping.sequence))

    assert harness.said_with(key)[:1] == [Ack(9)]

    harness.hears_sealed(key, IndirectPing(10, pack_ip("10.0.0.3"), 7946, "target", nack=True))
    harness.forget()
    harness.run(harness.now + 3.1)

    assert Nack(10) in harness.said_with(key)


def test_an_answer_whose_key_is_gone_bears_the_primary_one() -> None:
    harness = Rotating(alive(), alive("target", ip="10.0.0.3"))
    harness.hears_sealed(OLD, IndirectPing(9, pack_ip("10.0.0.3"), 7946, "target", nack=True))
    (ping,) = [one for one in harness.said_with(NEW) if isinstance(one, Ping)]

    harness.ring.replace([NEW])
    harness.hears_sealed(NEW, Ack(ping.sequence))

    assert harness.said_with(NEW)[:1] == [Ack(9)]


@pytest.mark.parametrize("key", [NEW, OLD], ids=["new", "old"])
def test_what_is_said_of_our_own_accord_bears_the_primary_key(key: bytes) -> None:
    harness = Rotating(alive(), alive("other", ip="10.0.0.3"))

    harness.hears_sealed(key, Dead(1, LOCAL, "remote"))  # news that are passed on at once

    assert harness.said_with(NEW)
    harness.run(harness.now + 5)
    packets = harness.packets()
    streams = harness.streams()
    assert packets
    assert not [one for one in packets if sealing(OLD).open_packet(one.data).messages]
    for stream in streams:
        sealing(NEW).open_frame(stream.data)


@pytest.mark.parametrize("key", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize("request_", [PushPull(True, ()), Ping(3, LOCAL)], ids=["table", "ping"])
def test_the_reply_of_a_stream_bears_the_key_of_the_request(key: bytes, request_: Message) -> None:
    reply = Rotating(alive()).asked_by(key, request_)

    assert isinstance(reply, PushPull | Ack)


@pytest.mark.parametrize("key", [NEW, OLD], ids=["new", "old"])
def test_an_error_reply_bears_the_key_that_opened_the_request(key: bytes) -> None:
    wire = sealing(key)
    harness = Rotating()

    reply = harness.serves(wire.seal_frame(b""))  # opened, and then empty

    assert reply
    assert wire.open_frame(reply, reply=True) == ErrorReply("empty message")


def test_a_stranger_is_told_with_the_primary_key() -> None:
    harness = Rotating()

    reply = harness.serves(sealing(b"s" * 32).seal_frame(encode(Ping(1, LOCAL))))

    assert reply
    assert isinstance(sealing(NEW).open_frame(reply, reply=True), ErrorReply)
    with pytest.raises(UndecryptableError):
        sealing(OLD).open_frame(reply, reply=True)


def failed_reply(harness: Harness, key: bytes, message: Message) -> list[NotRead]:
    """Let a push/pull of ours be answered with this key; return what is told of that."""
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    stream = harness.streams()[-1]
    reply = sealing(key).seal_frame(encode(message))
    harness.gossip.receive_reply(stream.id, reply, harness.now)
    return [event for event in harness.events() if isinstance(event, NotRead)]


def test_who_answers_with_another_key_that_it_cannot_read_us_lacks_our_primary_one() -> None:
    harness = Rotating()

    assert failed_reply(harness, OLD, ErrorReply("encrypted with another key")) == [NotRead(REMOTE)]
    assert failed_reply(harness, NEW, ErrorReply("the table of members is full")) == []
    assert failed_reply(harness, b"s" * 32, ErrorReply("no")) == []


def test_an_error_that_answers_what_was_sent_before_the_keys_changed_is_no_sign() -> None:
    harness = Rotating(ring=(OLD, NEW))
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    (stream,) = harness.streams()

    harness.ring.replace([NEW, OLD])
    reply = sealing(OLD).seal_frame(encode(ErrorReply("full")))
    harness.gossip.receive_reply(stream.id, reply, harness.now)

    assert not [event for event in harness.events() if isinstance(event, NotRead)]


@pytest.mark.parametrize("complains_with", [OLD, b"s" * 32], ids=["its own", "a strange one"])
def test_a_stream_that_could_not_be_read_is_asked_again_with_another_key(
    complains_with: bytes,
) -> None:
    harness = Rotating()
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    (first,) = harness.streams()
    complaint = sealing(complains_with).seal_frame(encode(ErrorReply("another key")))

    harness.now += 1
    harness.gossip.receive_reply(first.id, complaint, harness.now)
    (second,) = harness.streams()

    assert isinstance(sealing(OLD).open_frame(second.data), PushPull)
    assert (second.id, second.to, second.timeout) == (first.id, REMOTE, first.timeout - 1)
    assert not finished(harness)
    table = sealing(OLD).seal_frame(encode(PushPull(True, ())))
    harness.gossip.receive_reply(second.id, table, harness.now)
    assert [one.error for one in finished(harness)] == [None]


def test_who_has_none_of_our_keys_is_asked_once_with_each() -> None:
    harness = Rotating()
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    complaint = sealing(b"s" * 32).seal_frame(encode(ErrorReply("another key")))

    for _ in (NEW, OLD):
        (stream,) = harness.streams()
        assert not finished(harness)
        harness.gossip.receive_reply(stream.id, complaint, harness.now)

    assert not harness.streams()
    assert [one.undecryptable for one in finished(harness)] == [True]


@pytest.mark.parametrize("error", ["silence", "full"])
def test_a_stream_that_fails_otherwise_is_not_asked_again(error: str) -> None:
    harness = Rotating()
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    (stream,) = harness.streams()

    if error == "silence":
        harness.gossip.stream_failed(stream.id, error, harness.now)
    else:
        reply = sealing(NEW).seal_frame(encode(ErrorReply(error)))
        harness.gossip.receive_reply(stream.id, reply, harness.now)

    assert not harness.streams()
    assert [one.error for one in finished(harness)] == [error]


def test_our_own_request_that_comes_back_is_known_also_when_asked_again() -> None:
    harness = Rotating()
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    (first,) = harness.streams()
    complaint = sealing(OLD).seal_frame(encode(ErrorReply("another key")))
    harness.gossip.receive_reply(first.id, complaint, harness.now)
    (second,) = harness.streams()

    assert harness.serves(second.data) is None

    assert [one.own for one in finished(harness)] == [True]


def finished(harness: Harness) -> list[ExchangeFinished]:
    return [event for event in harness.events() if isinstance(event, ExchangeFinished)]


@pytest.mark.parametrize("known", [NEW, OLD], ids=["new", "old"])
def test_what_we_say_of_our_own_accord_bears_a_key_that_is_known_to_be_there(known: bytes) -> None:
    harness = Rotating(alive())
    harness.ring.know({REMOTE: known})

    harness.hears_sealed(NEW, Dead(1, LOCAL, "remote"))

    assert harness.said_with(known)
    harness.gossip.push_pull(REMOTE, harness.now, join=True)
    for stream in harness.streams():
        sealing(known).open_frame(stream.data)


@pytest.mark.parametrize(
    ("known", "spoken", "expected"),
    [
        ({}, None, NEW),
        ({}, OLD, NEW),
        ({REMOTE: NEW}, OLD, NEW),
        ({REMOTE: OLD}, NEW, OLD),
        ({REMOTE: b"g" * 32}, NEW, OLD),
        ({REMOTE: None}, None, OLD),
        ({REMOTE: None}, OLD, OLD),
        ({REMOTE: None}, NEW, NEW),
        ({REMOTE: None}, b"g" * 32, OLD),
    ],
)
def test_who_cannot_say_what_it_holds_has_what_it_spoke_with_or_the_oldest(
    known: dict[Address, bytes | None], spoken: bytes | None, expected: bytes
) -> None:
    ring = Keyring(NEW, OLD)
    ring.know(known)
    ring.note(REMOTE.ip, spoken)

    assert ring.key_for(REMOTE) == expected


def test_members_are_known_by_the_key_they_speak_with_not_by_that_of_their_answers() -> None:
    harness = Rotating(alive())

    assert harness.ring.spoken(REMOTE.ip) is None
    harness.hears_sealed(OLD, Ping(1, LOCAL))
    harness.hears_sealed(NEW, Ack(1), UserMessage(b"x"))
    harness.hears_sealed(NEW, Nack(1))
    assert harness.ring.spoken(REMOTE.ip) == OLD

    harness.hears_sealed(NEW, UserMessage(b"x"))
    assert harness.ring.spoken(REMOTE.ip) == NEW
    assert harness.ring.spoken(STRANGER.ip) in {None, NEW}


def test_with_one_key_everybody_speaks_with_it_and_nothing_is_kept() -> None:
    harness = Harness(alive())
    ring = harness.wire.keyring

    harness.hears(Ping(1, LOCAL), source=REMOTE)

    assert ring.spoken(REMOTE.ip) == KEY
    assert not ring._spoken


def test_invented_senders_are_not_kept_for_ever() -> None:
    ring = Keyring(NEW, OLD)

    for number in range(20_000):
        ring.note(f"10.1.{number // 250}.{number % 250}", OLD)

    assert len(ring._spoken) == 16384
    assert ring.spoken("10.1.0.0") is None


def test_a_ninth_key_is_refused_and_leaves_the_ring_as_it_was() -> None:
    keys = [bytes([number]) * 32 for number in range(MAX_KEYS + 1)]
    ring = Keyring(*keys[:MAX_KEYS])

    with pytest.raises(ValueError, match="at most 8"):
        ring.add(keys[-1])
    with pytest.raises(ValueError, match="at most 8"):
        ring.replace(keys)

    ring.add(keys[3])
    assert ring.keys == tuple(keys[:MAX_KEYS])
