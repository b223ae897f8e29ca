"""What a node has counted and met since its start, as one value: for `metrics` and `doctor`."""

from collections.abc import Mapping, Sequence

from wesher.base.frozen import frozen
from wesher.gossip import DropReason
from wesher.gossip.codec import MessageType
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.operator_log import Recent
from wesher.mesh.reporting.network_warnings import UnknownSource


@frozen
class NodeStats:
    """Counts since the start; `strangers` and `troubles` are those of the last ten minutes.

    `objections` are what is wrong with members at this moment.
    """

    health: int
    suspicions: int
    refutations: int
    received: Mapping[MessageType, int]
    sent: Mapping[MessageType, int]
    dropped: Mapping[DropReason, int]
    strangers: Sequence[UnknownSource]
    problems: Sequence[Recent]
    peer_problems: Sequence[Warn]
