"""Which of the troubles that were met lately are over: what is mended is told of no more.

A rule says that its trouble is over only by what was seen after it was last met. Troubles without a
rule are things that happened, and stay on the record for their ten minutes; those of names are
found out by asking who is there, as `wesher doctor` does.
"""

from collections.abc import Callable, Mapping, Sequence

from wesher.base import problems
from wesher.base.frozen import frozen, replace
from wesher.gossip import Member, MemberState
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.metadata import key_fingerprints
from wesher.mesh.base.operator_log import Recent
from wesher.mesh.planning import PlanResult

LATE_RETRY = 60.0  # seconds, many retries of a host that looks for a cluster with another key


@frozen
class View:
    """What is so at this moment, as far as it ends troubles.

    `live` are the other members by name, `answered_at` tells when one last acknowledged a ping
    by UDP, `here` is the IP address that we announce, `overlay_addr` our place in the overlay, and
    `primary_key` the fingerprint of the cluster key that we seal with.
    """

    name: str
    here: str
    primary_key: str
    overlay_addr: str
    own_addresses: frozenset[str]
    live: Mapping[str, Member]
    failed: frozenset[str]
    answered_at: Mapping[str, float]
    outcome: PlanResult | None
    peer_problems: Sequence[Warn]
    now: float


def marked(met: Recent, view: View) -> Recent:
    """Return what was met, saying whether it is over."""
    rule = _RULES.get(met.warning.problem.name)
    return replace(met, mended=bool(rule and rule(met, view)))


def _said(met: Recent, what: str) -> str:
    return str(met.warning.data[what])


def _somebody_answers(_met: Recent, view: View) -> bool:
    return any(member.state is MemberState.ALIVE for member in view.live.values())


def _has_the_right_key(met: Recent, view: View) -> bool:
    """Tell whether a member has come to this address since, or whoever was there is long silent.

    A member that was there all the time is not who had the other key: two may be behind one NAT.
    """
    ip, last_at = _said(met, "address"), met.last_at
    return any(
        member.address.ip == ip
        and member.state is MemberState.ALIVE
        and _answered_since(member.name, last_at, view)
        and (member.state_changed_at > last_at or view.now - last_at > LATE_RETRY)
        for member in view.live.values()
    )


def _has_our_primary_key(met: Recent, view: View) -> bool:
    """Tell whether a member is there since then, and none that says it lacks that key."""
    ip = _said(met, "address")
    return _has_the_right_key(met, view) and not any(
        member.address.ip == ip and view.primary_key not in key_fingerprints(member)
        for member in view.live.values()
    )


def _answered_since(name: str, instant: float, view: View) -> bool:
    answered_at = view.answered_at.get(name)
    return answered_at is not None and answered_at > instant


def _reached_by_udp(met: Recent, view: View) -> bool:
    name = _said(met, "member")
    if name not in view.live:
        return name not in view.failed  # who has left has no trouble any more
    return _answered_since(name, met.last_at, view)


def _announces_another(met: Recent, view: View) -> bool:
    member = view.live.get(_said(met, "member"))
    moved = member is not None and member.address.ip != _said(met, "address")
    return moved or _reached_by_udp(met, view)


def _all_answer_us(met: Recent, view: View) -> bool:
    if view.here != _said(met, "address"):
        return True
    live = view.live
    return bool(live) and all(_answered_since(name, met.last_at, view) for name in live)


def _is_elsewhere(met: Recent, view: View) -> bool:
    member, address = view.live.get(_said(met, "member")), _said(met, "address")
    return member is None or member.address.ip != address or address not in view.own_addresses


def _is_a_peer(met: Recent, view: View) -> bool:
    return view.outcome is not None and met.warning.subject not in view.outcome.refusals


def _is_not_objected_to(met: Recent, view: View) -> bool:
    return (met.warning.problem.name, met.warning.subject) not in {
        (one.problem.name, one.subject) for one in view.peer_problems
    }


def _has_moved_back(met: Recent, view: View) -> bool:
    return view.overlay_addr == _said(met, "old")


def _has_our_address(_met: Recent, view: View) -> bool:
    return view.outcome is not None and view.outcome.lost_to(view.name) is None


_RULES: Mapping[str, Callable[[Recent, View], bool]] = {
    problems.NOBODY.name: _somebody_answers,
    problems.OTHER_KEY.name: _has_the_right_key,
    problems.STRANGER.name: _has_the_right_key,
    problems.NOT_READ.name: _has_our_primary_key,
    problems.UDP_BLOCKED.name: _reached_by_udp,
    problems.TALKS_ELSEWHERE.name: _announces_another,
    problems.WE_TALK_ELSEWHERE.name: _all_answer_us,
    problems.ADDRESS_HERE.name: _is_elsewhere,
    problems.MOVED.name: _has_moved_back,
    problems.OVERLAY_FULL.name: _has_our_address,
    problems.NO_PEER.name: _is_a_peer,
    **{
        one.name: _is_not_objected_to
        for one in (
            problems.SAME_ADDRESS,
            problems.SAME_NETWORK,
            problems.REFUSED_NETWORK,
            problems.FIXED_ADDRESS,
            problems.METADATA_FORMAT,
            problems.OTHER_CASE,
            problems.HOSTS_LINE,
            problems.DOTTED_NAME,
        )
    },
}
