"""What 20,000 members that somebody with the cluster key made up do to those that exist."""

import base64
import re
import time

from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.daemons import Daemon, Mesh
from tests.testbed.lab.inventing import attack
from tests.testbed.lab.netns import Lab, LabError, Process, wait_for

_INVENTED = 20_000
_SETTLED = 60.0  # seconds in which the honest ones must become a mesh again
_WATCHED = 240.0  # seconds after the attack in which memory is looked at
_SERIOUS = re.compile(r".*(?:table of members is full|turns us away|asked three times).*")


def measure(options: Options) -> Result:
    """Seconds of `wesher status`, memory and peers of two members, and a newcomer's join."""
    with Lab(4) as lab:
        mesh = Mesh(lab, lab.hosts[:3], options.command)
        seed, other, newcomer = mesh.daemons
        for daemon in (seed, other):
            mesh.start_one(daemon)
        mesh.wait_until_complete(30, [seed, other])
        before = seed.process.resident_mb(), seed.process.cpu_seconds()
        began = time.monotonic()
        attack(lab.hosts[3], seed.host, base64.b64decode(mesh.key), _INVENTED)
        ended = time.monotonic()
        say(f"invented {_INVENTED} members in {ended - began:.1f} s")
        mesh.start_one(newcomer)
        joined = _joined(mesh, ended)
        seen = []
        while time.monotonic() < ended + _WATCHED:
            took = _status(seed)
            seen.append((took, len(seed.peers()), len(mesh.look(seed))))
            say(
                f"{time.monotonic() - ended:5.0f} s: status in {took:.2f} s, "
                f"{seen[-1][1]} peers, {seen[-1][2]} members told, "
                f"{seed.process.resident_mb():.0f} MB"
            )
            time.sleep(10)
        return {
            "attack_seconds": round(ended - began, 1),
            "newcomer_joined_seconds": joined,
            "status_seconds_worst": round(max(took for took, _, _ in seen), 2),
            "peers_most": max(peers for _, peers, _ in seen),
            "members_told_at_end": seen[-1][2],
            "memory_mb_before": round(before[0], 1),
            "memory_mb_peak": {one.host.name: _peak_mb(one.process) for one in mesh.daemons},
            "cpu_seconds": round(seed.process.cpu_seconds() - before[1], 1),
            "said": _said(seed),
            "doctor": [line for line in _doctor(seed) if _SERIOUS.match(line)],
        }


def _joined(mesh: Mesh, ended: float) -> float | None:
    """Return the seconds until all honest members are peers of each other, None for never."""
    try:
        wait_for(lambda: _are_peers(mesh.daemons), _SETTLED, "the newcomer")
    except LabError:
        return None
    return round(time.monotonic() - ended, 1)


def _are_peers(daemons: list[Daemon]) -> bool:
    """Tell whether each has the overlay addresses of all others."""
    addresses = {daemon: daemon.overlay_address() for daemon in daemons}
    return None not in addresses.values() and all(
        {addresses[other] for other in daemons if other is not daemon}
        <= {str(net).split("/")[0] for peer in daemon.peers().values() for net in peer.allowed_ips}
        for daemon in daemons
    )


def _status(daemon: Daemon) -> float:
    started = time.monotonic()
    daemon.host.run(*daemon.command, "status")
    return time.monotonic() - started


def _peak_mb(process: Process) -> float:
    return round(process.resident_mb("VmHWM"), 1)


def _said(daemon: Daemon) -> list[str]:
    return [line for line in daemon.log().splitlines() if _SERIOUS.match(line)]


def _doctor(daemon: Daemon) -> list[str]:
    return daemon.host.run(*daemon.command, "doctor", timeout=60, check=False).splitlines()
