"""The simulated network: what it does to packets and streams, and what it leaves alone."""

from random import Random
from typing import Any

import pytest

from tests.testbed.sim.network import Latency, Link, Network

MANY = 2000


def network(latency: Latency = (0.01, 0.02), **link: Any) -> Network:
    return Network(Random(1), Link(latency, **link))


def delays(
    net: Network, source: str = "a", target: str = "b", size: int = 100
) -> list[list[float]]:
    """Return what became of many packets, one list of delays for each."""
    return [net.packet(source, target, size) for _ in range(MANY)]


def test_a_good_link_delivers_each_packet_once_within_its_latency() -> None:
    for arrivals in delays(network()):
        assert len(arrivals) == 1
        assert 0.01 <= arrivals[0] <= 0.02


def test_a_latency_may_be_drawn_by_a_function() -> None:
    net = network(latency=lambda rng: 0.5 + rng.random() / 1000)

    assert all(0.5 <= arrivals[0] < 0.501 for arrivals in delays(net))


@pytest.mark.parametrize(("fault", "copies"), [("loss", 0), ("twice", 2)])
def test_a_share_of_the_packets_is_lost_or_delivered_twice(fault: str, copies: int) -> None:
    shares: dict[str, Any] = {fault: 0.3}
    net = network(**shares)

    share = sum(len(arrivals) == copies for arrivals in delays(net)) / MANY

    assert 0.25 < share < 0.35


def test_a_share_of_the_packets_is_held_back_until_others_have_passed() -> None:
    net = network(reorder=0.3)

    late = [arrival for (arrival,) in delays(net) if arrival > 0.02]

    assert 0.2 < len(late) / MANY < 0.35
    assert max(late) <= 0.1


def test_packets_that_are_too_large_vanish() -> None:
    net = network(max_packet=100)

    assert net.packet("a", "b", 100)
    assert not net.packet("a", "b", 101)


def test_a_link_of_its_own_has_the_same_faults_both_ways_and_no_other_link_has_them() -> None:
    net = network()
    net.set_link("a", "b", loss=1.0)
    net.set_link("a", "b", max_packet=50)

    assert not net.packet("a", "b", 10)
    assert not net.packet("b", "a", 10)
    assert net.packet("a", "c", 100)


def test_nothing_passes_between_the_groups_of_a_partition() -> None:
    net = network()
    net.part([["a", "b"], ["c"]])

    passing = {pair for pair in ("ab", "ac", "ad", "cd", "de") if net.packet(pair[0], pair[1], 1)}

    assert passing == {"ab", "de"}


def test_a_cut_has_one_direction_but_streams_need_both() -> None:
    net = network()
    net.cut(["a"], ["b"])

    assert not net.packet("a", "b", 1)
    assert net.packet("b", "a", 1)
    assert net.connect("a", "b") is None
    assert net.connect("b", "a") is None
    assert net.carry("b", "a") is None


def test_healing_ends_partitions_and_cuts_but_leaves_links_alone() -> None:
    net = network()
    net.part([["a"], ["b"]])
    net.cut(["a"], ["c"])
    net.set_link("a", "d", loss=1.0)

    net.heal()

    assert net.packet("a", "b", 1)
    assert net.packet("a", "c", 1)
    assert not net.packet("a", "d", 1)


def test_what_a_stream_loses_is_sent_again_and_so_comes_late() -> None:
    net = network(loss=0.5)

    times = [net.carry("a", "b") for _ in range(MANY)]

    late = [seconds for seconds in times if seconds is not None and seconds > 0.2]
    assert times.count(None) < 0.02 * MANY
    assert len(late) > 0.4 * MANY


def test_a_link_that_loses_everything_carries_no_stream() -> None:
    net = network(loss=1.0)

    assert net.connect("a", "b") is None
    assert net.carry("a", "b") is None


def test_faults_of_streams_are_those_of_a_pair() -> None:
    net = network()
    net.set_streams("a", "b", "stall")

    assert net.stream_fault("b", "a") == "stall"
    assert net.stream_fault("a", "c") is None
    net.set_streams("a", "b", None)
    assert net.stream_fault("a", "b") is None
