"""Finding others: the look before we enter, retries while nobody answers, failed members."""

from wesher.mesh.discovery.discovery import Discovery
from wesher.mesh.discovery.lookup import Lookup

__all__ = ["Discovery", "Lookup"]
