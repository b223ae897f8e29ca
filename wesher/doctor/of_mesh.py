"""What the doctors of all members have found, told by cause and not by host.

One cause shows on many hosts: the same words on each, or the same problem about another member on
each. So equal findings are one with the names of the hosts where they were made, and of one problem
in many variants one is told, with how many hosts have it. What is well is only counted. What hosts
send is from whoever has the cluster key: only its texts are used.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wesher.base.frozen import frozen, replace
from wesher.doctor.findings import Finding, Verdict, unknown
from wesher.doctor.groups import LEAST_OF_ANY, listed
from wesher.mesh.base.hostnames import natural

MAX_FINDINGS = 1000  # of one host
MAX_TEXT = 2000  # characters


@frozen
class FoundOn:
    """A finding, and the hosts that have it."""

    finding: Finding
    hosts: tuple[str, ...]


def read_findings(told: Mapping[str, Any]) -> list[Finding]:
    """Return the findings that a member's doctor has printed, or why there are none."""
    if "error" in told:
        return [unknown("doctor", _text(told["error"]))]
    findings = told.get("findings")
    if not isinstance(findings, list):
        return [unknown("doctor", "its doctor told nothing that can be read")]
    return [_finding(one) for one in findings[:MAX_FINDINGS] if isinstance(one, dict)]


def _finding(told: Mapping[str, Any]) -> Finding:
    verdicts = {verdict.value: verdict for verdict in Verdict}
    verdict = verdicts.get(_text(told.get("verdict")), Verdict.UNKNOWN)
    remedy, problem = told.get("remedy"), told.get("trouble")
    return Finding(
        _text(told.get("check")),
        verdict,
        _text(told.get("text")),
        _text(remedy) if remedy else None,
        _text(problem) if problem else None,
    )


def _text(value: object) -> str:
    return str(value)[:MAX_TEXT]


def by_cause(found: Mapping[str, Sequence[Finding]]) -> list[FoundOn]:
    """Return what is not well, found by host, as few findings: the worst first."""
    alike = _gathered(
        (finding, (host,))
        for host, findings in found.items()
        for finding in dict.fromkeys(findings)
        if finding.verdict is not Verdict.OK
    )
    order = list(Verdict)
    return sorted(
        _of_one_problem(alike), key=lambda one: (order.index(one.finding.verdict), -len(one.hosts))
    )


def _gathered(some: Iterable[tuple[Finding, tuple[str, ...]]]) -> list[FoundOn]:
    hosts: dict[Finding, set[str]] = {}
    for finding, names in some:
        hosts.setdefault(finding, set()).update(names)
    return [FoundOn(finding, _sorted(names)) for finding, names in hosts.items()]


def _of_one_problem(alike: Sequence[FoundOn]) -> list[FoundOn]:
    """Tell many findings of one problem, each in other words, as one of them."""
    kinds: dict[object, list[FoundOn]] = {}
    for one in _frequent_first(alike):
        finding = one.finding
        key = (finding.check, finding.verdict, finding.problem) if finding.problem else finding
        kinds.setdefault(key, []).append(one)
    told = []
    for same in kinds.values():
        if len(same) < LEAST_OF_ANY:
            told += same
            continue
        first, hosts = same[0].finding, _sorted({host for one in same for host in one.hosts})
        text = f"{first.text}; and {len(same) - 1} more like this"
        told.append(FoundOn(replace(first, text=text), hosts))
    return told


def _frequent_first(found: Sequence[FoundOn]) -> list[FoundOn]:
    """Return what was found on most hosts first, as the example of its kind."""
    return sorted(found, key=lambda one: (-len(one.hosts), one.finding.text))


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=natural))


def headed(found: FoundOn) -> Finding:
    """Return the finding with its hosts in front."""
    finding = found.finding
    return replace(finding, check=f"{listed(found.hosts)}: {finding.check}")
