"""The invitations of one agent on disk, beside its state file and as private (mode 0600).

What is kept is the key derived from each token's secret, not the secret: no token can be made of
it again. It would redeem one, though, and is kept as it is: a hash of it could not open what the
new host seals, and whoever reads this file reads the cluster key beside it, which is worth more.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from wesher.base.errors import StartError
from wesher.mesh.base.invitation import Invitation, Use
from wesher.system import files

_VERSION = 1
_KEY_SIZE = 32  # bytes


class InvitationFile:
    """The file of one interface; all methods block on the disk.

    Only the holder of the interface's lock may use it. Its name has another ending than state
    files have: `wg.invitations.json` would be the state of an interface of that name.
    """

    def __init__(self, state_dir: Path, interface: str) -> None:
        self.path = state_dir / f"{interface}.invitations"

    def load(self) -> tuple[Invitation, ...]:
        """Return what was saved; nothing, and a warning, when that cannot be read."""
        try:
            return _decode(files.read(self.path))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            told = files.reason(error) if isinstance(error, OSError) else "it is damaged"
            logger.warning(
                "cannot read {path}: {reason}; the invitations of before are void",
                path=self.path,
                reason=told,
            )
            return ()

    def save(self, invitations: Sequence[Invitation]) -> None:
        """Replace what was saved; raises StartError, with the earlier file in its place."""
        try:
            files.make_directory(self.path.parent, 0o700)
            temporary = self.path.with_name(self.path.name + ".tmp")
            files.replace(self.path, _encode(invitations), temporary, 0o600)
        except OSError as error:
            raise StartError(f"cannot save {self.path}: {files.reason(error)}") from error

    def discard(self) -> None:
        """Forget all: they were into another mesh. Raises StartError when that fails."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StartError(f"cannot remove {self.path}: {files.reason(error)}") from error


def _encode(invitations: Sequence[Invitation]) -> bytes:
    document = {"Version": _VERSION, "Invitations": [_encoded(one) for one in invitations]}
    return json.dumps(document, indent=2).encode()


def _encoded(one: Invitation) -> dict[str, object]:
    used = [
        {
            "Name": use.name,
            "Addr": use.ip,
            "At": use.at,
            "Proof": use.proof.hex(),
            "Identity": use.identity,
        }
        for use in one.used
    ]
    return {
        "Id": one.id,
        "Key": one.key.hex(),
        "MadeAt": one.made_at,
        "ExpiresAt": one.expires_at,
        "Uses": one.uses,
        "Used": used,
        "WithdrawnAt": one.withdrawn_at,
    }


def _decode(content: bytes) -> tuple[Invitation, ...]:
    document = json.loads(content)
    if document["Version"] != _VERSION:
        raise ValueError("another version")
    return tuple(_decoded(one) for one in document["Invitations"])


def _decoded(one: Mapping[str, Any]) -> Invitation:
    key, withdrawn_at = bytes.fromhex(one["Key"]), one["WithdrawnAt"]
    if len(key) != _KEY_SIZE:
        raise ValueError("no key of 32 bytes")
    used = tuple(
        Use(
            str(use["Name"]),
            str(use["Addr"]),
            int(use["At"]),
            bytes.fromhex(use["Proof"]),
            str(use["Identity"]),
        )
        for use in one["Used"]
    )
    return Invitation(
        str(one["Id"]),
        key,
        int(one["MadeAt"]),
        int(one["ExpiresAt"]),
        int(one["Uses"]),
        used,
        None if withdrawn_at is None else int(withdrawn_at),
    )
