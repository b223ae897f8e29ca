"""What is said, heard and thought is counted."""

from collections import Counter

from tests.unit.gossip.bench import LOCAL, REMOTE, Bench, address, alive
from wesher.gossip import Ack, Ping, PushPull, Suspect
from wesher.gossip.codec import MessageType


def test_messages_of_packets_are_counted_by_kind_in_both_directions():
    bench = Bench(alive(REMOTE))
    bench.no_longer_queues()
    heard, said = Counter(bench.gossip.stats.received), Counter(bench.gossip.stats.sent)

    bench.hears(Ping(1, LOCAL), Ping(2, LOCAL))
    bench.hears(Ack(9))

    assert Counter(bench.gossip.stats.received) - heard == {
        MessageType.PING: 2,
        MessageType.ACK: 1,
    }
    assert Counter(bench.gossip.stats.sent) - said == {MessageType.ACK: 2}


def test_messages_of_streams_are_counted_by_kind_in_both_directions():
    bench = Bench()

    bench.asked(Ping(1, LOCAL))
    bench.exchanges()
    bench.gossip.push_pull(address("10.0.0.2"), bench.now, join=True)
    [stream] = bench.streams()
    bench.answered(stream, PushPull(False, ()))

    stats = bench.gossip.stats
    assert stats.received == {MessageType.PING: 1, MessageType.PUSH_PULL: 2}
    assert stats.sent == {MessageType.ACK: 1, MessageType.PUSH_PULL: 2}


def test_what_cannot_be_read_is_answered_with_an_error_that_counts():
    bench = Bench()

    bench.serves(b"\x0d garbage")

    assert bench.gossip.stats.sent == {MessageType.ERROR: 1}
    assert not bench.gossip.stats.received


def test_suspicions_of_others_and_refutations_of_our_own_are_counted():
    bench = Bench(alive(REMOTE))

    bench.hears(Suspect(1, REMOTE, "x"), Suspect(1, REMOTE, "y"))
    bench.hears(Suspect(1, LOCAL, "x"))

    assert bench.gossip.stats.suspicions == 1
    assert bench.gossip.stats.refutations == 1
