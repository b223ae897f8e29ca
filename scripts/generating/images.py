"""Pictures of the page that `wesher map --html` writes, of invented meshes of three sizes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.browser import Browser
from tests.testbed.meshes import example
from wesher.survey.page import page

SIZES = {3: (1000, 820), 30: (1280, 900), 300: (1280, 1000)}  # members; width and height in pixels
QUALITY = 45  # of WebP


def draw(directory: Path) -> Iterator[Path]:
    """Draw all of them, the middle one in the dark; yields the files."""
    with Browser() as browser, tempfile.TemporaryDirectory() as temporary:
        for count, size in SIZES.items():
            file = Path(temporary, "map.html")
            file.write_text(page(example(count)))
            browser.open(file, size=size, dark=count == 30)
            drawn = directory / f"map-{count}.webp"
            drawn.write_bytes(browser.picture("webp", quality=QUALITY))
            yield drawn
