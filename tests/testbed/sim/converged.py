"""Members that know each other from the start, however many they are: nobody has told anybody.

All tables hold the same records, so that a member which knows another one costs some 40 bytes.
"""

from collections.abc import Sequence
from random import Random

from wesher.gossip import Gossip, Member
from wesher.mesh.node import MeshNode
from wesher.mesh.planning.planner import _Judged

_ORDERS = 64  # orders of probing that are shuffled; each member begins somewhere in one of them


def names_of(number: int) -> list[str]:
    """Return as many names."""
    return [f"node{index:05}" for index in range(number)]


def introduce(gossips: Sequence[Gossip], rng: Random) -> None:
    """Let all of `gossips`, that have just announced themselves, know each other."""
    table = {member.name: member for gossip in gossips if (member := gossip.local)}
    orders = [rng.sample(list(table), len(table)) for _ in range(min(_ORDERS, len(table)))]
    for gossip in gossips:
        order, start = rng.choice(orders), rng.randrange(len(table))
        _fill(gossip, table, order[start:] + order[:start])
        say_nothing(gossip)


def let_rest(nodes: Sequence[MeshNode], now: float) -> None:
    """Let nodes that have been introduced look for nobody, and plan anew.

    All judge the others alike, having the same settings, so that two of them judge for all.
    """
    judged: dict[str, _Judged] = {}
    for node in nodes:
        discovery = node._coordinator.discovery
        discovery._join_retry.answered()
        node._act(node._coordinator._do(discovery.mind_company(now), now), now)
        planner = node._overlay._planner
        if len(judged) == len(nodes):
            name = node._settings.name
            assert node._overlay._local, f"{name} is to be planned for"
            planner._basis = (node._overlay._local, node._facts)
            planner._judged = {other: judged[other] for other in judged if other != name}
            planner._undisputed = None
        node._act(node._reviews.review(node._facts, node._here, now), now)
        judged |= planner._judged


def _fill(gossip: Gossip, table: dict[str, Member], order: list[str]) -> None:
    """Do what `Members.put` would do with each record, in a millisecond for 10,000."""
    members = gossip.members
    members._by_name = table.copy()
    members._order = order
    others = len(table) - (members._local_name in table)
    members.live_remotes = members.alive_remotes = others


def say_nothing(gossip: Gossip) -> None:
    """Forget the announcement, which everybody has heard."""
    broadcasts = gossip._context.broadcasts
    while len(broadcasts):
        broadcasts.take(space=1 << 20, limit=1)
    while broadcasts.eager_waiting:
        broadcasts.take_eagerly(1 << 20)
