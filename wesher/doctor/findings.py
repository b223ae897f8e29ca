"""What the doctor finds, one finding at a time: in words, and each thing once."""

from collections.abc import Iterable
from enum import Enum

from wesher.base.frozen import frozen
from wesher.base.problems import Problem

AWAITED = {
    "member-failed": frozenset({"tunnels"}),
    "udp-blocked": frozenset({"members", "warnings"}),
    "member-silent": frozenset({"members", "warnings"}),
}
"""Checks that may find what `merged` tells in place of a problem."""
_STEPS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "hours"), (120, 60, "minutes"))
_GOSSIP_IS_SILENT = frozenset({"member-silent", "member-refused", "other-name"})
_WRONG_ADDRESS = frozenset({"talks-elsewhere", "address-here"})
_BETTER_KNOWN_AS = {
    "member-failed": frozenset({"only-tunnel"}),
    # These say that the member is reached by gossip.
    "no-handshake": _GOSSIP_IS_SILENT,
    "silent-tunnel": _GOSSIP_IS_SILENT,
    # No firewall is needed to make a wrong address silent.
    "udp-blocked": _WRONG_ADDRESS,
    "member-silent": _WRONG_ADDRESS,
}
"""What need not be said of a member of which one of the others is said."""
_SEEDS = frozenset({"seed-silent", "seed-refused", "seed-half", "seed-name"})


class Verdict(Enum):
    """How bad it is; a fault keeps the mesh from working, or from recovering."""

    FAULT = "fault"
    WARNING = "warning"
    UNKNOWN = "unknown"
    OK = "ok"


@frozen
class Share:
    """How many members a check has tried, of how many there are."""

    tried: int
    total: int


@frozen
class Finding:
    """What one check came to; `problem` is the name of a Problem, None when there is none.

    `about` is the member, or the thing, that it concerns; None when that is this host. `service`
    is the port that is tried, as in 51820/udp, and `share` says of how many members it is.
    """

    check: str
    verdict: Verdict
    text: str
    remedy: str | None = None
    problem: str | None = None
    about: str | None = None
    service: str | None = None
    share: Share | None = None


def ok(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Verdict.OK, text)


def unknown(check: str, text: str, remedy: str | None = None, about: str | None = None) -> Finding:
    """Return that this could not be found out, and why."""
    return Finding(check, Verdict.UNKNOWN, text, remedy, about=about)


def found(check: str, verdict: Verdict, problem: Problem, **data: object) -> Finding:
    """Return a problem that a check has met; `data` is what its words are about."""
    about = data.get("member") or data.get("what")
    service = data.get("service")
    return Finding(
        check,
        verdict,
        problem.fault_of(data),
        problem.remedy_for(data) or None,
        problem.name,
        None if about is None else str(about),
        None if service is None else str(service),
    )


def fault(check: str, problem: Problem, **data: object) -> Finding:
    """Return something that must be put right."""
    return found(check, Verdict.FAULT, problem, **data)


def warning(check: str, problem: Problem, **data: object) -> Finding:
    """Return something that may matter, or will."""
    return found(check, Verdict.WARNING, problem, **data)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Tell whether there is no fault."""
    return all(finding.verdict is not Verdict.FAULT for finding in findings)


def counted(number: int, what: str) -> str:
    """Render a number of things: `1 member`, `2 members`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def lasting(seconds: float) -> str:
    """Render a duration roughly: `1 second`, `12 minutes`."""
    for least, unit, name in _STEPS:
        if seconds >= least:
            return f"{seconds // unit:.0f} {name}"
    return counted(round(seconds), "second")


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without what others say as well, the worst first."""
    findings = list(dict.fromkeys(findings))
    said = {(one.problem, one.about) for one in findings}
    named = {one.problem for one in findings}
    now = [one.text for one in findings if one.check != "warnings" and one.verdict != Verdict.OK]
    deaf = any(one.problem == "ourselves-unreached" and "UDP" in one.text for one in findings)
    kept = [
        one
        for one in findings
        if not (one.check == "warnings" and any(text in one.text for text in now))
        and not any((other, one.about) in said for other in _better_known(one))
        and not (one.problem == "nobody" and named & _SEEDS)
        # Whoever is silent to the agent is so because of this host.
        and not (deaf and one.check == "warnings" and one.problem == "udp-blocked")
        and not (one.about == "hosts file" and "hosts-file" in named)
    ]
    return worst_first(kept)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in order, those that are as bad as each other in that they had."""
    order = list(Verdict)
    return sorted(findings, key=lambda one: order.index(one.verdict))


def _better_known(finding: Finding) -> frozenset[str]:
    return _BETTER_KNOWN_AS.get(finding.problem or "", frozenset())
