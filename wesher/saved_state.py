"""The state file in the mesh's terms, and back."""

from wesher.gossip import Address
from wesher.mesh.settings import Saved, SavedMember
from wesher.system.state_file import SavedNode, State


def as_saved(state: State, port: int) -> Saved:
    """Return what the mesh needs of a state; `port` is for members saved by Go, without one."""
    members = tuple(
        SavedMember(node.name, Address(node.addr, node.port or port), node.meta, node.left)
        for node in state.nodes
    )
    return Saved(state.overlay_addr, state.incarnation, members)


def as_state(key: bytes, saved: Saved) -> State:
    """Return what belongs in the state file of a member of the cluster with this key."""
    nodes = tuple(
        SavedNode(member.name, member.address.ip, member.address.port, member.meta, member.left)
        for member in saved.members
    )
    return State(key, nodes, saved.overlay_addr, saved.incarnation)
