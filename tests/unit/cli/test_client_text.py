import pytest

from wesher.cli.client import duration, facts, milliseconds, size
from wesher.system.terminal import Screen


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.0s"),
        (9.94, "9.9s"),
        (9.99, "10s"),
        (10.0, "10s"),
        (59.4, "59s"),
        (59.9, "1m00s"),
        (192.0, "3m12s"),
        (3599.9, "1h00m"),
        (3600.0, "1h00m"),
        (45296.0, "12h34m"),
        (86399.0, "23h59m"),
        (187200.0, "2d04h"),
        (86400.0 * 400, "400d00h"),
    ],
)
def test_durations_have_their_two_greatest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0B"),
        (999, "999B"),
        (1000, "0.98KiB"),
        (1024, "1.00KiB"),
        (12_345, "12.1KiB"),
        (1_234_567, "1.18MiB"),
        (5 * 1024**3, "5.00GiB"),
        (7000 * 1024**4, "7000TiB"),
    ],
)
def test_sizes_have_three_digits(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.000421, "0.42ms"), (0.0123, "12.3ms"), (1.5, "1500ms")],
)
def test_round_trips_are_in_milliseconds(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text


def test_facts_have_their_names_in_a_column() -> None:
    assert list(facts([("a", "1"), ("bcd", "2")])) == ["a    1", "bcd  2"]


def test_long_facts_are_wrapped_with_their_indent() -> None:
    said = "the quick brown fox jumps over the lazy dog"

    assert list(facts([("a", said), ("bcd", "2")], Screen(30))) == [
        "a    the quick brown fox jumps",
        "     over the lazy dog",
        "bcd  2",
    ]
