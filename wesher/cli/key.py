"""`wesher key show`: the cluster key, to who really wants to see it."""

import sys
from collections.abc import Mapping

from wesher.base.errors import StartError
from wesher.cli.client import choose_agent, show, show_json


def run(given: Mapping[str, str]) -> int:
    """Show the key on a terminal; elsewhere, where it may be kept, only by force."""
    if "force" not in given and not sys.stdout.isatty():
        raise StartError(
            "standard output is no terminal, so the key might be kept in a file or a log: "
            "use --force if it is meant to"
        )
    result = choose_agent(given).ask("key")
    if "json" in given:
        show_json(result)
    else:
        show([result["key"]])
    return 0
