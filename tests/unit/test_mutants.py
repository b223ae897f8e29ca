"""What `scripts/mutate` makes of a file, and of the page that explains what no test notices."""

import ast
from pathlib import Path

import pytest

from scripts.mutating.__main__ import EXPLAINED, FILES, GOSSIP
from scripts.mutating.explained import beginning, is_explained, rows_of, stale
from scripts.mutating.mutants import Mutant, mutants_of, mutated


def mutants_of_text(tmp_path: Path, text: str) -> dict[str, str]:
    """Map each mistake to the file with it."""
    path = tmp_path / "rules.py"
    path.write_text(text)
    return {one.mistake: ast.unparse(mutated(one)) for one in mutants_of(path)}


@pytest.mark.parametrize(
    ("source", "mistake", "wrong"),
    [
        ("a < b", "Lt became LtE", "a <= b"),
        ("a is None", "Is became IsNot", "a is not None"),
        ("a and b", "And became Or", "a or b"),
        ("not a", "not was dropped", "a"),
        ("a + b", "Add became Sub", "a - b"),
        ("f(7)", "7 became 8", "f(8)"),
        ("f(True)", "True became False", "f(False)"),
        ("f(a)", "statement was dropped", "pass"),
        ("min(a, b)", "min became max", "max(a, b)"),
        ("a.b = c", "statement was dropped", "pass"),
        ("a += b", "Add became Sub", "a -= b"),
        ("if a:\n    b", "condition was negated", "if not a:\n    b"),
        ("def f():\n    return a", "nothing was returned", "def f():\n    return None"),
    ],
)
def test_a_mistake_is_made_where_it_can_be(
    tmp_path: Path, source: str, mistake: str, wrong: str
) -> None:
    assert mutants_of_text(tmp_path, source)[mistake] == wrong


def test_what_only_says_types_or_explains_stays_as_it_is(tmp_path: Path) -> None:
    text = '@decorated(1)\ndef f(a: dict[1, 2]) -> list[3]:\n    """Return 4."""\n'

    assert mutants_of_text(tmp_path, text) == {}


def test_each_mutant_differs_from_the_file_in_one_place(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text("def f(a, b):\n    return a < b or a > b + 1\n")

    trees = {ast.unparse(mutated(one)) for one in mutants_of(path)}

    assert len(trees) == len(mutants_of(path)) == 6
    assert ast.unparse(ast.parse(path.read_text())) not in trees


def test_a_mutant_tells_in_which_function_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text("A = 1\n\ndef outer():\n    def inner():\n        f(2)\n    f(3)\n")

    functions = {one.mistake: one.function for one in mutants_of(path) if "became" in one.mistake}

    assert functions == {"1 became 2": "module", "2 became 3": "inner", "3 became 4": "outer"}


PAGE = """
| file | in | source | mistake | why |
|---|---|---|---|---|
| rules.py | f | `x = 1` | 1 became 2 | any number will do |
"""


def one_in(function: str, mistake: str = "1 became 2", number: int = 0) -> Mutant:
    return Mutant(Path("rules.py"), number, 1, function, mistake, "x = 1")


@pytest.mark.parametrize(
    ("mutant", "explained"),
    [(one_in("f"), True), (one_in("g"), False), (one_in("f", "11 became 12"), False)],
    ids=["same", "elsewhere", "another mistake"],
)
def test_a_row_explains_the_mistake_that_it_names(mutant: Mutant, explained: bool) -> None:
    assert is_explained(mutant, rows_of(PAGE)) is explained


ONE, TWIN = one_in("f"), one_in("f", number=1)


@pytest.mark.parametrize(
    ("known", "tried", "survivors", "is_stale"),
    [
        ({ONE}, {ONE}, {ONE}, False),
        ({ONE}, {ONE}, set(), True),
        ({ONE}, set(), set(), False),
        (set(), set(), set(), True),
        ({ONE, TWIN}, {ONE, TWIN}, {TWIN}, False),
        ({ONE, TWIN}, {ONE}, set(), False),
    ],
    ids=["survives", "killed", "not tried", "gone", "one of two survives", "one of two not tried"],
)
def test_a_row_is_stale_if_nothing_it_names_survives(
    known: set[Mutant], tried: set[Mutant], survivors: set[Mutant], is_stale: bool
) -> None:
    rows = rows_of(PAGE)

    assert stale(rows, known, tried, survivors) == (rows if is_stale else [])


def test_the_page_names_only_mistakes_that_can_be_made() -> None:
    beginnings = [beginning(one) for name in FILES for one in mutants_of(GOSSIP / f"{name}.py")]

    rows = rows_of(EXPLAINED.read_text())

    assert len(rows) > 0
    assert [row for row in rows if not row.startswith(tuple(beginnings))] == []
