"""The plan of the house is guarded: a circle that somebody plants is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CIRCLES = {
    "control knows the agent": ("control/status.py", "import wesher.agent.agent"),
    "the configuration knows the start": ("config/config.py", "import wesher.agent.state"),
    "one wing of the mesh knows another": (
        "mesh/planning/claims.py",
        "import wesher.mesh.reporting.status",
    ),
    "wings that stand side by side": (
        "mesh/discovery/lookup.py",
        "import wesher.mesh.reporting.status",
    ),
    "a new file beside the storeys": ("loose.py", "import wesher.cli"),
    "tools know decisions": ("system/hosts.py", "import wesher.mesh.planning.planner"),
}


def linted(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=house,
        env={"PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a copy of the program."""
    shutil.copytree(ROOT / "wesher", tmp_path / "wesher")
    for name in ("pyproject.toml", "wesher.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_the_house_is_built_as_planned(house: Path) -> None:
    done = linted(house)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("file", "planted"), CIRCLES.values(), ids=list(CIRCLES))
def test_an_import_against_the_plan_is_found(house: Path, file: str, planted: str) -> None:
    path = house / "wesher" / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{planted}\n")

    done = linted(house)

    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout or "loose" in done.stdout
