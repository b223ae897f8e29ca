"""The page of `wesher map` in a real browser: it works, tells everybody, needs nothing else."""

import json
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.browser import Browser, find_browser
from tests.testbed.meshes import example
from wesher.base.frozen import replace
from wesher.survey.page import page
from wesher.survey.survey import Survey
from wesher.survey.verdict import verdict

pytestmark = pytest.mark.skipif(
    find_browser() is None and os.environ.get("CI") != "true", reason="needs chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def opened(browser: Browser, survey: Survey, tmp_path: Path, *, dark: bool = False) -> None:
    file = tmp_path / "map.html"
    file.write_text(page(survey))
    browser.complaints.clear()
    browser.open(file, dark=dark)


def violations(browser: Browser) -> list[Any]:
    """Return what axe-core has against the page."""
    browser.evaluate((files("axe_core_python") / "axe.min.js").read_text() + ";0")
    told = browser.evaluate("axe.run().then((found) => JSON.stringify(found.violations))")
    found: list[Any] = json.loads(told)
    return found


def text_of(browser: Browser, element: str) -> str:
    return str(browser.evaluate(f"document.getElementById('{element}').textContent"))


@pytest.mark.parametrize(
    ("count", "dark"), [(3, False), (3, True), (30, False), (30, True), (300, False)]
)
def test_nobody_is_shut_out_and_the_console_is_empty(
    browser: Browser, tmp_path: Path, count: int, dark: bool
) -> None:
    opened(browser, example(count), tmp_path, dark=dark)

    assert violations(browser) == []
    assert browser.complaints == []
    assert browser.evaluate("performance.getEntriesByType('resource').length") == 0
    assert browser.evaluate("document.querySelectorAll('.node').length") == count


def test_the_slider_goes_back_through_the_last_hour_by_keys(
    browser: Browser, tmp_path: Path
) -> None:
    opened(browser, example(30), tmp_path)

    assert "failed" in browser.evaluate("document.querySelectorAll('.node')[29].className.baseVal")
    browser.press("Tab")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.id") == "ago"
    for _ in range(80):
        browser.press("ArrowLeft")

    assert "13 min 20 s ago" in text_of(browser, "told")
    assert "alive" in browser.evaluate("document.querySelectorAll('.node')[29].className.baseVal")
    assert browser.evaluate("document.getElementById('ago').ariaValueText") == text_of(
        browser, "told"
    )


def test_each_cell_of_a_large_mesh_is_told_by_arrow_keys(browser: Browser, tmp_path: Path) -> None:
    opened(browser, example(300), tmp_path)

    browser.evaluate("document.getElementById('canvas').focus()")
    for key in ("ArrowDown", "ArrowDown", *["ArrowRight"] * 4):
        browser.press(key)

    assert text_of(browser, "cell") == "node3 to node5: silent"
    assert browser.complaints == []


def test_the_reader_chooses_dark_or_light(browser: Browser, tmp_path: Path) -> None:
    opened(browser, example(3), tmp_path)
    colour = "getComputedStyle(document.body).backgroundColor"
    before = browser.evaluate(colour)

    browser.evaluate("document.getElementById('theme').click()")

    assert (before, browser.evaluate(colour)) == ("rgb(255, 255, 255)", "rgb(22, 24, 28)")
    assert violations(browser) == []


def test_what_a_member_calls_itself_is_text_and_nothing_else(
    browser: Browser, tmp_path: Path
) -> None:
    evil = "</script><img src=x onerror=console.error(1)>[[DATA]]\u2028'\"&"
    survey = example(3)
    members = [*survey.matrix.members[:2], replace(survey.matrix.members[2], name=evil)]
    matrix = replace(survey.matrix, members=members)
    opened(browser, replace(survey, matrix=matrix, verdict=verdict(matrix)), tmp_path)

    assert browser.complaints == []
    assert browser.evaluate("document.images.length") == 0
    assert evil in text_of(browser, "members")
