"""Who is let in: uses, ends, repeats, and what is remembered of them."""

import pytest

from wesher.base.frozen import replace
from wesher.mesh.base.invitation import Invitation, Standing, Use
from wesher.mesh.invitations import MAX_OPEN, Book, Reason, is_repeated, verdict
from wesher.mesh.invitations.book import KEPT, MAX_KEPT

NOW = 1_800_000_000
ONE = Invitation("abcdefgh", bytes(32), NOW, NOW + 3600, 2)


def use(name: str, at: int = NOW) -> Use:
    return Use(name, "192.0.2.7", at, name.encode(), "0" * 16)


def used(*names: str) -> Invitation:
    book = Book((ONE,))
    for name in names:
        book = book.redeemed(ONE.id, use(name))
    [found] = book.invitations
    return found


def test_it_lets_in_as_many_as_it_is_for() -> None:
    assert verdict(ONE, b"a", NOW) is None
    assert verdict(used("a"), b"b", NOW) is None
    assert verdict(used("a", "b"), b"c", NOW) is Reason.USED
    assert used("a", "b").left == 0


def test_whose_answer_was_lost_asks_again_for_nothing() -> None:
    full = used("a", "b")

    assert verdict(full, b"b", NOW) is None
    assert is_repeated(full, b"b")
    assert not is_repeated(full, b"c")


@pytest.mark.parametrize(
    ("at", "why"),
    [(NOW + 3599, None), (NOW + 3600, Reason.EXPIRED), (NOW + 10**6, Reason.EXPIRED)],
)
def test_it_ends_by_the_clock(at: int, why: Reason | None) -> None:
    assert verdict(ONE, b"a", at) is why
    assert verdict(used("a"), b"a", at) is why, "a repeat comes too late as well"


def test_what_was_withdrawn_lets_nobody_in() -> None:
    [gone] = Book((used("a"),)).withdrawn([ONE.id], NOW + 5).invitations

    assert gone.standing(NOW) is Standing.WITHDRAWN
    assert verdict(gone, b"b", NOW) is Reason.WITHDRAWN
    assert verdict(gone, b"a", NOW) is Reason.WITHDRAWN


def test_a_book_is_not_changed_but_replaced() -> None:
    book = Book((ONE,))
    book.redeemed(ONE.id, use("a"))
    book.withdrawn([ONE.id], NOW)

    assert book == Book((ONE,))
    assert book.redeemed("another", use("a")) == book


def test_what_ended_is_remembered_for_a_week() -> None:
    ended = {
        "expired": ONE,
        "used up": used("a", "b"),
        "withdrawn": Book((ONE,)).withdrawn([ONE.id], NOW + 60).invitations[0],
    }
    ends = {"expired": NOW + 3600, "used up": NOW, "withdrawn": NOW + 60}
    for what, one in ended.items():
        # One that is used up goes by its expiry as soon as that is over, too.
        last = max(ends[what], NOW + 3600 if what == "used up" else 0)
        book = Book((one,))
        assert book.remembered(last + KEPT - 1) == book, what
        assert book.remembered(last + KEPT) == Book(), what


def test_too_many_at_a_time_are_refused() -> None:
    book = Book()
    for number in range(MAX_OPEN):
        book = book.issued(replace(ONE, id=str(number)), NOW)

    with pytest.raises(ValueError, match="64 invitations are open: withdraw some"):
        book.issued(ONE, NOW)
    assert book.withdrawn(["7"], NOW).issued(ONE, NOW).find(ONE.id) == ONE


def test_those_that_ended_first_give_way() -> None:
    book = Book(tuple(replace(ONE, id=str(at), withdrawn_at=NOW) for at in range(MAX_KEPT)))

    book = book.issued(ONE, NOW)

    assert len(book.invitations) == MAX_KEPT
    assert (book.find("0"), book.find("1") is None, book.find(ONE.id)) == (None, False, ONE)


def test_the_key_is_not_shown() -> None:
    secret = replace(ONE, key=bytes(range(32)))
    assert repr(secret.key) not in repr(secret)
