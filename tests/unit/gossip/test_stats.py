"""What is said, heard and thought is counted."""

from collections import Counter

from tests.unit.gossip.harness import LOCAL, REMOTE, Harness, address, alive
from wesher.gossip import Ack, Ping, PushPull, Suspect
from wesher.gossip.codec import MessageType


def test_messages_of_packets_are_counted_by_kind_in_both_directions() -> None:
    harness = Harness(alive(REMOTE))
    harness.no_longer_queues()
    heard, said = Counter(harness.gossip.stats.received), Counter(harness.gossip.stats.sent)

    harness.hears(Ping(1, LOCAL), Ping(2, LOCAL))
    harness.hears(Ack(9))

    assert Counter(harness.gossip.stats.received) - heard == {
        MessageType.PING: 2,
        MessageType.ACK: 1,
    }
    assert Counter(harness.gossip.stats.sent) - said == {MessageType.ACK: 2}


def test_messages_of_streams_are_counted_by_kind_in_both_directions() -> None:
    harness = Harness()

    harness.asked(Ping(1, LOCAL))
    harness.exchanges()
    harness.gossip.push_pull(address("10.0.0.2"), harness.now, join=True)
    [stream] = harness.streams()
    harness.answered(stream, PushPull(False, ()))

    stats = harness.gossip.stats
    assert stats.received == {MessageType.PING: 1, MessageType.PUSH_PULL: 2}
    assert stats.sent == {MessageType.ACK: 1, MessageType.PUSH_PULL: 2}


def test_what_cannot_be_read_is_answered_with_an_error_that_counts() -> None:
    harness = Harness()

    harness.serves(b"\x0d garbage")

    assert harness.gossip.stats.sent == {MessageType.ERROR: 1}
    assert not harness.gossip.stats.received


def test_suspicions_of_others_and_refutations_of_our_own_are_counted() -> None:
    harness = Harness(alive(REMOTE))

    harness.hears(Suspect(1, REMOTE, "x"), Suspect(1, REMOTE, "y"))
    harness.hears(Suspect(1, LOCAL, "x"))

    assert harness.gossip.stats.suspicions == 1
    assert harness.gossip.stats.refutations == 1


def test_others_that_join_are_counted_once() -> None:
    harness = Harness(announced=False)
    before = harness.gossip.stats.joins

    harness.gossip.announce(b"", 0)
    harness.hears(alive())
    harness.hears(alive(incarnation=2))

    assert (before, harness.gossip.stats.joins) == (0, 1)
