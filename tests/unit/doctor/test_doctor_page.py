"""docs/doctor.md has every trouble, in the words of the program."""

from pathlib import Path

from wesher.base import problems
from wesher.base.problems import Problem
from wesher.doctor import problems as found_by_doctor
from wesher.doctor.runner import CHECKS

PAGE = (Path(__file__).parents[3] / "docs/doctor.md").read_text()
PROBLEMS = [
    one
    for catalogue in (problems, found_by_doctor)
    for one in vars(catalogue).values()
    if isinstance(one, Problem)
]


def test_the_page_has_every_trouble_and_no_other() -> None:
    rows = {line for line in PAGE.splitlines() if line.startswith("| `")}

    assert rows == {f"| `{one.name}` | {one.fault} | {one.remedy} |" for one in PROBLEMS}


def test_every_check_has_its_section() -> None:
    sections = [line[4:] for line in PAGE.splitlines() if line.startswith("### ")]

    assert {word for section in sections for word in section.split(", ")} == {*CHECKS, "path-mtu"}


def test_no_two_troubles_have_one_name() -> None:
    assert len({one.name for one in PROBLEMS}) == len(PROBLEMS)
