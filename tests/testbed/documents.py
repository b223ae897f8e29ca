"""What the documentation shows: commands and files, taken out of its pages."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(?P<text>(?:sudo )?(?:wesher|systemctl|scripts/[\w-]+) [^`\n]+)`")
_ASSIGNMENT = re.compile(r"\w+=\S*")


@dataclass(frozen=True)
class Shown:
    """Something that a page shows; `language` as its fence says."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.splitlines()[0]}"


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Shown]:
    """Return the fenced blocks in these languages."""
    return [
        Shown(page, match["language"], match["text"])
        for page in pages
        for match in _BLOCK.finditer(page.read_text())
        if match["language"] in languages
    ]


def commands(pages: list[Path] = PAGES) -> list[Shown]:
    """Return all command lines: those of shell blocks, and what is quoted in between."""
    return [*typed(pages), *_quoted(pages)]


def typed(pages: list[Path]) -> list[Shown]:
    """Return the command lines of shell blocks, in their order."""
    return [
        Shown(block.page, "sh", line)
        for block in blocks("console", "sh", "", pages=pages)
        for line in _lines(block)
    ]


def _lines(block: Shown) -> Iterator[str]:
    for line in block.text.splitlines():
        if block.language == "sh" and line:
            yield line
        elif line.startswith("$ "):
            yield line.removeprefix("$ ")


def _quoted(pages: list[Path]) -> Iterator[Shown]:
    for page in pages:
        for match in _INLINE.finditer(_BLOCK.sub("", page.read_text())):
            if not re.search("[{…]", match["text"]):
                yield Shown(page, "sh", match["text"])


def words(line: str) -> list[str]:
    """Return the words of a command line, without sudo and variables set for it."""
    split = shlex.split(line)
    while split and (split[0] == "sudo" or _ASSIGNMENT.fullmatch(split[0])):
        split.pop(0)
    return split
