"""Is there an agent, does it answer, has it got everything done, and what has it met?"""

import asyncio
import time
from collections.abc import Container, Iterable, Iterator

from wesher.base import problems
from wesher.base.addresses import Address, Heard
from wesher.base.errors import NotRootError
from wesher.base.problems import OTHER_KEY, OUR_NAME, RENAMED, SAME_NAME, SEED_NAME, STALE_KEY
from wesher.doctor.context import Case, Reply, contact_all, resolve
from wesher.doctor.findings import Finding, Verdict, fault, lasting, ok, unknown, warning
from wesher.doctor.problems import (
    AGENT_SILENT,
    AGENT_STARTING,
    AGENT_STOPPED,
    NOT_ROOT,
    NOT_UP_TO_DATE,
)
from wesher.system.control_client import STARTING, holder, is_stopped

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


async def check_agent(case: Case) -> list[Finding]:
    """See whether the agent runs and answers."""
    if case.no_agent_runs:
        return [fault("agent", problems.NO_AGENT, interface=case.settings.interface)]
    if case.status is None or case.account is None:
        return [_silent(case)]
    node = case.status["node"]
    up = f"{node['name']} runs as pid {node['pid']} for {lasting(node['uptime'])}"
    return [*_pending(case), *_renamed(case), *_stale_key(case), ok("agent", f"{up} and answers")]


def _silent(case: Case) -> Finding:
    if is_stopped(case.settings.run_dir, case.settings.interface):
        pid = holder(case.settings.run_dir, case.settings.interface)
        return fault("agent", AGENT_STOPPED, interface=case.settings.interface, pid=pid)
    if isinstance(case.silence, NotRootError):
        return fault("agent", NOT_ROOT, interface=case.settings.interface)
    if str(case.silence) == STARTING:
        return fault("agent", AGENT_STARTING, interface=case.settings.interface)
    return fault("agent", AGENT_SILENT, reason=case.silence)


def _renamed(case: Case) -> Iterator[Finding]:
    """Yield that the host has another name by now."""
    assert case.account
    if name := case.account.get("renamed_to"):  # an older agent does not tell
        member = case.settings.node_name
        yield warning("agent", RENAMED, name=name, member=member)


def _stale_key(case: Case) -> Iterator[Finding]:
    """Yield that the configuration lacks the key that a change has brought."""
    assert case.account
    if stale := case.account.get("stale_key"):  # an older agent does not tell
        yield warning("agent", STALE_KEY, **stale["data"])


def _pending(case: Case) -> Iterator[Finding]:
    """Yield what the agent could not bring up to date."""
    assert case.account
    for what, reason in case.account["pending"].items():
        yield fault("agent", NOT_UP_TO_DATE, what=what, reason=reason)
    if case.status and not case.status["node"]["wireguard_answers"]:
        reason = "`wg show` gives it no answer"
        yield warning("agent", NOT_UP_TO_DATE, what="status", reason=reason)


async def check_members(case: Case) -> list[Finding]:
    """Tell who is not a peer, or cannot be told from another, at this moment."""
    if case.account is None:
        return [unknown("members", _NO_AGENT)]
    found = [_objection(one) for one in case.account["objections"]]
    found += _undecided(case, {one.about for one in found})
    return found or [ok("members", "every member that is alive is a peer")]


def _undecided(case: Case, known: Container[str | None]) -> Iterator[Finding]:
    """Yield the members that are not peers so far without anything being wrong with them."""
    for member in case.status["members"] if case.status else ():
        if member["state"] == "alive" and not member["peer"] and member["name"] not in known:
            text = f"member {member['name']} {member['reason']}"
            yield unknown("members", text, about=member["name"])


def _objection(told: Reply) -> Finding:
    verdict = Verdict.FAULT if told["name"] in _GRAVE else Verdict.WARNING
    name, about = told["name"], told.get("about")
    return Finding("members", verdict, told["fault"], told["remedy"], name, about)


async def check_warnings(case: Case) -> list[Finding]:
    """Repeat what the agent warned of in the last ten minutes; what is mended is no fault.

    Without a finding all is told by other checks, as it is now.
    """
    if case.account is None:
        return [unknown("warnings", _NO_AGENT)]
    met = case.account["troubles"]
    if not met and not case.account["objections"]:
        return [ok("warnings", "no trouble with other hosts in the last ten minutes")]
    mended = await asyncio.gather(*(_is_mended(case, one) for one in met))
    return [
        _was(one) if over else _recent(one)
        for one, over in zip(met, mended, strict=True)
        if over or one["name"] not in _STANDING
    ]


async def _is_mended(case: Case, told: Reply) -> bool:
    """Tell whether a trouble is over: the agent knows it of most, of some we find out now."""
    if told.get("mended"):
        return True
    match told["name"]:
        case SEED_NAME.name:
            return await _has_address(case, told["data"]["seed"])
        case SAME_NAME.name | OUR_NAME.name:
            return await _is_alone(case, told["data"])
    return False


async def _has_address(case: Case, host: str) -> bool:
    """Tell whether a seed's name has an address now, or is no seed's any more."""
    return not any(seed.host == host for seed in case.settings.join) or bool(await resolve(host, 1))


async def _is_alone(case: Case, data: Reply) -> bool:
    """Tell whether nobody of this name answers any more but the one that is the member."""
    told = case.status or {"members": [], "node": {}}
    places = {one["name"]: one["address"] for one in told["members"] if one["state"] == "alive"}
    places[told["node"].get("name")] = told["node"].get("address")
    held = places.get(data["member"], data.get("address"))
    others = [data[key] for key in ("address", "claimed") if data.get(key) not in {None, held}]
    asked = [(Address.parse(other), data["member"]) for other in others]
    contacts = await contact_all(case, asked)
    return contacts is not None and not any(
        heard is Heard.ANSWER for made in contacts for heard in (made.udp, made.tcp)
    )


def _was(told: Reply) -> Finding:
    return ok("warnings", _not_any_more(told["fault"], told["count"], told["ago"]))


def _not_any_more(fault: str, count: int, ago: float) -> str:
    until = time.strftime("%H:%M", time.localtime(time.clock_gettime(time.CLOCK_REALTIME) - ago))
    times = "once, at" if count == 1 else f"{count} times, until"
    return f"not any more: {fault} (met {times} {until})"


def _recent(told: Reply) -> Finding:
    grave = told["name"] in _GRAVE and told["ago"] < FRESH
    times = "once," if told["count"] == 1 else f"{told['count']} times, the last"
    text = f"{told['fault']} (met {times} {lasting(told['ago'])} ago)"
    verdict = Verdict.FAULT if grave else Verdict.WARNING
    about = told["data"].get("member")
    return Finding("warnings", verdict, text, told["remedy"], told["name"], about)


async def check_strangers(case: Case) -> list[Finding]:
    """Tell who sends packets that our key does not open, unless a warning tells of it."""
    if case.account is None:
        return [unknown("strangers", _NO_AGENT)]
    met, troubles = case.account["strangers"], case.account["troubles"]
    if not met:
        if any(one["name"] == OTHER_KEY.name and not one.get("mended") for one in troubles):
            return []  # that came by TCP, and a warning tells of it
        return [ok("strangers", "no packets lately that our cluster key does not open")]
    known = {one["data"].get("address") for one in troubles}
    return list(_strangers(one for one in met if one["address"] not in known))


def _strangers(met: Iterable[Reply]) -> Iterator[Finding]:
    for stranger in met:
        address, count, ago = stranger["address"], stranger["count"], stranger["ago"]
        if stranger.get("mended"):
            sent = f"{address} sent what our cluster key does not open"
            yield ok("strangers", _not_any_more(sent, count, ago))
        else:
            yield warning(
                "strangers", problems.STRANGER, address=address, count=count, ago=lasting(ago)
            )
