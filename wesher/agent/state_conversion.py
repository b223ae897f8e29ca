"""The state file in the mesh's terms, and back."""

import time

from wesher.gossip import Address
from wesher.mesh.base.settings import Former, Saved, SavedMember, Self
from wesher.mesh.base.tombstones import Tombstone
from wesher.system.state_file import SavedFormer, SavedNode, SavedSelf, SavedTombstone, State


def wall_clock_began(now: float) -> float:
    """Return the wall-clock time at which the node's clock, which tells `now`, was at 0."""
    return time.clock_gettime(time.CLOCK_REALTIME) - now


def as_saved(state: State, port: int, began: float) -> Saved:
    """Return what the mesh needs of a state.

    `port` is for members saved by Go, without one; `began` is when the node's clock was at 0.
    """
    members = tuple(
        SavedMember(
            node.name,
            Address(node.addr, node.port or port),
            node.meta,
            node.left,
            node.incarnation,
            None if node.failed_at is None else node.failed_at - began,
        )
        for node in state.nodes
    )
    tombstones = tuple(
        Tombstone(one.name, one.incarnation, one.made_at - began) for one in state.tombstones
    )
    former = None
    if state.former:
        former = Former(state.former.overlay_addr, state.former.left_at - began)
    return Saved(
        state.overlay_addr,
        state.incarnation,
        members,
        tombstones,
        state.fixed,
        former,
        Self(one.name, one.addr, one.public_key) if (one := state.this_host) else None,
    )


def as_state(key: bytes, saved: Saved, began: float) -> State:
    """Return what belongs in the state file of a member of the cluster with this key."""
    nodes = tuple(
        SavedNode(
            member.name,
            member.address.ip,
            member.address.port,
            member.meta,
            member.left,
            member.incarnation,
            None if member.failed_at is None else round(member.failed_at + began),
        )
        for member in saved.members
    )
    tombstones = tuple(
        SavedTombstone(one.name, one.incarnation, round(one.made_at + began))
        for one in saved.tombstones
    )
    former = None
    if saved.former:
        former = SavedFormer(saved.former.overlay_addr, round(saved.former.left_at + began))
    return State(
        key,
        nodes,
        saved.overlay_addr,
        saved.incarnation,
        tombstones,
        fixed=saved.fixed,
        former=former,
        this_host=SavedSelf(one.name, one.ip, one.public_key) if (one := saved.this_host) else None,
    )
