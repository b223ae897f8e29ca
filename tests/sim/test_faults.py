"""What can happen to the hosts of a simulated world: each fault does what it says."""

from typing import Any

import pytest

from tests.testbed.sim.hosts import RECEIVE_QUEUE, TIMERS_AT_ONCE
from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.world import Violation, World
from wesher.base.frozen import replace
from wesher.gossip import WAN, ExchangeFinished, Keyring, PingFinished, Wire
from wesher.gossip.codec import encode
from wesher.gossip.messages import Ping

LATENCY = 0.01


def pair(**network: Any) -> World:
    """Return a world of two that know each other."""
    return World.converged(2, seed=1, latency=(LATENCY, LATENCY), **network)


def pings(world: World, source: str, target: str, number: int = 1) -> None:
    """Let one ping the other so often, all at once."""
    engine, to = world.nodes[source].gossip, world.nodes[target].address
    for _ in range(number):
        world.nodes[source].take(lambda now: engine.ping(to, target, now))


def round_trips(world: World, host: str) -> list[float | None]:
    """Return the seconds that its pings took, None for those without an answer."""
    return [e.seconds for _, e in world.nodes[host].events if isinstance(e, PingFinished)]


def exchange(
    world: World, source: str, target: str, seconds: float = 60
) -> tuple[float, str | None]:
    """Let one push/pull with the other; return when it ended, and how."""
    began = world.now
    gossip, to = world.nodes[source].gossip, world.nodes[target].address
    numbers = []
    world.nodes[source].take(lambda now: numbers.append(gossip.push_pull(to, now, join=True)))
    world.run(began + seconds)
    for at, event in world.nodes[source].events:
        if isinstance(event, ExchangeFinished) and event.exchange == numbers[0]:
            return at - began, event.error
    raise AssertionError("it never ended")


ONE, TWO = "node00000", "node00001"


def test_a_ping_takes_two_ways() -> None:
    world = pair()

    pings(world, ONE, TWO)
    world.run(1)

    assert round_trips(world, ONE) == [pytest.approx(2 * LATENCY)]


def test_a_crashed_host_is_silent_and_refuses_streams_at_once() -> None:
    world = pair()
    world.crash(TWO)

    pings(world, ONE, TWO)
    seconds, error = exchange(world, ONE, TWO, seconds=10)

    assert round_trips(world, ONE) == [None]
    assert error == "refused"
    assert seconds < 0.1
    assert world.stats["crashes"] == 1


def test_a_paused_process_answers_when_it_goes_on() -> None:
    world = pair()
    world.pause(TWO)
    pings(world, ONE, TWO)
    world.run(1)
    silent = not round_trips(world, ONE) and not world.nodes[TWO].packets_sent

    world.resume(TWO)
    world.run(2)

    assert silent
    assert round_trips(world, ONE)[0] == pytest.approx(1 + LATENCY)


def test_a_paused_process_comes_to_its_late_timers_when_it_goes_on() -> None:
    world = pair()
    world.pause(TWO)
    world.run(20)
    before = world.nodes[TWO].packets_sent
    world.resume(TWO)

    assert before == 0
    assert world.nodes[TWO].packets_sent > 0


def test_no_more_packets_wait_for_a_paused_process_than_its_socket_holds() -> None:
    world = pair()
    world.pause(TWO)
    packet = Wire(Keyring(bytes(range(32))), lambda: bytes(12)).seal_packet(
        [encode(Ping(1, TWO))], checksum=False
    )
    one, two = world.nodes[ONE], world.nodes[TWO]

    for _ in range(RECEIVE_QUEUE + 50):
        world._deliver(one.address, packet, two.address)
    world.resume(TWO)

    assert world.stats["lost"] == 50
    assert 0 < two.packets_sent <= RECEIVE_QUEUE


def test_a_slow_process_lets_packets_and_timers_queue() -> None:
    world = pair(timing=replace(WAN, probe_interval=1000))
    world.slow(TWO, 0.5)

    pings(world, ONE, TWO, number=5)
    world.run(4)

    waited = sorted(seconds for seconds in round_trips(world, ONE) if seconds)
    assert len(waited) >= 4
    assert waited[0] < 0.6
    assert waited[-1] >= 2


def test_a_process_that_is_slow_no_more_answers_all_that_waits() -> None:
    world = pair()
    world.slow(TWO, 100)
    pings(world, ONE, TWO, number=3)
    world.run(1)
    world.slow(TWO, None)
    world.run(2)

    assert len(round_trips(world, ONE)) == 3


def test_a_clock_that_runs_twice_as_fast_probes_twice_as_often() -> None:
    usual, fast = pair(), pair()
    fast.drift(TWO, 2)

    for world in (usual, fast):
        world.crash(ONE)
        world.run(21)

    assert fast.nodes[TWO].time() == pytest.approx(42)
    assert fast.nodes[TWO].packets_sent > 1.5 * usual.nodes[TWO].packets_sent


def test_a_host_whose_clock_drifts_is_not_taken_for_one_that_never_sleeps() -> None:
    world = World(["alone"], seed=1)
    world.drift("alone", 1.1)

    world.run(TIMERS_AT_ONCE)

    assert world.nodes["alone"].time() == pytest.approx(1.1 * TIMERS_AT_ONCE)


def test_a_partition_lets_nothing_pass_until_it_heals() -> None:
    world = pair()
    world.part([ONE], [TWO])
    pings(world, ONE, TWO)
    world.run(4)
    world.heal()
    pings(world, ONE, TWO)
    world.run(8)

    assert round_trips(world, ONE) == [None, pytest.approx(2 * LATENCY)]
    assert world.stats["partitions"] == 1


def test_a_cut_lets_packets_pass_the_other_way() -> None:
    world = pair()
    world.cut([ONE], [TWO])
    before = world.nodes[TWO].member(ONE).incarnation

    pings(world, TWO, ONE)
    world.run(4)

    # It is heard and answered, but the answer is cut off.
    assert round_trips(world, TWO) == [None]
    assert world.nodes[ONE].packets_sent >= 1
    assert world.nodes[TWO].member(ONE).incarnation == before


@pytest.mark.parametrize(
    ("fault", "error", "earliest", "latest"),
    [
        (None, None, 4 * LATENCY, 0.05),
        ("refuse", "refused", 3 * LATENCY, 0.05),
        ("break", "closed without a reply", 3 * LATENCY, 0.06),
        ("stall", "timed out", 30, 30),
    ],
)
def test_streams_work_or_fail_in_their_own_way(
    fault: str | None, error: str | None, earliest: float, latest: float
) -> None:
    world = pair()
    world.streams(ONE, TWO, fault)

    seconds, outcome = exchange(world, ONE, TWO)

    assert outcome == error
    assert earliest <= seconds <= latest + 1e-9


def test_a_stream_that_breaks_may_have_told_the_other_side_already() -> None:
    told = set()
    for seed in range(10):
        world = World(["one", "two"], seed)
        world.streams("one", "two", "break")
        world.join("one", "two")
        world.run(0.5)
        told.add("one" in world.nodes["two"].live())

    assert told == {True, False}


def test_a_link_that_passes_small_packets_only_is_one_of_many() -> None:
    world = World.converged(3, seed=1)
    world.link(ONE, TWO, max_packet=10)

    pings(world, ONE, TWO)
    pings(world, "node00002", TWO)
    world.run(4)

    assert round_trips(world, ONE) == [None]
    assert None not in round_trips(world, "node00002")


def test_one_that_has_left_ends_by_itself() -> None:
    world = pair()
    world.stop(TWO)
    world.run(2)

    assert not world.nodes[TWO].up
    assert world.stats["leaves"] == 1


# Hosts with state


def meshed_pair() -> MeshWorld:
    world = MeshWorld(seed=1)
    world.start("one")
    world.start("two", "one")
    world.run_until(world.meshed, limit=5)
    return world


@pytest.mark.parametrize("keep_state", [True, False])
def test_a_restarted_host_has_its_state_and_its_key_or_neither(keep_state: bool) -> None:
    world = meshed_pair()
    before = world.nodes["two"]
    world.crash("two")
    world.run(world.now + 1)

    after = world.restart("two", keep_state=keep_state)
    known = {member.name for member in after.ours._coordinator._saved.members}
    world.run_until(world.meshed, limit=30)

    assert (known == {"one"}) is keep_state
    assert (after.settings.public_key == before.settings.public_key) is keep_state
    assert (after.ip, after.seeds) == (before.ip, before.seeds)
    assert (world.stats["crashes"], world.stats["restarts"]) == (1, 1)


def test_one_that_left_starts_with_a_fresh_key() -> None:
    world = meshed_pair()
    before = world.nodes["two"].settings.public_key
    world.stop("two")
    world.run(world.now + 2)

    assert world.restart("two").settings.public_key != before


def test_the_clock_of_a_suspended_host_stands_still_and_its_node_hears_of_it() -> None:
    world = meshed_pair()
    two = world.nodes["two"]
    since = two.time()
    world.suspend("two")
    sent = two.packets_sent
    world.run(world.now + 1000)
    asleep = two.packets_sent == sent and two.time() == since

    world.wake("two")
    world.run_until(world.settled, limit=60)

    assert asleep
    assert two.time() == pytest.approx(world.now - 1000)


def test_a_world_that_has_not_settled_says_who_differs() -> None:
    world = meshed_pair()
    world.crash("two")
    assert not world.settled()

    with pytest.raises(Violation, match="one holds two for live"):
        world.check_settled()


def test_a_world_in_which_one_is_missed_has_not_settled() -> None:
    world = meshed_pair()
    world.start("three")
    world.run(world.now + 5)

    with pytest.raises(Violation, match="one misses three"):
        world.check_settled()


def test_an_endless_wait_is_a_violation_that_shows_what_happened_before() -> None:
    world = meshed_pair()
    world.crash("two")

    with pytest.raises(Violation, match=r"not reached in 3 s\n\(seed 1, .*\n(.*\n)*.*crashes: two"):
        world.run_until(lambda: False, limit=3)


def test_a_node_that_never_sleeps_is_found_out() -> None:
    world = pair()
    vars(world.nodes[ONE].engine)["next_timer"] = lambda: 0.0
    world.nodes[ONE].arm()

    with pytest.raises(AssertionError, match="node00000 is woken without end"):
        world.run(1)
