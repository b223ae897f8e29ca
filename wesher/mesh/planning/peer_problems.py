"""What is wrong with members, as far as it follows from what they say: told while it is so."""

from collections.abc import Iterator

from wesher.base import problems
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.events import Severity
from wesher.mesh.base.metadata import MetadataFormat, RejectionKind
from wesher.mesh.planning.carriers import Carriers
from wesher.mesh.planning.planner import PlanResult

PEER_REMEDIES = {
    RejectionKind.PENDING: "wait until it has told more of itself",
    RejectionKind.METADATA: "it is no wesher, or one of an unknown version: see what runs there",
    RejectionKind.NAME: "give it another --node-name",
    RejectionKind.NETWORK: "give all members the same --overlay-net",
    RejectionKind.ADDRESS: "give it another --overlay-addr, or all members another --overlay-net",
    RejectionKind.KEY: "if it is a clone of that host, start it with --fresh-key; if it is none of "
    "yours, somebody with the cluster key made it up",
    RejectionKind.ENDPOINT: "give it an --advertise-addr at which others reach it",
}


def peer_problems(outcome: PlanResult, our_format: MetadataFormat) -> Iterator[Warn]:
    """Yield who is not a peer, shares an address or a name, or cannot read `our_format`."""
    yield from _refused(outcome)
    for conflict in outcome.conflicts:
        data = {
            "winner": conflict.winner,
            "loser": conflict.loser,
            "address": conflict.address,
        }
        if conflict.fixed:
            problem, severity = problems.FIXED_ADDRESS, Severity.ERROR
        else:
            problem, severity = problems.SAME_ADDRESS, Severity.WARNING
        yield Warn(problem, conflict.loser, data, severity=severity)
    for name, unnamed in outcome.unnamed.items():
        yield Warn(unnamed.problem, name, unnamed.data)
    yield from _of_networks(outcome.carriers)
    for name, member in outcome.trusted.items():
        if not member.metadata.has_ext and member.metadata.format != our_format:
            found = {"member": name, "format": member.metadata.format}
            yield Warn(problems.METADATA_FORMAT, name, found)


def _of_networks(carriers: Carriers) -> Iterator[Warn]:
    """Yield which networks nobody takes, and which are taken from another member."""
    for offer, reason in carriers.flaws.items():
        data = {"member": offer.member, "network": offer.network, "reason": reason}
        yield Warn(problems.REFUSED_NETWORK, offer.member, data)
    for contest in carriers.contests:
        offer, holder = contest.offer, contest.holder
        if offer.live and not contest.agreed:
            lost = {"loser": offer.member, "network": offer.network}
            won = {"winner": holder.member, "other": holder.network}
            yield Warn(problems.SAME_NETWORK, offer.member, lost | won)


def _refused(outcome: PlanResult) -> Iterator[Warn]:
    for name, refusal in outcome.refusals.items():
        if refusal.kind is not RejectionKind.PENDING:
            remedy = PEER_REMEDIES[refusal.kind]
            data = {"member": name, "reason": refusal.reason, "remedy": remedy}
            yield Warn(problems.NO_PEER, name, data)
