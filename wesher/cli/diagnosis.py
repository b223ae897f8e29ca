"""What `wesher doctor` says: each finding as soon as it is known, equal ones as one."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wesher.base.errors import AgentError, NoAgentError, printable
from wesher.cli.client import choose_agent, show, show_json
from wesher.config import config
from wesher.config.config import Config
from wesher.doctor.findings import Finding, Verdict, counted, is_healthy
from wesher.doctor.groups import Group, grouped
from wesher.doctor.runner import examine
from wesher.system import log
from wesher.system.terminal import (
    ANYWHERE,
    Line,
    Screen,
    Span,
    Style,
    Waiting,
    wrapped,
)

Told = Finding | Group
_STYLES = {Verdict.FAULT: Style.BAD, Verdict.WARNING: Style.DOUBTFUL}


def diagnose(given: Mapping[str, str], screen: Screen, wait: Waiting) -> int:
    """Examine this host and tell; returns the exit code."""
    environ = dict(os.environ)  # to be looked at twice, and the key is taken out by the first look
    settings = config.load(_with_interface(given), environ)
    log.set_up("error")  # the doctor says itself what the tools are up to
    if "json" in given:
        findings = asyncio.run(examine(settings, lambda _: None, lambda _: None))
        show_json(as_json(settings, findings))
    else:
        findings = _told(settings, screen, wait)
    return 0 if is_healthy(findings) else 1


def _told(settings: Config, screen: Screen, wait: Waiting) -> list[Finding]:
    """Say what is found as soon as it is known, and last how bad it is."""
    said: list[Told] = []

    def tell(findings: list[Finding]) -> None:
        new = grouped(findings)
        wait.ends()
        show(render(new, screen), at_once=True)
        said.extend(new)

    findings = asyncio.run(examine(settings, tell, wait.begins))
    wait.ends()
    show(["", summary(said)])
    return findings


def _with_interface(given: Mapping[str, str]) -> dict[str, str]:
    """Choose the interface of the only agent that runs, unless we were told one."""
    try:
        return {**given, "interface": choose_agent(given).interface}
    except (NoAgentError, AgentError):
        return dict(given)


def as_json(settings: Config, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what docs/doctor.md describes."""
    groups = [one for one in grouped(findings) if isinstance(one, Group)]
    return {
        "interface": settings.interface,
        "healthy": is_healthy(findings),
        "findings": [finding_as_json(finding) for finding in findings],
        "groups": [
            finding_as_json(group.finding) | {"members": group.members, "of": group.of}
            for group in groups
        ],
    }


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """Return one finding as docs/doctor.md describes it."""
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "trouble": finding.problem,
        "text": finding.text,
        "remedy": finding.remedy,
    }


def render(told: Iterable[Told], screen: Screen = ANYWHERE) -> Iterator[Line]:
    """Yield what a person reads, remedies below."""
    for one in told:
        finding = one.finding if isinstance(one, Group) else one
        verdict = f"{finding.verdict.value:<8} "
        text = printable(f"{verdict}{finding.check}: {finding.text}")
        first, *rest = wrapped(text, screen.columns, len(verdict))
        yield Span(verdict, _STYLES.get(finding.verdict)), Span(first[len(verdict) :])
        yield from rest
        if finding.remedy:
            yield from wrapped(f"{'':8} -> {printable(finding.remedy)}", screen.columns, 12)


def summary(told: Sequence[Told]) -> str:
    """Return how bad it is; what is told as one counts as one."""
    findings = [one.finding if isinstance(one, Group) else one for one in told]
    counts = Counter(finding.verdict for finding in findings)
    bad = [
        counted(counts[verdict], word)
        for verdict, word in ((Verdict.FAULT, "fault"), (Verdict.WARNING, "warning"))
        if counts[verdict]
    ]
    if not is_healthy(findings):
        return f"not healthy: {', '.join(bad)}"
    return f"healthy, with {', '.join(bad)}" if bad else "healthy"
