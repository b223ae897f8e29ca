"""Every trouble has words for the log and for the doctor, made from the same template."""

import string

import pytest

from wesher.base import problems
from wesher.base.problems import Problem
from wesher.doctor import problems as found_by_doctor

ALL = [
    one
    for catalogue in (problems, found_by_doctor)
    for one in vars(catalogue).values()
    if isinstance(one, Problem)
]


@pytest.mark.parametrize("trouble", ALL, ids=lambda trouble: trouble.name)
def test_a_warning_is_the_fault_and_then_the_remedy(trouble: Problem) -> None:
    fields = {field for _, field, *_ in string.Formatter().parse(trouble.text) if field}
    data = {field: field.upper() for field in fields}

    fault, remedy = trouble.fault_of(data), trouble.remedy_for(data)

    assert trouble.text.format(**data) == (f"{fault}: {remedy}" if remedy else fault)


def test_troubles_are_told_apart_by_name_and_by_text() -> None:
    assert len({trouble.name for trouble in ALL}) == len(ALL)
    assert len({trouble.text for trouble in ALL}) == len(ALL)
