"""Show a mesh at work: real agents and real WireGuard, every pair pinged, and two mishaps.

An agent is killed while packets flow to its host, and a firewall closes WireGuard's port: what a
person would see of either is shown as the commands print it.
"""

import argparse
import io
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

from tests.testbed.lab.daemons import Daemon, Mesh, parse_command
from tests.testbed.lab.netns import Host, Lab, LabError, ended_by_signals
from tests.testbed.lab.traffic import Flow

_FORMATION_TIMEOUT = 60  # seconds
_MOST_NODES = 100  # the kernel's neighbour table holds no larger bridge
_MATRIX_NODES = 10  # that fit side by side into 80 columns
_DEAD = 1.0  # seconds for which the killed agent stays dead
_TIME = re.compile(r"time=([0-9.]+) ms")
_PROGRAMS = "/run/demo"  # of each host, with a `wesher` for whoever enters
_PORT = "udp dport 51820"

Times = dict[tuple[str, str], float | None]
"""Milliseconds that a ping from one node to another took, None if it was not answered."""


def main() -> int:
    options = _parse_options()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        with ended_by_signals(), Lab(options.nodes) as lab:
            command = parse_command(options.command)
            times = _show(Mesh(lab, command=command), command)
            if options.keep:
                _keep(lab, command)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads any more; what is still buffered is not worth a complaint at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    answered = sum(one is not None for one in times.values())
    print(f"demo: {options.nodes} nodes, {answered}/{len(times)} pings answered")
    return 0 if answered == len(times) else 1


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("-n", dest="nodes", type=int, default=3, help="how many nodes (3)")
    parser.add_argument("--keep", action="store_true", help="keep the nodes until Ctrl-C")
    parser.add_argument("--yes", action="store_true", help="install what is missing unasked")
    parser.add_argument("--command", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 2 <= options.nodes <= _MOST_NODES:
        parser.error(f"-n: between 2 and {_MOST_NODES}")
    return options


def _show(mesh: Mesh, command: Sequence[str]) -> Times:
    """Start the agents, show them, and return how the pings went."""
    began = time.monotonic()
    print(f"{len(mesh.daemons)} hosts, each a network of its own in this machine, start wesher")
    mesh.start()
    try:
        mesh.wait_until_complete(_FORMATION_TIMEOUT)
        mesh.wait_for_hosts_lines(10)
    except LabError:
        _print_logs(mesh)
        raise
    print(f"every host has a peer for every other after {time.monotonic() - began:.1f} s")
    first, last = mesh.daemons[0].host, mesh.daemons[-1].host
    times = {
        (one.host.name, other.host.name): _ping(one.host, other.host.name)
        for one, other in permutations(mesh.daemons, 2)
    }
    _print_typed(first, command, "status")
    _print_pings([daemon.host.name for daemon in mesh.daemons], times)
    _crash(mesh.daemons[0], mesh.daemons[-1])
    _block(first, last, command)
    print()
    return times


def _ping(host: Host, name: str) -> float | None:
    """Ping by name, once a second until an answer comes; return the milliseconds of that."""
    printed = host.run("ping", "-n", "-c", "1", "-w", "20", name, timeout=30, check=False)
    found = _TIME.search(printed)
    return float(found[1]) if found else None


def _print_pings(names: Sequence[str], times: Times) -> None:
    answered = [one for one in times.values() if one is not None]
    worst = f", the slowest after {max(answered):.1f} ms" if answered else ""
    print(f"\npings by name, through the mesh: {len(answered)} of {len(times)} answered{worst}")
    if len(names) <= _MATRIX_NODES:
        for line in _matrix(names, times):
            print(line)
    else:
        for (one, other), took in times.items():
            if took is None:
                print(f"    {one} got no answer from {other}")


def _matrix(names: Sequence[str], times: Times) -> Iterator[str]:
    """Yield the rows of a table: from the node at its left to the one at its top."""
    yield f"{'ms':>8}" + "".join(f"{name:>7}" for name in names)
    for one in names:
        cells = ("" if one == other else _cell(times[one, other]) for other in names)
        yield f"{one:>8}" + "".join(f"{cell:>7}" for cell in cells)


def _cell(took: float | None) -> str:
    return "none" if took is None else f"{took:.1f}"


def _crash(one: Daemon, other: Daemon) -> None:
    """Kill an agent while packets go to its host, and start it again."""
    names = f"{one.host.name} sends to {other.host.name}"
    with Flow(one, other) as flow:
        time.sleep(0.5)
        other.stop(signal.SIGKILL)
        print(f"\nwesher on {other.host.name} is killed (kill -9) while {names}")
        time.sleep(_DEAD)
        other.start()
        time.sleep(_DEAD)
    print(f"it starts again: {len(flow.lost())} of {flow.sent} packets lost")


def _block(one: Host, other: Host, command: Sequence[str]) -> None:
    """Close WireGuard's port on a host, and show what `doctor` says of it; then open it."""
    print(f"\na firewall on {other.name} drops UDP port 51820, so its tunnels stand")
    for rule in (
        "add table inet demo",
        "add chain inet demo in { type filter hook input priority 0 ; }",
        f"add rule inet demo in {_PORT} drop",
    ):
        other.run("nft", rule)
    faults = re.compile(r"^(fault|warning|\s+->|not healthy)")
    _print_typed(one, command, "doctor", only=faults)
    other.run("nft", "delete table inet demo")
    print(f"\nthe firewall on {other.name} lets it through again")
    healed = _ping(one, other.name) is not None
    print(f"{one.name} pings {other.name}: {'answered' if healed else 'NO ANSWER'}")


def _print_typed(
    host: Host, command: Sequence[str], word: str, only: re.Pattern[str] | None = None
) -> None:
    """Print a command as if it were typed on a host, and what it prints, or part of that."""
    print(f"\n{host.name} $ wesher {word}")
    for line in host.run(*command, word, timeout=60, check=False).splitlines():
        if only is None or only.match(line):
            print(line)


def _print_logs(mesh: Mesh) -> None:
    for daemon in mesh.daemons:
        for line in daemon.log().splitlines()[-5:]:
            print(f"{daemon.host.name}: {line}", file=sys.stderr)


def _keep(lab: Lab, command: Sequence[str]) -> None:
    """Say how to look around, and wait for Ctrl-C."""
    for host in lab.hosts:
        programs = host.path(_PROGRAMS)
        programs.mkdir()
        # A host has no sudo, and whoever enters is root already.
        for name, runs in (("wesher", shlex.join(command)), ("sudo", "")):
            _write_program(programs / name, f'exec {runs} "$@"')
    print("enter a host, each in a terminal of its own:")
    for host in lab.hosts:
        enter = host.entry.removesuffix("bash")
        print(f"    {host.name}: {enter}env PATH={_PROGRAMS}:$PATH bash")
    print("try there: wesher status, wesher doctor, wesher monitor, ping node2")
    print("the hosts stay until Ctrl-C", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def _write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
