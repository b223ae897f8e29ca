"""`wesher`: run the agent."""

import os
from collections.abc import Mapping

from wesher import agent, config, log


def run(given: Mapping[str, str]) -> int:
    """Run one node until it is told to stop; returns the exit code."""
    settings = config.load(given, os.environ)
    log.set_up(settings.log_level)
    return agent.run(settings)
