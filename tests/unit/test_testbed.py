"""What tests and scripts share knows neither of them, and they share nothing else."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OF_SCRIPTS = {"test_swarm.py"}  # tests of a bench itself, as some units and simulations are


def imported(file: Path) -> set[str]:
    return set(re.findall(r"^\s*(?:from|import) ((?:tests|scripts)[\w.]*)", file.read_text(), re.M))


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert found
    return found


@pytest.mark.parametrize("file", files("tests/testbed"), ids=lambda file: file.name)
def test_the_testbed_stands_on_the_program_alone(file: Path) -> None:
    assert {one for one in imported(file) if not one.startswith("tests.testbed")} == set()


@pytest.mark.parametrize("file", files("scripts"), ids=lambda file: file.name)
def test_scripts_use_of_the_tests_only_the_testbed(file: Path) -> None:
    of_tests = {one for one in imported(file) if one.startswith("tests")}

    assert {one for one in of_tests if not one.startswith("tests.testbed")} == set()


@pytest.mark.parametrize("layer", ["lab", "integration", "interop"])
def test_no_layer_uses_scripts(layer: str) -> None:
    using = {
        file.name for file in files(f"tests/{layer}") for one in imported(file) if "scripts" in one
    }

    assert using <= OF_SCRIPTS
