"""`wesher doctor`: what is wrong with this host's part of the mesh, and what to do about it.

Light on purpose: something is on the screen before what examines a host is imported.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from wesher.system.terminal import ANYWHERE, Screen, Waiting, screen_of, waiting


def run(given: Mapping[str, str]) -> int:
    """Examine this host; returns 0 when it is healthy, 1 when there is a fault."""
    screen = ANYWHERE if "json" in given else screen_of(sys.stdout)
    with waiting(screen) as wait:
        wait.begins("the first findings")
        diagnose: Callable[[Mapping[str, str], Screen, Waiting], int]
        if "mesh" in given:
            diagnose = import_module("wesher.cli.mesh_diagnosis").diagnose_mesh
        else:
            diagnose = import_module("wesher.cli.diagnosis").diagnose
        return diagnose(given, screen, wait)
