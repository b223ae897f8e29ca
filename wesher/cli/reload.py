"""`wesher reload`: let the agent read its configuration again."""

from collections.abc import Iterator, Mapping
from typing import Any

from wesher.cli.client import choose_agent, show, show_json


def run(given: Mapping[str, str]) -> int:
    """Reload; AgentError when the configuration is wrong, and nothing was changed."""
    report = choose_agent(given, configured=True).ask("reload")
    if "json" in given:
        show_json(report)
    else:
        show(_lines(report))
    return 0


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    if report["applied"]:
        yield f"changed at once: {', '.join(report['applied'])}"
    if report["restart_needed"]:
        yield f"needs a restart: {', '.join(report['restart_needed'])}"
    if not any(report.values()):
        yield "nothing has changed"
