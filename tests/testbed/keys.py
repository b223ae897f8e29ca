"""WireGuard keys to tell one another by."""

import base64


def key(number: int) -> str:
    """Return a WireGuard public key, another for every number."""
    return base64.b64encode(number.to_bytes(32, "big")).decode()
