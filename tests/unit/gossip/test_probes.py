"""Probing members in turn, directly, through others and by TCP (spec/memberlist.md, 4.8)."""

from typing import Any

import pytest

from tests.unit.gossip.harness import LOCAL, REMOTE, Harness, address, alive, local_alive, others
from wesher.base.frozen import replace
from wesher.gossip import (
    LAN,
    PRESETS,
    WAN,
    Ack,
    Address,
    Dead,
    IndirectPing,
    Message,
    Nack,
    Ping,
    StreamRequest,
    Suspect,
    TcpOnly,
    Timing,
    pack_ip,
)

REMOTE_ADDRESS = address("10.0.0.2")


class Bench(Harness):
    """A bench on which the turn of one member is awaited."""

    def next_probe(self, to: Address = REMOTE_ADDRESS) -> tuple[Message, ...]:
        """Let time pass until `to` is probed, all others being answered; return the messages."""
        while True:
            self.step()
            for target, messages in self.said():
                pings = [message for message in messages if isinstance(message, Ping)]
                if pings and target == to:
                    self.probed_at = self.now
                    self.sequence = pings[0].sequence
                    return messages
                for ping in pings:
                    self.hears(Ack(ping.sequence))

    def tcp_pings(self) -> list[StreamRequest]:
        """Return the streams opened that bear a ping."""
        return [
            stream
            for stream in self.streams()
            if isinstance(self.wire.open_frame(stream.data), Ping)
        ]

    def ack_of(self, stream: StreamRequest) -> Ack:
        """Return the ack to a ping by TCP."""
        ping = self.wire.open_frame(stream.data)
        assert isinstance(ping, Ping)
        return Ack(ping.sequence)

    def pings_sent(self) -> list[Ping]:
        return [message for _, ms in self.said() for message in ms if isinstance(message, Ping)]

    def later(self, seconds: float) -> None:
        """Let time pass until so many seconds after the ping."""
        self.run(self.probed_at + seconds)


class Probed(Bench):
    """A bench that has just sent the first ping to `remote`."""

    def __init__(self, *known: Message, **options: Any) -> None:
        super().__init__(*known, **options)
        self.pings = self.next_probe()


@pytest.mark.case(35)
def test_members_are_probed_in_turn_once_an_interval() -> None:
    harness = Harness(*others(3))
    probed = []
    for _ in range(200):
        harness.step()
        for _, messages in harness.said():
            for ping in messages:
                if isinstance(ping, Ping):
                    probed.append((ping.node, harness.now))
                    harness.hears(Ack(ping.sequence))

    rounds = [{node for node, _ in probed[start : start + 3]} for start in range(0, 12, 3)]
    assert rounds == [{"m0", "m1", "m2"}] * 4
    assert probed[1][1] - probed[0][1] == pytest.approx(5)


def test_the_first_probe_comes_at_a_random_moment_of_the_first_interval() -> None:
    moments = {Probed(alive(), timing=LAN, seed=seed).probed_at for seed in range(10)}

    assert len(moments) == 10
    assert all(0 <= moment <= 1 for moment in moments)


def test_nobody_is_probed_when_nobody_is_there() -> None:
    harness = Harness()

    harness.run(60)

    assert harness.said() == []


@pytest.mark.case(36)
def test_a_probe_names_us_as_the_source_and_takes_news_along() -> None:
    harness = Probed(alive())

    assert harness.pings[0] == Ping(harness.sequence, REMOTE, pack_ip("10.0.0.1"), 7946, LOCAL)


@pytest.mark.parametrize(("timing", "timeout"), [(WAN, 3), (LAN, 0.5), (PRESETS["local"], 0.2)])
def test_the_silent_is_pinged_three_times_before_others_are_asked(
    timing: Timing, timeout: float
) -> None:
    harness = Probed(alive(), *others(3), timing=replace(timing, probe_interval=1000))
    start = harness.probed_at

    pinged = []
    while not harness.tcp_pings():
        harness.step()
        pinged += [(harness.now - start, ping) for ping in harness.pings_sent()]

    assert harness.now - start == pytest.approx(timeout)
    assert [at for at, _ in pinged] == [pytest.approx(timeout / 3), pytest.approx(timeout * 2 / 3)]
    assert {ping.node for _, ping in pinged} == {REMOTE}


@pytest.mark.parametrize("pinged", [1, 2, 3])
def test_each_ping_has_a_number_of_its_own_and_each_ack_counts(pinged: int) -> None:
    harness = Probed(alive())
    harness.later(2)
    numbers = [harness.sequence, *(ping.sequence for ping in harness.pings_sent())]

    harness.hears(Ack(numbers[pinged - 1]))
    harness.later(5)

    assert len(set(numbers)) == 3
    assert harness.state() == "ALIVE"
    assert harness.gossip.round_trips.get(REMOTE) == pytest.approx(3 - pinged)


def test_a_second_ack_of_the_same_probe_changes_nothing() -> None:
    harness = Probed(alive())
    harness.hears(Suspect(1, LOCAL, "accuser"), Suspect(2, LOCAL, "accuser"))
    harness.later(2)
    numbers = [harness.sequence, *(ping.sequence for ping in harness.pings_sent())]

    harness.hears(*map(Ack, numbers))

    assert harness.gossip.health == 1
    assert harness.gossip.round_trips.get(REMOTE) == pytest.approx(2)


def test_who_has_answered_is_not_pinged_again() -> None:
    harness = Probed(alive())

    harness.later(0.9)
    harness.hears(Ack(harness.sequence))
    harness.later(4.9)

    assert harness.pings_sent() == []


def test_a_suspect_is_told_so_with_each_ping() -> None:
    harness = Bench(alive(incarnation=3), Suspect(3, REMOTE, "accuser"))
    first = harness.next_probe()

    harness.later(1)
    [(_, again)] = harness.said()

    assert isinstance(again[0], Ping)
    assert again[1:] == first[1:] == (Suspect(3, REMOTE, LOCAL),)


def test_an_ack_makes_us_healthier() -> None:
    harness = Probed(alive())
    harness.hears(Suspect(1, LOCAL, "accuser"), Suspect(2, LOCAL, "accuser"))
    assert harness.gossip.health == 2

    harness.hears(Ack(harness.sequence))

    assert harness.gossip.health == 1
    assert harness.state() == "ALIVE"


@pytest.mark.case(36)
def test_the_silent_is_asked_for_through_three_others_and_by_tcp() -> None:
    harness = Probed(alive(), *others(5))

    harness.later(2.9)
    assert not [m for _, ms in harness.said() for m in ms if isinstance(m, IndirectPing)]
    harness.later(3)

    asked = [(to, ms[0]) for to, ms in harness.said() if isinstance(ms[0], IndirectPing)]
    [stream] = harness.tcp_pings()
    number = harness.ack_of(stream).sequence
    request = IndirectPing(
        number, pack_ip("10.0.0.2"), 7946, REMOTE, True, pack_ip("10.0.0.1"), 7946, LOCAL
    )
    ping = Ping(number, REMOTE, pack_ip("10.0.0.1"), 7946, LOCAL)
    assert number != harness.sequence
    assert [message for _, message in asked] == [request] * 3
    assert len({to for to, _ in asked} - {REMOTE_ADDRESS}) == 3
    assert harness.wire.open_frame(stream.data) == ping
    assert stream.to == REMOTE_ADDRESS
    assert stream.timeout == pytest.approx(2)


def test_only_members_that_are_alive_are_asked_to_relay() -> None:
    harness = Probed(alive(), *others(3), Suspect(1, "m0", "x"), Suspect(1, "m1", "x"))

    harness.later(3)

    asked = [to for to, ms in harness.said() if isinstance(ms[0], IndirectPing)]
    assert asked == [address("10.0.1.3")]


@pytest.mark.parametrize("late", [Ack, None])
def test_a_late_ack_before_the_end_is_a_success(late: type[Ack] | None) -> None:
    harness = Probed(alive(), *others(2))
    harness.later(4.9)

    if late:
        harness.hears(late(harness.sequence))
    harness.later(5)

    assert harness.state() == ("ALIVE" if late else "SUSPECT")


@pytest.mark.case(36)
def test_the_silent_is_suspected_when_the_interval_is_over() -> None:
    harness = Probed(alive())

    harness.later(4.99)
    before = harness.state()
    harness.later(5)

    assert before == "ALIVE"
    assert harness.state() == "SUSPECT"
    assert harness.news() == [Suspect(1, REMOTE, LOCAL)]


def test_after_a_silence_the_next_one_is_probed() -> None:
    harness = Probed(alive(), *others(3))
    harness.later(4.9)
    harness.packets()

    harness.later(40)  # its turn may come twice in a row, at the end of a cycle and after it

    assert {ping.node for ping in harness.pings_sent()} & {"m0", "m1", "m2"}


def test_when_we_are_late_ourselves_the_silent_gets_another_probe_timeout() -> None:
    harness = Probed(alive(), *others(2))

    harness.now = harness.probed_at + 9
    harness.gossip.handle_timer(harness.now)
    [stream] = harness.tcp_pings()
    asked = [to for to, ms in harness.said() if isinstance(ms[0], IndirectPing)]
    states = [harness.state()]
    for seconds in (11.9, 12):
        harness.later(seconds)
        states.append(harness.state())

    assert stream.timeout == 3
    assert len(asked) == 2
    assert states == ["ALIVE", "ALIVE", "SUSPECT"]


def test_when_we_are_late_ourselves_an_ack_that_waited_to_be_read_counts() -> None:
    harness = Probed(alive())
    harness.now = harness.probed_at + 9
    harness.gossip.handle_timer(harness.now)

    harness.hears(Ack(harness.sequence))
    harness.later(12)

    assert harness.state() == "ALIVE"
    assert harness.gossip.health == 0


def test_when_we_are_late_ourselves_an_answer_by_tcp_still_comes_in_time() -> None:
    harness = Probed(alive())
    harness.now = harness.probed_at + 5
    harness.gossip.handle_timer(harness.now)
    [stream] = harness.tcp_pings()

    harness.later(7)
    harness.answered(stream, harness.ack_of(stream))
    harness.later(8)

    assert stream.timeout == 3
    assert harness.state() == "ALIVE"


@pytest.mark.case(36)
@pytest.mark.parametrize(
    ("relays", "nacks", "health"),
    [(3, 3, 0), (3, 2, 1), (3, 0, 3), (3, 5, 0), (0, 0, 1)],
    ids=["all nacks", "one missing", "none", "more than all", "no relays"],
)
def test_missing_nacks_are_our_own_ill_health(relays: int, nacks: int, health: int) -> None:
    harness = Probed(alive(), *others(relays))
    harness.later(3)

    harness.hears(*[Nack(harness.sequence)] * nacks, Ack(123456))
    harness.later(5)

    assert harness.gossip.health == health


@pytest.mark.case(36)
@pytest.mark.parametrize(("newest", "nack"), [(3, False), (4, True)])
def test_only_relays_that_know_nacks_are_asked_for_them_and_blamed(newest: int, nack: bool) -> None:
    versions = bytes([1, newest, 2, 0, 0, 0])
    harness = Probed(alive(), alive("m0", ip="10.0.1.1", versions=versions))

    harness.later(3)
    requests = [ms[0] for _, ms in harness.said() if isinstance(ms[0], IndirectPing)]
    harness.later(5)

    assert [request.nack for request in requests] == [nack]
    assert harness.gossip.health == 1


@pytest.mark.case(38)
def test_nacks_after_the_end_are_not_counted() -> None:
    harness = Probed(alive(), *others(1))
    harness.later(5)
    health = harness.gossip.health

    harness.hears(Nack(harness.sequence))

    assert harness.gossip.health == health == 1


@pytest.mark.case(36)
def test_bad_health_doubles_the_duration_of_a_probe_but_not_the_patience_before_asking_others() -> (
    None
):
    harness = Bench(alive())
    harness.hears(Suspect(1, LOCAL, "accuser"))
    harness.next_probe()

    harness.later(3)
    [stream] = harness.tcp_pings()
    harness.later(9.99)
    before = harness.state()
    harness.later(10)

    assert stream.timeout == pytest.approx(7)
    assert before == "ALIVE"
    assert harness.state() == "SUSPECT"


@pytest.mark.case(37)
def test_success_by_tcp_only_is_a_success_and_reported() -> None:
    harness = Probed(alive())
    harness.hears(Suspect(1, LOCAL, "accuser"), Suspect(2, LOCAL, "accuser"))
    harness.later(3)
    [stream] = harness.tcp_pings()

    harness.answered(stream, harness.ack_of(stream))
    harness.events()
    before = harness.gossip.health
    harness.later(5)

    assert before == 2
    assert harness.gossip.health == 1
    assert harness.state() == "ALIVE"
    assert TcpOnly(harness.member()) in harness.events()


@pytest.mark.case(37)
def test_the_oldest_version_that_knows_tcp_pings_is_asked_by_tcp() -> None:
    harness = Probed(alive(versions=bytes([1, 3, 2, 0, 0, 0])))

    harness.later(3)

    assert len(harness.tcp_pings()) == 1


@pytest.mark.case(37)
def test_who_does_not_know_tcp_pings_is_suspected_when_silent() -> None:
    harness = Probed(alive(versions=bytes([1, 2, 2, 0, 0, 0])))

    harness.later(3)
    streams = harness.tcp_pings()
    harness.later(5)

    assert streams == []
    assert harness.state() == "SUSPECT"


@pytest.mark.case(37)
def test_a_wrong_answer_by_tcp_is_no_success() -> None:
    harness = Probed(alive())
    harness.later(3)
    [stream] = harness.tcp_pings()

    harness.answered(stream, Ack(harness.ack_of(stream).sequence + 1))
    harness.later(5)

    assert harness.state() == "SUSPECT"


@pytest.mark.case(37)
def test_a_suspect_is_told_so_with_the_ping_and_nothing_else() -> None:
    harness = Bench(alive(incarnation=3), Suspect(3, REMOTE, "accuser"))

    messages = harness.next_probe()

    ping = Ping(harness.sequence, REMOTE, pack_ip("10.0.0.1"), 7946, LOCAL)
    assert messages == (ping, Suspect(3, REMOTE, LOCAL))


@pytest.mark.case(37)
def test_who_is_told_of_its_suspicion_refutes_it() -> None:
    harness = Harness(alive())

    harness.hears(Ping(1, LOCAL), Suspect(1, LOCAL, REMOTE))

    assert harness.news(LOCAL) == [local_alive(2)]


def test_an_ack_of_a_suspect_does_not_make_it_alive() -> None:
    harness = Bench(alive(), Suspect(1, REMOTE, "accuser"))
    harness.next_probe()

    harness.hears(Ack(harness.sequence))

    assert harness.state() == "SUSPECT"


def test_a_member_that_refuted_meanwhile_is_accused_of_what_it_was_when_the_probe_began() -> None:
    harness = Probed(alive())
    harness.later(1)

    harness.hears(alive(incarnation=2))
    harness.later(5)

    assert harness.state() == "ALIVE"


@pytest.mark.parametrize(("lasted", "made_up"), [(4, 0), (7, 1)])
def test_one_interval_that_a_long_probe_missed_is_made_up_at_its_end(
    lasted: float, made_up: int
) -> None:
    harness = Bench(alive(), *others(3))
    harness.hears(*[Suspect(incarnation, LOCAL, "accuser") for incarnation in range(1, 6)])
    harness.next_probe()
    harness.later(lasted)
    harness.packets()

    harness.hears(Ack(harness.sequence))
    pings = harness.pings_sent()
    for ping in pings:
        harness.hears(Ack(ping.sequence))

    assert len(pings) == made_up
    assert harness.pings_sent() == []


def test_a_direct_ack_tells_the_round_trip() -> None:
    harness = Probed(alive())
    harness.now += 0.25

    harness.hears(Ack(harness.sequence))

    assert harness.gossip.round_trips.get(REMOTE) == pytest.approx(0.25)
    assert harness.gossip.round_trips.get("stranger") is None


def test_an_ack_by_way_of_others_tells_no_round_trip() -> None:
    harness = Probed(alive(), *others(2))
    harness.later(3)
    [stream] = harness.tcp_pings()

    harness.hears(harness.ack_of(stream))
    harness.later(5)

    assert harness.state() == "ALIVE"
    assert harness.gossip.round_trips.get(REMOTE) is None


def test_an_ack_that_may_have_waited_for_us_tells_no_round_trip() -> None:
    harness = Probed(alive())
    harness.now += 3

    harness.hears(Ack(harness.sequence))
    harness.later(5)

    assert harness.state() == "ALIVE"
    assert harness.gossip.round_trips.get(REMOTE) is None


def test_the_round_trip_of_a_reaped_member_is_forgotten() -> None:
    harness = Probed(alive())
    harness.hears(Ack(harness.sequence))
    harness.hears(Dead(1, REMOTE, REMOTE))
    harness.hears(alive("m0", ip="10.0.1.1"))
    while harness.state() != "unknown":
        harness.step_answering()

    harness.next_probe(address("10.0.1.1"))
    harness.hears(Ack(harness.sequence))

    assert harness.gossip.round_trips.get("m0") is not None
    assert harness.gossip.round_trips.get(REMOTE) is None
