"""Tokens: one word, read as it was written, and refused when anything of it has changed."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wesher.base.addresses import Address
from wesher.mesh.invitations import SECRET_SIZE, Token, derive, read_token, written

IPS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ADDRESSES = st.builds(Address, IPS, st.integers(1, 65535))
TOKENS = st.builds(
    Token,
    st.lists(ADDRESSES, min_size=1, max_size=3).map(tuple),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=SECRET_SIZE, max_size=SECRET_SIZE),
)
USUAL = Token((Address("192.0.2.1", 7946),), 1_800_000_000, bytes(range(SECRET_SIZE)))
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz-_=. é"


@given(TOKENS)
def test_what_is_written_is_read(token: Token) -> None:
    assert read_token(written(token)) == token


def test_the_usual_one_is_a_short_word_without_look_alikes() -> None:
    word = written(USUAL)

    assert len(word) == 58
    assert not set("iolu") & set(word.partition("-")[2])


@given(st.text())
def test_whatever_is_pasted_is_read_or_refused(text: str) -> None:
    for word in (text, f"wesher1-{text}"):
        with suppress(ValueError):
            read_token(word)


def test_case_blanks_and_look_alikes_do_not_matter() -> None:
    word = written(USUAL)
    letters = word.partition("-")[2].replace("0", "O").replace("1", "l")

    assert read_token(f" wesher1-{letters[:20]}\n  {letters[20:].upper()}\n") == USUAL


def test_any_other_letter_anywhere_is_noticed() -> None:
    word = written(USUAL)
    for at in range(len(word)):
        for letter in LETTERS:
            changed = f"{word[:at]}{letter}{word[at + 1 :]}"
            if same(changed, word):
                continue
            with pytest.raises(ValueError, match=r"the token is damaged|no token|another version"):
                read_token(changed)


def same(changed: str, word: str) -> bool:
    """Tell whether it is the same word to a person."""
    prefix, _, letters = changed.strip().lower().partition("-")
    return f"{prefix}-{letters.translate(str.maketrans('oil', '011'))}" == word


def test_any_bit_of_the_word_is_noticed() -> None:
    word = written(USUAL).encode()
    for bit in range(8 * len(word)):
        flipped = bytearray(word)
        flipped[bit // 8] ^= 1 << bit % 8
        changed = flipped.decode("ascii", "replace")
        if same(changed, word.decode()):
            continue
        with pytest.raises(ValueError):  # noqa: PT011 -- which text it is, others test
            read_token(changed)


@pytest.mark.parametrize("size", range(len(written(USUAL))))
def test_what_was_cut_off_is_noticed(size: int) -> None:
    word = written(USUAL)
    for cut in (word[:size], word[len(word) - size :]):
        with pytest.raises(ValueError, match=r"damaged|no token|is empty"):
            read_token(cut)


def test_two_letters_that_changed_places_are_noticed() -> None:
    word = written(USUAL)
    for at in range(len("wesher1-"), len(word) - 1):
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if swapped != word:
            with pytest.raises(ValueError, match="damaged"):
                read_token(swapped)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the token is empty"),
        ("hello", "no token: one begins with wesher1-"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "no token"),
        ("wesher2-abc", "of another version"),
        ("wesher1-", "damaged"),
        ("wesher1-" + "0" * 4096, "damaged"),
    ],
)
def test_what_is_no_token_is_told_so(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as raised:
        read_token(text)
    assert not text or len(text) < 9 or text not in str(raised.value)


@pytest.mark.parametrize(
    "token",
    [
        Token((), 0, bytes(SECRET_SIZE)),
        Token(USUAL.addresses * 4, 0, bytes(SECRET_SIZE)),
        Token(USUAL.addresses, 0, bytes(8)),
    ],
)
def test_what_is_none_is_not_written(token: Token) -> None:
    with pytest.raises(ValueError, match="a token has"):
        written(token)


def test_id_and_key_come_from_the_secret_alone() -> None:
    name, key = derive(USUAL.secret)

    assert derive(USUAL.secret) == (name, key)
    assert (len(name), len(key)) == (8, 32)
    assert derive(bytes(SECRET_SIZE)) != (name, key)


def test_the_secret_is_not_shown() -> None:
    assert USUAL.secret.hex() not in repr(USUAL)
    assert repr(USUAL.secret) not in repr(USUAL)
