"""Keys, sealing and padding."""

import pytest

from tests.unit.gossip_wire.wires import seal
from wesher.base.errors import ProtocolError, UndecryptableError
from wesher.gossip.keyring import OVERHEAD, Keyring

A, B, C = bytes(range(32)), b"b" * 16, b"c" * 24
NONCE = b"n" * 12


@pytest.mark.case(8)
def test_the_primary_key_comes_first() -> None:
    keyring = Keyring(A, B)

    keyring.add(C)
    keyring.use(C)

    assert keyring.keys == (C, A, B)


@pytest.mark.case(8)
def test_adding_a_known_key_changes_nothing() -> None:
    keyring = Keyring(A, B)

    keyring.add(B)

    assert keyring.keys == (A, B)


@pytest.mark.case(8)
def test_using_an_unknown_key_adds_it() -> None:
    keyring = Keyring(A)

    keyring.use(B)

    assert keyring.keys == (B, A)


@pytest.mark.case(8)
def test_only_the_primary_key_seals() -> None:
    sealed = Keyring(A, B).seal(b"hello", b"", NONCE)

    assert Keyring(A).open(sealed, b"")[0] == b"hello"
    with pytest.raises(UndecryptableError):
        Keyring(B).open(sealed, b"")


@pytest.mark.case(8)
def test_a_secondary_key_opens_until_it_is_removed() -> None:
    keyring = Keyring(A, B)
    sealed = Keyring(B).seal(b"hello", b"", NONCE)

    assert keyring.open(sealed, b"")[0] == b"hello"
    keyring.remove(B)

    with pytest.raises(UndecryptableError):
        keyring.open(sealed, b"")


@pytest.mark.case(8)
def test_the_primary_key_cannot_be_removed() -> None:
    keyring = Keyring(A, B)

    with pytest.raises(ValueError, match="primary"):
        keyring.remove(A)
    keyring.remove(C)

    assert keyring.keys == (A, B)


@pytest.mark.case(8)
@pytest.mark.parametrize("size", [0, 1, 15, 17, 31, 33, 64])
def test_keys_of_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="16, 24 or 32"):
        Keyring(b"k" * size)
    with pytest.raises(ValueError, match="16, 24 or 32"):
        Keyring(A).add(b"k" * size)


@pytest.mark.case(6)
@pytest.mark.parametrize(
    ("version", "text"),
    [
        (1, "01ab4fcbba02992a56030918cf148a0d85c9cc50ef796b33d5f8d30e6b6d7afbd5e8"),
        (
            0,
            "00c945497e14d26e422bb970819ca5a4f8a687502acf0617480154b74a4f6772c3a408d2ad17428a495318e701",
        ),
    ],
)
def test_the_reference_vectors_open_and_seal(version: int, text: str) -> None:
    sealed = bytes.fromhex(text)

    assert Keyring(A).open(sealed, b"")[0] == b"hello"
    if version == 1:
        assert Keyring(A).seal(b"hello", b"", sealed[1:13]) == sealed


@pytest.mark.case(6)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 1000])
@pytest.mark.parametrize("additional", [b"", b"label"])
def test_what_is_sealed_opens_and_has_the_computed_length(size: int, additional: bytes) -> None:
    plain = b"\x01" * size

    sealed = Keyring(A).seal(plain, additional, NONCE)

    assert Keyring(A).open(sealed, additional)[0] == plain
    assert len(sealed) == size + OVERHEAD


@pytest.mark.case(6)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 1000])
@pytest.mark.parametrize("additional", [b"", b"label"])
def test_what_the_oldest_members_seal_opens(size: int, additional: bytes) -> None:
    plain = b"\x01" * size

    sealed = seal(plain, additional, key=A, version=0)

    assert Keyring(A).open(sealed, additional)[0] == plain


@pytest.mark.case(6)
def test_other_additional_data_does_not_open() -> None:
    sealed = Keyring(A).seal(b"hello", b"one", NONCE)

    with pytest.raises(UndecryptableError):
        Keyring(A).open(sealed, b"two")


@pytest.mark.case(6)
@pytest.mark.parametrize("position", [1, 12, 13, 20, -1])
def test_a_changed_byte_does_not_open(position: int) -> None:
    sealed = bytearray(Keyring(A).seal(b"hello" * 10, b"", NONCE))

    sealed[position] ^= 1

    with pytest.raises(UndecryptableError):
        Keyring(A).open(bytes(sealed), b"")


@pytest.mark.case(6)
@pytest.mark.parametrize(
    "sealed",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x01" * 28, id="too short for version 1"),
        pytest.param(b"\x00" * 44, id="too short for version 0"),
        pytest.param(b"\x02" + b"x" * 100, id="unknown version"),
    ],
)
def test_bytes_of_another_form_are_refused_without_trying_keys(sealed: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a sealed text") as caught:
        Keyring(A).open(sealed, b"")

    assert not isinstance(caught.value, UndecryptableError)


@pytest.mark.case(6)
@pytest.mark.parametrize("last", [0, 17, 255])
def test_wrong_padding_is_refused(last: int) -> None:
    # The same bytes sealed by version 1 have no padding of their own.
    sealed = Keyring(A).seal(bytes(15) + bytes([last]), b"", NONCE)

    with pytest.raises(ProtocolError, match="padding"):
        Keyring(A).open(b"\x00" + sealed[1:], b"")


@pytest.mark.case(6)
def test_padding_longer_than_the_text_is_refused() -> None:
    sealed = Keyring(A).seal(bytes([1, 9]) * 10, b"", NONCE)
    short = Keyring(A).seal(bytes(20), b"", NONCE)

    assert Keyring(A).open(b"\x00" + sealed[1:], b"")[0] == bytes([1, 9] * 5 + [1])
    with pytest.raises(ProtocolError, match="padding"):
        Keyring(A).open(b"\x00" + short[1:], b"")
