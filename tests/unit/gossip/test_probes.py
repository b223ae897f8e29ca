"""Probing members in turn, directly, through others and by TCP (spec/memberlist.md, 4.8)."""

from dataclasses import replace

import pytest

from tests.unit.gossip.bench import LOCAL, REMOTE, Bench, address, alive, local_alive, others
from wesher.gossip import (
    LAN,
    PRESETS,
    WAN,
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    TcpOnly,
    pack_ip,
)

REMOTE_ADDRESS = address("10.0.0.2")


class Probed(Bench):
    """A bench that has just sent the first ping to `remote`, the only one whose turn is awaited."""

    def __init__(self, *known, **options):
        super().__init__(*known, **options)
        self.pings = self.next_probe()

    def next_probe(self, to=REMOTE_ADDRESS):
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

    def tcp_pings(self):
        """Return the streams opened that bear a ping."""
        return [
            stream
            for stream in self.streams()
            if isinstance(self.wire.open_frame(stream.data), Ping)
        ]

    def ack_of(self, stream):
        """Return the ack to a ping by TCP."""
        return Ack(self.wire.open_frame(stream.data).sequence)

    def pings_sent(self):
        return [message for _, ms in self.said() for message in ms if isinstance(message, Ping)]

    def later(self, seconds):
        """Let time pass until so many seconds after the ping."""
        self.run(self.probed_at + seconds)


@pytest.mark.case(35)
def test_members_are_probed_in_turn_once_an_interval():
    bench = Bench(*others(3))
    probed = []
    for _ in range(200):
        bench.step()
        for _, messages in bench.said():
            for ping in messages:
                if isinstance(ping, Ping):
                    probed.append((ping.node, bench.now))
                    bench.hears(Ack(ping.sequence))

    rounds = [{node for node, _ in probed[start : start + 3]} for start in range(0, 12, 3)]
    assert rounds == [{"m0", "m1", "m2"}] * 4
    assert probed[1][1] - probed[0][1] == pytest.approx(5)


def test_the_first_probe_comes_at_a_random_moment_of_the_first_interval():
    moments = {Probed(alive(), timing=LAN, seed=seed).probed_at for seed in range(10)}

    assert len(moments) == 10
    assert all(0 <= moment <= 1 for moment in moments)


def test_nobody_is_probed_when_nobody_is_there():
    bench = Bench()

    bench.run(60)

    assert bench.said() == []


@pytest.mark.case(36)
def test_a_probe_names_us_as_the_source_and_takes_news_along():
    bench = Probed(alive())

    assert bench.pings[0] == Ping(bench.sequence, REMOTE, pack_ip("10.0.0.1"), 7946, LOCAL)


@pytest.mark.parametrize(("timing", "timeout"), [(WAN, 3), (LAN, 0.5), (PRESETS["local"], 0.2)])
def test_the_silent_is_pinged_three_times_before_others_are_asked(timing, timeout):
    bench = Probed(alive(), *others(3), timing=replace(timing, probe_interval=1000))
    start = bench.probed_at

    pinged = []
    while not bench.tcp_pings():
        bench.step()
        pinged += [(bench.now - start, ping) for ping in bench.pings_sent()]

    assert bench.now - start == pytest.approx(timeout)
    assert [at for at, _ in pinged] == [pytest.approx(timeout / 3), pytest.approx(timeout * 2 / 3)]
    assert {ping.node for _, ping in pinged} == {REMOTE}


@pytest.mark.parametrize("pinged", [1, 2, 3])
def test_each_ping_has_a_number_of_its_own_and_each_ack_counts(pinged):
    bench = Probed(alive())
    bench.later(2)
    numbers = [bench.sequence, *(ping.sequence for ping in bench.pings_sent())]

    bench.hears(Ack(numbers[pinged - 1]))
    bench.later(5)

    assert len(set(numbers)) == 3
    assert bench.state() == "ALIVE"
    assert bench.gossip.round_trip(REMOTE) == pytest.approx(3 - pinged)


def test_a_second_ack_of_the_same_probe_changes_nothing():
    bench = Probed(alive())
    bench.hears(Suspect(1, LOCAL, "accuser"), Suspect(2, LOCAL, "accuser"))
    bench.later(2)
    numbers = [bench.sequence, *(ping.sequence for ping in bench.pings_sent())]

    bench.hears(*map(Ack, numbers))

    assert bench.gossip.health == 1
    assert bench.gossip.round_trip(REMOTE) == pytest.approx(2)


def test_who_has_answered_is_not_pinged_again():
    bench = Probed(alive())

    bench.later(0.9)
    bench.hears(Ack(bench.sequence))
    bench.later(4.9)

    assert bench.pings_sent() == []


def test_a_suspect_is_told_so_with_each_ping():
    bench = Bench(alive(incarnation=3), Suspect(3, REMOTE, "accuser"))
    bench.__class__ = Probed
    first = bench.next_probe()

    bench.later(1)
    [(_, again)] = bench.said()

    assert isinstance(again[0], Ping)
    assert again[1:] == first[1:] == (Suspect(3, REMOTE, LOCAL),)


def test_an_ack_makes_us_healthier():
    bench = Probed(alive())
    bench.hears(Suspect(1, LOCAL, "accuser"), Suspect(2, LOCAL, "accuser"))
    assert bench.gossip.health == 2

    bench.hears(Ack(bench.sequence))

    assert bench.gossip.health == 1
    assert bench.state() == "ALIVE"


@pytest.mark.case(36)
def test_the_silent_is_asked_for_through_three_others_and_by_tcp():
    bench = Probed(alive(), *others(5))

    bench.later(2.9)
    assert not [m for _, ms in bench.said() for m in ms if isinstance(m, IndirectPing)]
    bench.later(3)

    asked = [(to, ms[0]) for to, ms in bench.said() if isinstance(ms[0], IndirectPing)]
    [stream] = bench.tcp_pings()
    number = bench.ack_of(stream).sequence
    request = IndirectPing(
        number, pack_ip("10.0.0.2"), 7946, REMOTE, True, pack_ip("10.0.0.1"), 7946, LOCAL
    )
    ping = Ping(number, REMOTE, pack_ip("10.0.0.1"), 7946, LOCAL)
    assert number != bench.sequence
    assert [message for _, message in asked] == [request] * 3
    assert len({to for to, _ in asked} - {REMOTE_ADDRESS}) == 3
    assert bench.wire.open_frame(stream.data) == ping
    assert stream.to == REMOTE_ADDRESS
    assert stream.timeout == pytest.approx(2)


def test_only_members_that_are_alive_are_asked_to_relay():
    bench = Probed(alive(), *others(3), Suspect(1, "m0", "x"), Suspect(1, "m1", "x"))

    bench.later(3)

    asked = [to for to, ms in bench.said() if isinstance(ms[0], IndirectPing)]
    assert asked == [address("10.0.1.3")]


@pytest.mark.parametrize("late", [Ack, None])
def test_a_late_ack_before_the_end_is_a_success(late):
    bench = Probed(alive(), *others(2))
    bench.later(4.9)

    if late:
        bench.hears(late(bench.sequence))
    bench.later(5)

    assert bench.state() == ("ALIVE" if late else "SUSPECT")


@pytest.mark.case(36)
def test_the_silent_is_suspected_when_the_interval_is_over():
    bench = Probed(alive())

    bench.later(4.99)
    before = bench.state()
    bench.later(5)

    assert before == "ALIVE"
    assert bench.state() == "SUSPECT"
    assert bench.news() == [Suspect(1, REMOTE, LOCAL)]


def test_after_a_silence_the_next_one_is_probed():
    bench = Probed(alive(), *others(3))
    bench.later(4.9)
    bench.packets()

    bench.later(10.1)

    assert {ping.node for ping in bench.pings_sent()} & {"m0", "m1", "m2"}


def test_when_we_are_late_ourselves_the_silent_gets_another_probe_timeout():
    bench = Probed(alive(), *others(2))

    bench.now = bench.probed_at + 9
    bench.gossip.handle_timer(bench.now)
    [stream] = bench.tcp_pings()
    asked = [to for to, ms in bench.said() if isinstance(ms[0], IndirectPing)]
    states = [bench.state()]
    for seconds in (11.9, 12):
        bench.later(seconds)
        states.append(bench.state())

    assert stream.timeout == 3
    assert len(asked) == 2
    assert states == ["ALIVE", "ALIVE", "SUSPECT"]


def test_when_we_are_late_ourselves_an_ack_that_waited_to_be_read_counts():
    bench = Probed(alive())
    bench.now = bench.probed_at + 9
    bench.gossip.handle_timer(bench.now)

    bench.hears(Ack(bench.sequence))
    bench.later(12)

    assert bench.state() == "ALIVE"
    assert bench.gossip.health == 0


def test_when_we_are_late_ourselves_an_answer_by_tcp_still_comes_in_time():
    bench = Probed(alive())
    bench.now = bench.probed_at + 5
    bench.gossip.handle_timer(bench.now)
    [stream] = bench.tcp_pings()

    bench.later(7)
    bench.answered(stream, bench.ack_of(stream))
    bench.later(8)

    assert stream.timeout == 3
    assert bench.state() == "ALIVE"


@pytest.mark.case(36)
@pytest.mark.parametrize(
    ("relays", "nacks", "health"),
    [(3, 3, 0), (3, 2, 1), (3, 0, 3), (3, 5, 0), (0, 0, 1)],
    ids=["all nacks", "one missing", "none", "more than all", "no relays"],
)
def test_missing_nacks_are_our_own_ill_health(relays, nacks, health):
    bench = Probed(alive(), *others(relays))
    bench.later(3)

    bench.hears(*[Nack(bench.sequence)] * nacks, Ack(123456))
    bench.later(5)

    assert bench.gossip.health == health


@pytest.mark.case(36)
@pytest.mark.parametrize(("newest", "nack"), [(3, False), (4, True)])
def test_only_relays_that_know_nacks_are_asked_for_them_and_blamed(newest, nack):
    versions = bytes([1, newest, 2, 0, 0, 0])
    bench = Probed(alive(), alive("m0", ip="10.0.1.1", versions=versions))

    bench.later(3)
    requests = [ms[0] for _, ms in bench.said() if isinstance(ms[0], IndirectPing)]
    bench.later(5)

    assert [request.nack for request in requests] == [nack]
    assert bench.gossip.health == 1


@pytest.mark.case(38)
def test_nacks_after_the_end_are_not_counted():
    bench = Probed(alive(), *others(1))
    bench.later(5)
    health = bench.gossip.health

    bench.hears(Nack(bench.sequence))

    assert bench.gossip.health == health == 1


@pytest.mark.case(36)
def test_bad_health_doubles_the_duration_of_a_probe_but_not_the_patience_before_asking_others():
    bench = Bench(alive())
    bench.hears(Suspect(1, LOCAL, "accuser"))
    bench.__class__ = Probed
    bench.next_probe()

    bench.later(3)
    [stream] = bench.tcp_pings()
    bench.later(9.99)
    before = bench.state()
    bench.later(10)

    assert stream.timeout == pytest.approx(7)
    assert before == "ALIVE"
    assert bench.state() == "SUSPECT"


@pytest.mark.case(37)
def test_success_by_tcp_only_is_a_success_and_reported():
    bench = Probed(alive())
    bench.hears(Suspect(1, LOCAL, "accuser"), Suspect(2, LOCAL, "accuser"))
    bench.later(3)
    [stream] = bench.tcp_pings()

    bench.answered(stream, bench.ack_of(stream))
    bench.events()
    before = bench.gossip.health
    bench.later(5)

    assert before == 2
    assert bench.gossip.health == 1
    assert bench.state() == "ALIVE"
    assert TcpOnly(bench.member()) in bench.events()


@pytest.mark.case(37)
def test_the_oldest_version_that_knows_tcp_pings_is_asked_by_tcp():
    bench = Probed(alive(versions=bytes([1, 3, 2, 0, 0, 0])))

    bench.later(3)

    assert len(bench.tcp_pings()) == 1


@pytest.mark.case(37)
@pytest.mark.parametrize(
    ("versions", "settings"),
    [(bytes([1, 2, 2, 0, 0, 0]), {}), (bytes([1, 5, 2, 0, 0, 0]), {"stream_pings": False})],
    ids=["does not know it", "disabled"],
)
def test_without_tcp_pings_the_silent_is_suspected(versions, settings):
    bench = Probed(alive(versions=versions), **settings)

    bench.later(3)
    streams = bench.tcp_pings()
    bench.later(5)

    assert streams == []
    assert bench.state() == "SUSPECT"


@pytest.mark.case(37)
def test_a_wrong_answer_by_tcp_is_no_success():
    bench = Probed(alive())
    bench.later(3)
    [stream] = bench.tcp_pings()

    bench.answered(stream, Ack(bench.ack_of(stream).sequence + 1))
    bench.later(5)

    assert bench.state() == "SUSPECT"


@pytest.mark.case(37)
def test_a_suspect_is_told_so_with_the_ping_and_nothing_else():
    bench = Bench(alive(incarnation=3), Suspect(3, REMOTE, "accuser"))
    bench.__class__ = Probed

    messages = bench.next_probe()

    ping = Ping(bench.sequence, REMOTE, pack_ip("10.0.0.1"), 7946, LOCAL)
    assert messages == (ping, Suspect(3, REMOTE, LOCAL))


@pytest.mark.case(37)
def test_who_is_told_of_its_suspicion_refutes_it():
    bench = Bench(alive())

    bench.hears(Ping(1, LOCAL), Suspect(1, LOCAL, REMOTE))

    assert bench.news(LOCAL) == [local_alive(2)]


def test_an_ack_of_a_suspect_does_not_make_it_alive():
    bench = Bench(alive(), Suspect(1, REMOTE, "accuser"))
    bench.__class__ = Probed
    bench.next_probe()

    bench.hears(Ack(bench.sequence))

    assert bench.state() == "SUSPECT"


def test_a_member_that_refuted_meanwhile_is_accused_of_what_it_was_when_the_probe_began():
    bench = Probed(alive())
    bench.later(1)

    bench.hears(alive(incarnation=2))
    bench.later(5)

    assert bench.state() == "ALIVE"


@pytest.mark.parametrize(("lasted", "made_up"), [(4, 0), (7, 1)])
def test_one_interval_that_a_long_probe_missed_is_made_up_at_its_end(lasted, made_up):
    bench = Bench(alive(), *others(3))
    bench.hears(*[Suspect(incarnation, LOCAL, "accuser") for incarnation in range(1, 6)])
    bench.__class__ = Probed
    bench.next_probe()
    bench.later(lasted)
    bench.packets()

    bench.hears(Ack(bench.sequence))
    pings = bench.pings_sent()
    for ping in pings:
        bench.hears(Ack(ping.sequence))

    assert len(pings) == made_up
    assert bench.pings_sent() == []


def test_a_direct_ack_tells_the_round_trip():
    bench = Probed(alive())
    bench.now += 0.25

    bench.hears(Ack(bench.sequence))

    assert bench.gossip.round_trip(REMOTE) == pytest.approx(0.25)
    assert bench.gossip.round_trip("stranger") is None


def test_an_ack_by_way_of_others_tells_no_round_trip():
    bench = Probed(alive(), *others(2))
    bench.later(3)
    [stream] = bench.tcp_pings()

    bench.hears(bench.ack_of(stream))
    bench.later(5)

    assert bench.state() == "ALIVE"
    assert bench.gossip.round_trip(REMOTE) is None


@pytest.mark.parametrize(("waited", "asleep"), [(3, 0), (20, 19)])
def test_an_ack_that_may_have_waited_for_us_tells_no_round_trip(waited, asleep):
    bench = Probed(alive())
    bench.now += waited
    bench.gossip.resume(asleep)

    bench.hears(Ack(bench.sequence))
    bench.later(waited + 2)

    assert bench.state() == "ALIVE"
    assert bench.gossip.round_trip(REMOTE) is None


def test_the_round_trip_of_a_reaped_member_is_forgotten():
    bench = Probed(alive())
    bench.hears(Ack(bench.sequence))
    bench.hears(Dead(1, REMOTE, REMOTE))
    bench.hears(alive("m0", ip="10.0.1.1"))
    while bench.member(REMOTE):
        bench.step_answering()

    bench.next_probe(address("10.0.1.1"))
    bench.hears(Ack(bench.sequence))

    assert bench.gossip.round_trip("m0") is not None
    assert bench.gossip.round_trip(REMOTE) is None
