"""What the agent has met: warnings of its log, members that are no peers, strangers."""

from collections.abc import Iterator

from wesher.doctor import troubles
from wesher.doctor.case import Case, Reply
from wesher.doctor.findings import Finding, Verdict, ok, unknown, warning
from wesher.doctor.words import lasting
from wesher.mesh.troubles import NOBODY

FRESH = 120.0  # seconds for which something met counts as the state of things
_GRAVE = {
    "our-name",
    "same-name",
    "other-key",
    "udp-blocked",
    "talks-elsewhere",
    "we-talk-elsewhere",
    "address-here",
    "no-peer",
    "fixed-address",
}
# Told by the objections, as they are now.
_STANDING = {
    "no-peer",
    "same-address",
    "fixed-address",
    "metadata-format",
    "other-case",
    "hosts-line",
    "dotted-name",
}
_NO_AGENT = "only a running agent knows"


async def check_members(case: Case) -> list[Finding]:
    """Tell who is no peer, or cannot be told from another, at this moment."""
    if case.account is None:
        return [unknown("members", _NO_AGENT)]
    found = [_objection(one) for one in case.account["objections"]]
    return found or [ok("members", "every member that is alive is a peer")]


def _objection(told: Reply) -> Finding:
    verdict = Verdict.FAULT if told["name"] in _GRAVE else Verdict.WARNING
    return Finding("members", verdict, told["fault"], told["remedy"], told["name"])


async def check_warnings(case: Case) -> list[Finding]:
    """Repeat what the agent warned of in the last ten minutes."""
    if case.account is None:
        return [unknown("warnings", _NO_AGENT)]
    recent = [one for one in case.account["troubles"] if one["name"] not in _STANDING]
    found = [_recent(one) for one in recent if not _is_over(case, one)]
    return found or [ok("warnings", "none in the last ten minutes")]


def _is_over(case: Case, told: Reply) -> bool:
    """Tell whether the agent has found somebody since it warned that nobody answers."""
    members = case.status["members"] if case.status else []
    return told["name"] == NOBODY.name and bool(members)


def _recent(told: Reply) -> Finding:
    grave = told["name"] in _GRAVE and told["ago"] < FRESH
    times = "once," if told["count"] == 1 else f"{told['count']} times, the last"
    text = f"{told['fault']} (met {times} {lasting(told['ago'])} ago)"
    verdict = Verdict.FAULT if grave else Verdict.WARNING
    return Finding("warnings", verdict, text, told["remedy"], told["name"])


async def check_strangers(case: Case) -> list[Finding]:
    """Tell who sends packets that our key does not open."""
    if case.account is None:
        return [unknown("strangers", _NO_AGENT)]
    return list(_strangers(case.account)) or [
        ok("strangers", "no packets lately that our cluster key does not open")
    ]


def _strangers(account: Reply) -> Iterator[Finding]:
    known = {one["data"].get("address") for one in account["troubles"]}
    for stranger in account["strangers"]:
        if stranger["address"] not in known:
            yield warning(
                "strangers",
                troubles.STRANGER,
                address=stranger["address"],
                count=stranger["count"],
                ago=lasting(stranger["ago"]),
            )
