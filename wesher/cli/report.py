"""`wesher report`: one archive for a bug report or a colleague.

Light on purpose, as every command is until it knows that there is an agent to ask.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from wesher.cli.client import Agent, choose_agent
from wesher.system.terminal import Waiting, screen_of, waiting


def run(given: Mapping[str, str]) -> int:
    """Gather and write the archive; returns the exit code."""
    agent = choose_agent(given)
    with waiting(screen_of(sys.stdout)) as wait:
        report: Callable[[Mapping[str, str], Agent, Waiting], int]
        report = import_module("wesher.cli.reporting").report
        return report(given, agent, wait)
