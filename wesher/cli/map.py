"""`wesher map`: who reaches whom in the whole mesh, as the members themselves tell it.

Light on purpose, as every command is until it knows that there is an agent to ask.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from wesher.cli.client import Agent, choose_agent
from wesher.system.terminal import ANYWHERE, Screen, Waiting, screen_of, waiting


def run(given: Mapping[str, str]) -> int:
    """Show the map; returns 1 when there is trouble."""
    screen = ANYWHERE if "json" in given else screen_of(sys.stdout)
    agent = choose_agent(given)
    with waiting(screen) as wait:
        wait.begins("the members, up to 4 s")
        show_map: Callable[[Mapping[str, str], Agent, Screen, Waiting], int]
        show_map = import_module("wesher.cli.mapping").show_map
        return show_map(given, agent, screen, wait)
