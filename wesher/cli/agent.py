"""`wesher`: run the agent."""

import os
from collections.abc import Mapping

from loguru import logger

import wesher.agent.agent
from wesher.config import config
from wesher.system import log


def run(given: Mapping[str, str]) -> int:
    """Run one node until it is told to stop; returns the exit code."""
    environ = dict(os.environ)  # with the key, which is taken out of what children inherit
    settings = config.load(given, os.environ)
    log.set_up(settings.log_level)
    for name in config.unknown_variables(os.environ):
        logger.warning("{name} is no variable of wesher's: see `wesher --help`", name=name)
    return wesher.agent.agent.run(
        settings, lambda: config.load(given, dict(environ), from_stdin=settings.cluster_keys)
    )
