"""mypy reads everything: no file falls out of the check unnoticed."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHADOWED = ROOT / "wesher.py"
"""Starts the program from a checkout; mypy takes one module of a name, and the package has it."""


def python_files() -> Iterator[Path]:
    """Yield what is Python by its suffix or its first line."""
    yield from ROOT.glob("*.py")
    for folder in ("wesher", "scripts", "tests", "packaging", ".ci"):
        for path in filter(Path.is_file, (ROOT / folder).rglob("*")):
            if path.suffix == ".py" or (not path.suffix and is_script(path)):
                yield path


def is_script(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(100)
    return first.startswith(b"#!") and b"python" in first


def test_mypy_reads_every_file() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    read = [ROOT / path for path in pyproject["tool"]["mypy"]["files"]]

    unread = [
        file
        for file in python_files()
        if file != SHADOWED
        # A folder is searched for files of this suffix.
        and not any(
            file == path or (path in file.parents and file.suffix == ".py") for path in read
        )
    ]

    assert unread == []


def test_every_error_that_is_ignored_has_a_code_and_a_reason() -> None:
    ignored = [
        line.strip()
        for file in python_files()
        for line in file.read_text().splitlines()
        if "# type: " + "ignore" in line
    ]

    assert [line for line in ignored if not re.search(r"ignore\[[\w, -]+\] +# \w", line)] == []
