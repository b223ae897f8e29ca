"""What pip builds from the project holds the whole program, and what belongs to it."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]

SHARED = {
    "man/man8/wesher.8",
    "man/man5/wesher.toml.5",
    *(f"wesher/wesher{end}" for end in (".service", "@.service", ".tmpfiles", ".toml")),
}


def modules_of(tree: Path) -> set[str]:
    return {str(file.relative_to(tree)) for file in (tree / "wesher").rglob("*.py")}


def test_a_wheel_holds_every_module(tmp_path: Path) -> None:
    source, built, unpacked = tmp_path / "source", tmp_path / "built", tmp_path / "unpacked"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "wesher", source / "wesher", ignore=ignored)
    shutil.copytree(ROOT / "packaging", source / "packaging")
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, source)
    subprocess.run([*BUILD, str(built), str(source)], check=True, timeout=110)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    assert modules_of(unpacked) == modules_of(ROOT)
    (share,) = unpacked.glob("wesher-*.data/data/share")
    assert {str(file.relative_to(share)) for file in share.rglob("*.*")} >= SHARED
