"""The command line of `scripts/bench`."""

import argparse
import compileall
import json
import sys
from pathlib import Path

from scripts.benches import (
    commands,
    converge,
    flow,
    flow_go,
    flow_moving,
    flow_restart,
    guesses,
    heal,
    invented,
    join,
    map,
    processes,
    routes,
    startup,
    swarm,
    trace,
)
from scripts.benches.measuring import Options, Result
from tests.testbed.lab.daemons import parse_command
from tests.testbed.lab.netns import LabError, ended_by_signals

_BENCHES = {
    "startup": startup.measure,
    "flow": flow.measure,
    "heal": heal.measure,
    "converge": converge.measure,
    "join": join.measure,
    "processes": processes.measure,
    "routes": routes.measure,
    "commands": commands.measure,
    "crowd": invented.measure,
    "guesses": guesses.measure,
    "swarm": swarm.measure,
    "map": map.measure,
    "trace": trace.measure,
}


def main() -> int:
    given = _parse()
    measure = _BENCHES[given.name]
    if given.restart:
        measure = flow_restart.measure
    elif given.moving:
        measure = flow_moving.measure
    elif given.go_behaving:
        measure = flow_go.measure
    # An installed package comes compiled; a checkout should not be measured compiling itself.
    compileall.compile_dir(Path(__file__).parents[2] / "wesher", quiet=2)
    try:
        with ended_by_signals():
            result = measure(
                Options(given.nodes, given.runs, parse_command(given.command), given.partition)
            )
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _print_table(given.name, result)
    if given.json:
        print(json.dumps(result))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", allow_abbrev=False)
    parser.add_argument("name", choices=_BENCHES, metavar="NAME", help=", ".join(_BENCHES))
    parser.add_argument("-n", dest="nodes", type=int, default=10, help="nodes of a mesh (10)")
    parser.add_argument("--runs", type=int, default=5, help="how often to measure (5)")
    parser.add_argument(
        "--partition", type=float, default=130, metavar="SECONDS", help="heal: how long (130)"
    )
    parser.add_argument("--restart", action="store_true", help="flow: restart the agent of an end")
    parser.add_argument("--moving", action="store_true", help="flow: move an end to new addresses")
    parser.add_argument(
        "--go-behaving", action="store_true", help="flow: to a member like the Go program"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--command", help="measure this program in place of wesher")
    given = parser.parse_args()
    if given.nodes < 2 or given.runs < 1:
        parser.error("at least 2 nodes and 1 run")
    kinds = given.restart + given.moving + given.go_behaving
    if kinds and given.name != "flow":
        parser.error("--restart, --moving and --go-behaving are for flow")
    if kinds > 1:
        parser.error("one of --restart, --moving, --go-behaving")
    if given.partition <= 0:
        parser.error("--partition needs a number of seconds above 0")
    return given


def _print_table(name: str, result: Result) -> None:
    print(f"bench {name}")
    for key, value in result.items():
        print(f"    {key:24} {_render(value)}")


def _render(value: object) -> str:
    if isinstance(value, dict):
        return "   ".join(f"{key}: {entry}" for key, entry in value.items())
    if isinstance(value, list):
        return "  ".join(str(entry) for entry in value)
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
