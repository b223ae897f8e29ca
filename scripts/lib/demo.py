"""Show a mesh at work: real agents, real WireGuard, every pair pinged by name."""

import argparse
import io
import os
import signal
import sys
from itertools import permutations

from tests.testbed.lab.daemons import Daemon, Mesh, parse_command, ping
from tests.testbed.lab.netns import Lab, LabError, ended_by_signals

_FORMATION_TIMEOUT = 60  # seconds
_MOST_NODES = 100  # the kernel's neighbour table holds no larger bridge


def main() -> int:
    options = _parse_options()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        with ended_by_signals(), Lab(options.nodes) as lab:
            answered, pairs = _show(Mesh(lab, command=parse_command(options.command)))
            if options.keep:
                _keep(lab)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads any more; what is still buffered is not worth a complaint at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    print(f"demo: {options.nodes} nodes, {answered}/{pairs} pings answered")
    return 0 if answered == pairs else 1


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("-n", dest="nodes", type=int, default=3, help="how many nodes (3)")
    parser.add_argument("--keep", action="store_true", help="keep the nodes until Ctrl-C")
    parser.add_argument("--command", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 2 <= options.nodes <= _MOST_NODES:
        parser.error(f"-n: between 2 and {_MOST_NODES}")
    return options


def _show(mesh: Mesh) -> tuple[int, int]:
    """Start the agents, print what they see, and return how many pings of how many came back."""
    mesh.start()
    try:
        mesh.wait_until_complete(_FORMATION_TIMEOUT)
        mesh.wait_for_hosts_lines(10)
    except LabError:
        _print_logs(mesh)
        raise
    for daemon in mesh.daemons:
        _print_view(daemon)
    answers = [_report_ping(one, other) for one, other in permutations(mesh.daemons, 2)]
    return sum(answers), len(answers)


def _print_view(daemon: Daemon) -> None:
    print(f"{daemon.host.name}: {daemon.overlay_address()} on {daemon.interface}, and sees")
    for name, address in sorted(daemon.hosts_lines().items()):
        peer = next(
            (
                peer
                for peer in daemon.peers().values()
                if any(network.partition("/")[0] == address for network in peer.allowed_ips)
            ),
            None,
        )
        print(f"    {name:8} {address:16} through {peer.endpoint if peer else 'nobody'}")


def _report_ping(one: Daemon, other: Daemon) -> bool:
    answered = ping(one, other.host.name)
    print(f"{one.host.name} pings {other.host.name}: {'answered' if answered else 'NO ANSWER'}")
    return answered


def _print_logs(mesh: Mesh) -> None:
    for daemon in mesh.daemons:
        for line in daemon.log().splitlines()[-5:]:
            print(f"{daemon.host.name}: {line}", file=sys.stderr)


def _keep(lab: Lab) -> None:
    """Say how to look around, and wait for Ctrl-C."""
    for host in lab.hosts:
        print(f"enter {host.name}: {host.entry}")
    print("the nodes run until Ctrl-C", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
