"""What an agent tells of its work, as JSON: for `wesher metrics` and `wesher doctor`."""

from collections.abc import Mapping

from wesher.config.config import as_told, renamed_to
from wesher.control.invitations import as_counts
from wesher.control.keys import stale_key
from wesher.control.status import Json, Running
from wesher.gossip import DropReason
from wesher.gossip.codec import MessageType
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.operator_log import Recent
from wesher.mesh.reporting import NodeStats
from wesher.system.reconciler import Reconciles
from wesher.system.shell import ToolCalls, tool_calls

NO_MESSAGES = frozenset(
    {
        MessageType.COMPOUND,
        MessageType.COMPRESSED,
        MessageType.ENCRYPTED,
        MessageType.CHECKSUM,
        MessageType.LABEL,
    }
)
"""Layers around messages, which are not counted."""


def as_account(running: Running, now: float) -> Json:
    """Return what this agent has counted and met, and the settings it runs with; no secrets."""
    account = running.node.account(now)
    return {
        "settings": as_told(running.config),
        "health_score": account.health,
        "suspicions": account.suspicions,
        "refutations": account.refutations,
        "denied_claims": account.denied_claims,
        "messages": _messages(account),
        "traffic": vars(running.transport.traffic),
        "dropped": {_word(reason): account.dropped.get(reason, 0) for reason in DropReason},
        "strangers": [_stranger(one, now) for one in account.strangers],
        "troubles": [_recent(one, now) for one in account.problems],
        "objections": [_objection(one) for one in account.peer_problems],
        "reconciles": _reconciles(running.reconciler.counts),
        "pending": dict(running.reconciler.problems),
        "renamed_to": renamed_to(running.config),
        "stale_key": stale_key(running),
        "tools": _tools(tool_calls),
        "invitations": as_counts(running.invitations),
    }


def _messages(account: NodeStats) -> Json:
    return {
        "received": _by_kind(account.received),
        "sent": _by_kind(account.sent),
    }


def _by_kind(counts: Mapping[MessageType, int]) -> Json:
    return {_word(kind): counts.get(kind, 0) for kind in MessageType if kind not in NO_MESSAGES}


def _stranger(stranger: Recent, now: float) -> Json:
    return {
        "address": stranger.warning.subject,
        "count": stranger.count,
        "ago": round(now - stranger.last_at, 3),
        "mended": stranger.mended,
    }


def _recent(recent: Recent, now: float) -> Json:
    told = _problem(recent.warning)
    ago = round(now - recent.last_at, 3)
    return told | {"count": recent.count, "ago": ago, "mended": recent.mended}


def _objection(objection: Warn) -> Json:
    return _problem(objection) | {"about": objection.subject}


def _problem(warning: Warn) -> Json:
    problem, data = warning.problem, warning.data
    return {
        "name": problem.name,
        "fault": problem.fault_of(data),
        "remedy": problem.remedy_for(data),
        "data": {name: str(value) for name, value in data.items()},
    }


def _reconciles(counts: Reconciles) -> Json:
    return {
        "count": counts.count,
        "seconds": round(counts.seconds, 6),
        "repairs": counts.repairs,
        "failures": dict(sorted(counts.failures.items())),
    }


def _tools(counts: ToolCalls) -> Json:
    return {
        "calls": dict(sorted(counts.calls.items())),
        "failures": dict(sorted(counts.failures.items())),
        "retries": counts.retries,
    }


def _word(kind: DropReason | MessageType) -> str:
    return kind.name.lower()
