"""A host's own key: what it signs is its own, and nobody else's."""

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wesher.mesh.base.identity import MEMBER, Identity, _raw, fingerprint, is_signed, statement

ALICE, BOB = Identity(bytes(range(32))), Identity(bytes(range(1, 33)))


def test_a_statement_holds_its_kind_the_version_and_each_field_after_its_length() -> None:
    expected = b"wesher/member\x01" + b"\x00\x03web" + b"\x00\x00" + b"\x00\x02ab"

    assert statement(MEMBER, b"web", b"", b"ab") == expected


def test_a_signature_is_that_of_ed25519_over_the_statement() -> None:
    signature = ALICE.sign(MEMBER, b"web", b"meta")

    Ed25519PublicKey.from_public_bytes(ALICE.public_key).verify(
        signature, b"wesher/member\x01\x00\x03web\x00\x04meta"
    )
    assert is_signed(ALICE.public_key, signature, MEMBER, b"web", b"meta")


@pytest.mark.parametrize(
    "said",
    [
        (ALICE.public_key, MEMBER, b"web2", b"meta"),
        (ALICE.public_key, MEMBER, b"web", b"metb"),
        (ALICE.public_key, MEMBER, b"webm", b"eta"),
        (ALICE.public_key, b"wesher/trust", b"web", b"meta"),
        (BOB.public_key, MEMBER, b"web", b"meta"),
        (bytes(31), MEMBER, b"web", b"meta"),
        (b"\xff" * 32, MEMBER, b"web", b"meta"),
    ],
)
def test_it_is_good_for_nothing_else(said: tuple[bytes, ...]) -> None:
    key, *rest = said

    assert not is_signed(key, ALICE.sign(MEMBER, b"web", b"meta"), *rest)


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), bytes(65)])
def test_what_is_no_signature_is_none(signature: bytes) -> None:
    assert not is_signed(ALICE.public_key, signature, MEMBER, b"web")


def test_the_same_secret_makes_the_same_identity_and_signature() -> None:
    again = Identity(bytes(range(32)))

    assert (again.public_key, again.sign(MEMBER)) == (ALICE.public_key, ALICE.sign(MEMBER))


def test_people_tell_identities_by_sixteen_digits() -> None:
    assert fingerprint(ALICE.public_key) == ALICE.fingerprint == "00b7fc4408fb392b"
    assert BOB.fingerprint != ALICE.fingerprint


def test_the_secret_is_not_shown() -> None:
    assert repr(bytes(range(32))) not in repr(ALICE)


class OldKey:
    """A public key as Debian 12's library has it."""

    def public_bytes(self, encoding: Encoding, form: PublicFormat) -> bytes:
        return ALICE.public_key if (encoding, form) == (Encoding.Raw, PublicFormat.Raw) else b""


def test_a_public_key_is_told_by_an_older_library_as_well() -> None:
    assert _raw(OldKey()) == ALICE.public_key


def test_where_the_library_tells_it_itself_nothing_is_imported_for_that() -> None:
    package = "cryptography.hazmat.primitives.serialization"
    story = (
        "import sys; from wesher.mesh.base.identity import Identity;"
        f"assert len(Identity(bytes(32)).public_key) == 32; print({package!r} in sys.modules)"
    )

    printed = subprocess.run(
        [sys.executable, "-c", story], capture_output=True, text=True, check=True
    ).stdout

    assert printed.strip() == str(not hasattr(Ed25519PublicKey, "public_bytes_raw"))
