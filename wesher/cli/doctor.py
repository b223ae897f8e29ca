"""`wesher doctor`: what is wrong with this host's part of the mesh, and what to do about it."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wesher.base.errors import AgentError, NoAgentError
from wesher.cli.client import choose_agent, show, show_json
from wesher.config import config
from wesher.config.config import Config
from wesher.doctor.findings import Finding, Verdict, counted, is_healthy
from wesher.doctor.runner import examine
from wesher.system import log


def run(given: Mapping[str, str]) -> int:
    """Examine this host; returns 0 when it is healthy, 1 when there is a fault."""
    environ = dict(os.environ)  # to be looked at twice, and the key is taken out by the first look
    settings = config.load(_with_interface(given), environ)
    log.set_up("error")  # the doctor says itself what the tools are up to
    findings = asyncio.run(examine(settings))
    if "json" in given:
        show_json(as_json(settings, findings))
    else:
        show(render(findings))
    return 0 if is_healthy(findings) else 1


def _with_interface(given: Mapping[str, str]) -> dict[str, str]:
    """Choose the interface of the only agent that runs, unless we were told one."""
    try:
        return {**given, "interface": choose_agent(given).interface}
    except (NoAgentError, AgentError):
        return dict(given)


def as_json(settings: Config, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what docs/doctor.md describes."""
    return {
        "interface": settings.interface,
        "healthy": is_healthy(findings),
        "findings": [
            {
                "check": finding.check,
                "verdict": finding.verdict.value,
                "trouble": finding.problem,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def render(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield what a person reads: the worst first, remedies below, a summary last."""
    for finding in findings:
        yield f"{finding.verdict.value:<8} {finding.check}: {finding.text}"
        if finding.remedy:
            yield f"{'':8} -> {finding.remedy}"
    yield ""
    yield _summary(findings)


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.verdict for finding in findings)
    bad = [
        counted(counts[verdict], word)
        for verdict, word in ((Verdict.FAULT, "fault"), (Verdict.WARNING, "warning"))
        if counts[verdict]
    ]
    if not is_healthy(findings):
        return f"not healthy: {', '.join(bad)}"
    return f"healthy, with {', '.join(bad)}" if bad else "healthy"
