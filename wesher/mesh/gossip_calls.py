"""What the parts of the mesh want of gossip, as calls of a Gossip."""

from wesher.gossip import Gossip
from wesher.mesh.base import actions


def call(gossip: Gossip, action: actions.ForGossip, now: float) -> None:
    """Let gossip do what an action says."""
    match action:
        case actions.Exchange(to, purpose, first):
            gossip.push_pull(to, now, join=True, first=first, purpose=purpose)
        case actions.ReadTable(to, purpose):
            gossip.push_pull(to, now, join=False, look=True, purpose=purpose)
        case actions.Ping(to, name, purpose, stream):
            gossip.ping(to, name, now, stream=stream, purpose=purpose)
        case actions.ApplyAlive(claim, admitted):
            gossip.apply_alive(claim, now, moved=True, admitted=admitted)
        case actions.Admit(admission):
            gossip.admit_by(admission)
        case actions.ApplyLeft(name, incarnation):
            gossip.apply_left(name, incarnation, now)
        case actions.Broadcast(subject, payload):
            gossip.broadcast(subject, payload, now)
        case actions.HoldKeys(keys):
            gossip.keyring.replace(keys)
        case actions.KnowKeys(known):
            gossip.keyring.know(known)
        case actions.HoldBack(incarnations, strangers):
            gossip.hold_back(incarnations, strangers)
        case actions.Hide(names):
            gossip.hide(names)
        case actions.Show(name):
            gossip.show(name)
