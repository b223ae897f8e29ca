"""The command line of `scripts/generate`."""

import sys
from pathlib import Path

from scripts.generating import completions, diagrams, images, manual, texts

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"


def generated() -> dict[Path, str]:
    """Map each file that is made from a table of the program to its text."""
    readme, options = ROOT / "README.md", ROOT / "docs/options.md"
    architecture = ROOT / "docs/architecture.md"
    return {
        PACKAGING / "wesher.toml": texts.wesher_toml(),
        PACKAGING / "man/wesher.8": manual.wesher_8(),
        PACKAGING / "man/wesher.toml.5": manual.wesher_toml_5(),
        PACKAGING / "completions/wesher": completions.completion("bash"),
        PACKAGING / "completions/_wesher": completions.completion("zsh"),
        PACKAGING / "completions/wesher.fish": completions.completion("fish"),
        ROOT / "tests/unit/cli/help.txt": texts.helps(),
        readme: texts.with_commands(readme.read_text()),
        options: texts.with_options(options.read_text()),
        architecture: diagrams.with_diagrams(architecture.read_text()),
    }


def main() -> int:
    if "--images" in sys.argv[1:]:
        for path in images.draw(ROOT / "docs/images"):
            print(f"wrote {path.relative_to(ROOT)}")
    stale = {path: text for path, text in generated().items() if _differs(path, text)}
    for path, text in stale.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


if __name__ == "__main__":
    sys.exit(main())
