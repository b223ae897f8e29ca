"""WireGuard's keys, as `wg` would make them: apart, since few who read the interface need this."""

import base64

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def generate_private_key() -> str:
    """Return a new private key in base64, as `wg genkey` would."""
    key = X25519PrivateKey.generate()
    return base64.b64encode(
        key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    ).decode()


def public_key_of(private_key: str) -> str:
    """Return the public key in base64 that belongs to a private one."""
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key)).public_key()
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
