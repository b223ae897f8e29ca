"""Equal findings about many members, told as one, with what tells this host's fault from theirs."""

from collections import Counter
from collections.abc import Iterable, Sequence

from wesher.base.frozen import frozen, replace
from wesher.doctor.findings import Finding, Share, Verdict
from wesher.mesh.base.hostnames import natural

LEAST = 2  # findings of one kind whose cause can be told from how many there are
LEAST_OF_ANY = 4  # of any other kind
NAMED = 3  # members that are named before the rest is counted
_KINDS = {
    "no-handshake": "tunnel",
    "silent-tunnel": "tunnel",
    "udp-blocked": "udp",
    "tcp-blocked": "tcp",
    "member-silent": "silent",
    "member-failed": "silent",
}
"""Problems that have one cause: who is silent fails if that lasts."""


@frozen
class Group:
    """Findings about several members as one; `finding` tells of all, `members` are their names."""

    finding: Finding
    members: tuple[str, ...]
    of: int | None


@frozen
class _Words:
    """What is said of a kind; `{who}` are the members' names, `{port}` is a number."""

    fault: str
    all_remedy: str
    some_remedy: str


_OURS = "a firewall of this host"
_WORDS = {
    "no-handshake": _Words(
        "{service}: {count} members unreachable",
        "let UDP port {port} through on this host, both ways",
        "the others are reached, so it is not this host: let UDP port {port} through on theirs",
    ),
    "udp-blocked": _Words(
        "{service}: {count} members answer by TCP only",
        "let UDP port {port} through on this host, both ways",
        "the others answer, so it is not this host: let UDP port {port} through on theirs",
    ),
    "tcp-blocked": _Words(
        "{service}: {count} members answer by UDP only",
        "let TCP port {port} through on this host, both ways",
        "the others answer, so it is not this host: let TCP port {port} through on theirs",
    ),
    "member-silent": _Words(
        "{service}: {count} members unreachable",
        "see whether this host has a route to them, and let UDP and TCP port {port} through on it",
        "they will be held failed if this lasts: see whether their hosts and agents run",
    ),
    "member-failed": _Words(
        "{service}: {count} members have failed",
        "see whether this host has a route to them, and let UDP and TCP port {port} through on it",
        "see whether their hosts run; `wesher forget NAME` removes one for good",
    ),
}
_WORDS["silent-tunnel"] = _WORDS["no-handshake"]
_EITHER = "let port {port} through on both hosts: it may be the firewall of either"


def grouped(findings: Sequence[Finding]) -> list[Finding | Group]:
    """Return the findings, what can be told as one as a group at the place of its first."""
    kinds = Counter(_KINDS.get(one.problem or "") for one in findings)
    told: list[Finding | Group] = []
    for key, same in _by_key(findings):
        kind = _KINDS.get(same[0].problem or "")
        if kind and len(same) >= LEAST and same[0].share:
            told.append(_of_one_cause(same, kinds[kind]))
        elif key and len(same) >= LEAST_OF_ANY:
            told.append(_alike(same))
        else:
            told += same
    return told


def _by_key(findings: Iterable[Finding]) -> list[tuple[object, list[Finding]]]:
    keys: dict[object, list[Finding]] = {}
    for number, one in enumerate(findings):
        keys.setdefault(_key(one) or number, []).append(one)
    return [(key if not isinstance(key, int) else None, same) for key, same in keys.items()]


def _key(finding: Finding) -> object:
    """Return what equal findings share; None for one that is about no member."""
    if finding.about is None or finding.verdict is Verdict.OK:
        return None
    problem = finding.problem or finding.text.replace(finding.about, "")
    if _KINDS.get(problem) == "tunnel":
        problem = "tunnel"
    return finding.check, finding.verdict, problem


def _of_one_cause(same: Sequence[Finding], silent: int) -> Group:
    """Tell as one what `silent` members have in all; every one of them has it by our own fault."""
    first = same[0]
    share = first.share or Share(0, 0)
    names = _names(same)
    services = sorted({one.service or "" for one in same}, key=natural)
    words = _WORDS[first.problem or ""]
    fault = words.fault.format(service=", ".join(services), count=f"{len(names)} of {share.total}")
    port = " and ".join(service.partition("/")[0] for service in services)
    if silent == share.total:
        text, remedy = f"{fault}: {_OURS}", words.all_remedy
    elif silent < share.tried:
        text, remedy = f"{fault}: {listed(names)}", words.some_remedy
    else:
        text, remedy = f"{fault}: {listed(names)}", _EITHER
    told = replace(first, text=text, remedy=remedy.format(port=port), about=None)
    return Group(told, names, share.total)


def _alike(same: Sequence[Finding]) -> Group:
    """Say it of one, and of whom else it is so."""
    first, *others = sorted(same, key=lambda one: natural(one.about or ""))
    text = f"{first.text}; the same of {listed(_names(others))}"
    return Group(replace(first, text=text, about=None), _names(same), None)


def _names(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({one.about or "" for one in findings}, key=natural))


def listed(names: Sequence[str]) -> str:
    """Render names: `node1, node2, node3 and 44 more`."""
    if len(names) <= NAMED + 1:
        return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
