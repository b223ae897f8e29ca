"""What `scripts/mutate` makes of a file."""

import ast
from pathlib import Path

import pytest

from scripts.mutating.mutants import mutants_of, mutated


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
def test_a_mistake_is_made_where_it_can_be(tmp_path: Path, source: str, mistake: str, wrong: str):
    assert mutants_of_text(tmp_path, source)[mistake] == wrong


def test_what_only_says_types_or_explains_stays_as_it_is(tmp_path: Path):
    text = '@decorated(1)\ndef f(a: dict[1, 2]) -> list[3]:\n    """Return 4."""\n'

    assert mutants_of_text(tmp_path, text) == {}


def test_each_mutant_differs_from_the_file_in_one_place(tmp_path: Path):
    path = tmp_path / "rules.py"
    path.write_text("def f(a, b):\n    return a < b or a > b + 1\n")

    trees = {ast.unparse(mutated(one)) for one in mutants_of(path)}

    assert len(trees) == len(mutants_of(path)) == 6
    assert ast.unparse(ast.parse(path.read_text())) not in trees
