"""docs/doctor.md has every trouble, in the words of the program."""

from pathlib import Path

from wesher import troubles as of_hosts
from wesher.doctor import troubles as of_doctor
from wesher.doctor.examination import CHECKS
from wesher.mesh import troubles as of_meshes
from wesher.troubles import Trouble

PAGE = (Path(__file__).parents[3] / "docs/doctor.md").read_text()
TROUBLES = [
    one
    for module in (of_hosts, of_meshes, of_doctor)
    for one in vars(module).values()
    if isinstance(one, Trouble)
]


def test_the_page_has_every_trouble_and_no_other():
    rows = {line for line in PAGE.splitlines() if line.startswith("| `")}

    assert rows == {f"| `{one.name}` | {one.fault} | {one.remedy} |" for one in TROUBLES}


def test_every_check_has_its_section():
    sections = [line[4:] for line in PAGE.splitlines() if line.startswith("### ")]

    assert {word for section in sections for word in section.split(", ")} == {*CHECKS, "path-mtu"}


def test_no_two_troubles_have_one_name():
    assert len({one.name for one in TROUBLES}) == len(TROUBLES)
