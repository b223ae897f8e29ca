"""What the last review of the members found wrong with them, for warnings and for the doctor."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wesher.mesh import troubles
from wesher.mesh.metadata import MetadataFormat
from wesher.mesh.planning import Outcome
from wesher.mesh.refusals import RefusalKind
from wesher.troubles import Trouble


@dataclass(frozen=True, slots=True)
class Objection:
    """Trouble with the member named `about`."""

    trouble: Trouble
    about: str
    data: Mapping[str, object]


def objections(outcome: Outcome, our_format: MetadataFormat) -> Iterator[Objection]:
    """Yield who is no peer, who shares an address or a name, and who cannot read `our_format`."""
    yield from _refused(outcome)
    for conflict in outcome.conflicts:
        yield Objection(
            troubles.FIXED_ADDRESS if conflict.fixed else troubles.SAME_ADDRESS,
            conflict.loser,
            {"winner": conflict.winner, "loser": conflict.loser, "address": conflict.address},
        )
    for name, unnamed in outcome.unnamed.items():
        yield Objection(unnamed.trouble, name, unnamed.data)
    for name, member in outcome.trusted.items():
        if not member.metadata.has_ext and member.metadata.format != our_format:
            data = {"member": name, "format": member.metadata.format}
            yield Objection(troubles.METADATA_FORMAT, name, data)


def _refused(outcome: Outcome) -> Iterator[Objection]:
    for name, refusal in outcome.refusals.items():
        if refusal.kind is not RefusalKind.PENDING:
            remedy = troubles.PEER_REMEDIES[refusal.kind]
            data = {"member": name, "reason": refusal.reason, "remedy": remedy}
            yield Objection(troubles.NO_PEER, name, data)
