"""Value classes behave as frozen dataclasses with slots do."""

import copy
import pickle
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from wesher.base.frozen import EMPTY, fields, frozen, replace


@frozen
class Point:
    """A place."""

    x: int
    y: int = 0

    @property
    def far(self) -> int:
        return self.x + self.y


@frozen
class Pixel:
    x: int
    y: int = 0


@frozen
class Nothing:
    pass


@frozen(hidden=("key",), uncompared=("source",))
class Login:
    key: str
    user: str = ""
    source: str = ""
    others: Mapping[str, int] = EMPTY


def test_fields_are_given_by_place_or_name_and_may_have_defaults() -> None:
    assert (Point(1).x, Point(1).y) == (1, 0)
    assert Point(x=1, y=2) == Point(1, 2)


@pytest.mark.parametrize("given", [(), (1, 2, 3)])
def test_what_is_missing_or_too_much_is_an_error(given: tuple[int, ...]) -> None:
    with pytest.raises(TypeError):
        Point(*given)


def test_values_are_equal_when_kind_and_fields_are() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    others: list[object] = [Pixel(1, 2), (1, 2)]
    assert Point(1, 2) not in others
    assert Nothing() == Nothing()


def test_equal_values_have_one_hash() -> None:
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2


def test_nothing_can_be_set_or_deleted() -> None:
    point = Point(1)

    for change in (
        partial(setattr, point, "x", 2),
        partial(setattr, point, "new", 2),
        partial(delattr, point, "x"),
    ):
        with pytest.raises(AttributeError, match="Point is frozen"):
            change()
    assert point == Point(1)
    assert not hasattr(point, "__dict__")


def test_it_shows_what_it_holds() -> None:
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    assert repr(Nothing()) == "Nothing()"


def test_what_is_hidden_is_not_shown() -> None:
    assert (
        repr(Login("secret", "alpha")) == "Login(user='alpha', source='', others=mappingproxy({}))"
    )


def test_what_is_not_compared_makes_no_difference() -> None:
    assert Login("a", source="b") == Login("a", source="c")
    assert hash(Pixel(1)) == hash(Pixel(1, 0))
    assert Login("a", "b") != Login("a", "c")


def test_a_wrong_call_names_class_and_field() -> None:
    nothing: dict[str, int] = {}

    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing .* 'x'"):
        Point(**nothing)


def test_a_match_takes_fields_by_place() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_methods_and_words_are_kept() -> None:
    assert Point(1, 2).far == 3
    assert Point.__doc__ == "A place."
    assert Point.__module__ == __name__


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_copies_are_equal(again: Callable[[object], object]) -> None:
    assert again(Point(1, 2)) == Point(1, 2)


def test_a_value_like_another_but_for_what_changes() -> None:
    assert replace(Point(1, 2), y=3) == Point(1, 3)
    with pytest.raises(TypeError):
        replace(Point(1, 2), z=3)


def test_fields_by_name() -> None:
    assert fields(Point(1, 2)) == {"x": 1, "y": 2}


@frozen(once=("area",))
class Board:
    width: int
    height: int = 1

    @property
    def area(self) -> int:
        assert self.width >= 0, "no board is less than nothing"
        return self.width * self.height


def test_what_is_computed_once_is_kept_and_no_field() -> None:
    board = replace(Board(2), height=3)

    assert (board.area, replace(board, width=1).area) == (6, 3)
    assert board == Board(2, 3)
    assert fields(board) == {"width": 2, "height": 3}
    assert repr(board) == "Board(width=2, height=3)"
    assert pickle.loads(pickle.dumps(board)).area == 6
    with pytest.raises(AttributeError, match="Board is frozen"):
        partial(setattr, board, "area", 7)()


def test_what_is_computed_once_is_computed_at_once() -> None:
    with pytest.raises(AssertionError):
        Board(-1)
