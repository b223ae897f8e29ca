"""Which cluster keys we hold, and how a mesh comes to have another while it runs."""

from wesher.mesh.keys.confirmations import Waiting
from wesher.mesh.keys.key_rotation import KeyRotation, KeyStatus

__all__ = ["KeyRotation", "KeyStatus", "Waiting"]
