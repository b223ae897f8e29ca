"""Whoever cites a section of the specification, in code or tests, cites one that is there."""

import re
from collections.abc import Iterator

import pytest

from tests.testbed.documents import ROOT

PAGE = ROOT / "docs/spec/memberlist.md"
DECISIONS = ROOT / "docs/decisions"
SOURCES = sorted([*(ROOT / "wesher").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])

_CITATION = re.compile(r"(?P<page>spec/[\w.-]+\.md), (?P<sections>\d[\d., and\n]*)")
_DECISION = re.compile(r"\bdecision (\d+)")
_HEADING = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)[. ]", re.MULTILINE)
_LOOSE = re.compile(r"\((?:protocol|architecture|style),\s+(?:section )?\d")


def citations() -> Iterator[tuple[str, str, str]]:
    """Yield file, page and section of every citation, and each decision as a page of its own."""
    for source in SOURCES:
        where, text = str(source.relative_to(ROOT)), source.read_text()
        for match in _CITATION.finditer(text):
            for section in re.findall(r"\d+(?:\.\d+)?", match["sections"]):
                yield where, f"docs/{match['page']}", section
        for number in _DECISION.findall(text):
            yield where, "docs/decisions", number


def sections(page: str) -> set[str]:
    """Return the numbers of a page's sections, or of the decisions."""
    if page == "docs/decisions":
        return {str(int(one.name[:4])) for one in DECISIONS.glob("0*.md")}
    return set(_HEADING.findall((ROOT / page).read_text()))


@pytest.mark.parametrize("page", sorted({page for _, page, _ in citations()}))
def test_every_section_that_is_cited_is_there(page: str) -> None:
    cited = {(where, section) for where, of, section in citations() if of == page}

    assert not {(where, section) for where, section in cited if section not in sections(page)}


def test_there_are_citations() -> None:
    assert len(list(citations())) > 40


def test_nobody_cites_a_page_without_its_path() -> None:
    loose = [source for source in SOURCES if _LOOSE.search(source.read_text())]

    assert loose == []
