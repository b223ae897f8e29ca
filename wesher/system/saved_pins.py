"""Pins of names as the state file has them; its other forms are in `state_file`."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from wesher.mesh.base.identity import KEY_SIZE
from wesher.mesh.base.pins import MAX_SERIAL, Pin


def encode_pins(pins: Iterable[Pin]) -> dict[str, object]:
    """Return the identities that names are for, as far as names are pinned."""
    encoded = [_encode_pin(pin) for pin in pins]
    return {"Pins": encoded} if encoded else {}


def _encode_pin(pin: Pin) -> dict[str, object]:
    told: dict[str, object] = {"Name": pin.name, "Identity": _base64(pin.identity or b"")}
    if pin.author:
        told |= {"Serial": pin.serial, "Author": _base64(pin.author)}
        told["Signature"] = _base64(pin.signature)
    return told


def decode_pin(fields: Mapping[str, Any]) -> Pin | None:
    """Read a pin, its fields in lower case; None if it is damaged: then the next one is seen."""
    name, serial = fields.get("name"), fields.get("serial", 0)
    found = [fields.get(one, "") for one in ("identity", "author", "signature")]
    try:
        identity, author, signature = (base64.b64decode(str(one), validate=True) for one in found)
    except ValueError:
        return None
    is_whole = len(identity) in (0, KEY_SIZE) and len(author) in (0, KEY_SIZE)
    if not isinstance(name, str) or not name or not is_whole:
        return None
    if type(serial) is not int or not 0 <= serial <= MAX_SERIAL:
        return None
    return Pin(name, identity or None, serial, author, signature)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
