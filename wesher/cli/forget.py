"""`wesher forget NAME`: remove a failed member everywhere."""

from collections.abc import Mapping

from wesher.cli.client import choose_agent, show, show_json


def run(given: Mapping[str, str]) -> int:
    """Have a member forgotten; AgentError when it is alive or not known."""
    result = choose_agent(given).ask("forget", name=given["name"])
    if "json" in given:
        show_json(result)
    else:
        show([f"{result['name']} is forgotten"])
    return 0
