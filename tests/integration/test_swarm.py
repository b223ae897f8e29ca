"""The bench of many nodes in a few processes, with few."""

from scripts.benches import swarm
from scripts.benches.measuring import Options


def test_a_swarm_finds_itself_and_is_measured() -> None:
    result = swarm.measure(Options(nodes=5, runs=1, command=[]), settling=0, quiet=6)

    assert list(result) == [
        "nodes",
        "converge_seconds",
        "cpu_seconds_per_node_minute",
        "packets_per_node_second",
    ]
    assert result["nodes"] == 5
    assert all(float(str(value)) > 0 for value in result.values())
