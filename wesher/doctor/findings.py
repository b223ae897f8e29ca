"""What the doctor finds, one finding at a time."""

from collections.abc import Iterable
from enum import Enum

from wesher.base.frozen import frozen
from wesher.base.problems import Problem


class Verdict(Enum):
    """How bad it is; a fault keeps the mesh from working, or from recovering."""

    FAULT = "fault"
    WARNING = "warning"
    UNKNOWN = "unknown"
    OK = "ok"


@frozen
class Finding:
    """What one check came to; `trouble` is the name of a Trouble, None when there is none.

    `about` is the member, or the thing, that it concerns; None when that is this host.
    """

    check: str
    verdict: Verdict
    text: str
    remedy: str | None = None
    trouble: str | None = None
    about: str | None = None


def ok(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Verdict.OK, text)


def unknown(check: str, text: str, remedy: str | None = None) -> Finding:
    """Return that this could not be found out, and why."""
    return Finding(check, Verdict.UNKNOWN, text, remedy)


def fault(check: str, trouble: Problem, **data: object) -> Finding:
    """Return something that must be put right."""
    return _found(check, Verdict.FAULT, trouble, data)


def warning(check: str, trouble: Problem, **data: object) -> Finding:
    """Return something that may matter, or will."""
    return _found(check, Verdict.WARNING, trouble, data)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Tell whether there is no fault."""
    return all(finding.verdict is not Verdict.FAULT for finding in findings)


def _found(check: str, verdict: Verdict, trouble: Problem, data: dict[str, object]) -> Finding:
    about = data.get("member") or data.get("what")
    return Finding(
        check,
        verdict,
        trouble.fault_of(data),
        trouble.remedy_for(data) or None,
        trouble.name,
        None if about is None else str(about),
    )
