"""The map as one page that needs nothing else: no network, no other file, no server."""

import json
import re
from collections.abc import Sequence
from html import escape
from itertools import product
from pathlib import Path

from wesher.base.errors import printable
from wesher.survey.drawing import CHOSEN_STYLE, STYLE, WHOLE, svg
from wesher.survey.survey import Json, Survey, as_json
from wesher.survey.twins import cell_between, each_alone, groups_of

_TEMPLATE = Path(__file__).with_name("page.html")


def page(survey: Survey) -> str:
    """Return the page; what members say of themselves cannot be anything but text in it."""
    told = as_json(survey) | {"groups": _groups(survey)}
    del told["odd"]
    # In a script `<` could end it; as a letter of a JSON text it means the same.
    data = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    filled = {
        "STYLE": STYLE + CHOSEN_STYLE,
        "TITLE": escape(printable(f"the mesh as {survey.node} sees it")),
        "GRAPH": svg(survey, embedded=True),
        "DATA": data,
    }
    # At one go: what is filled in may look like a place to be filled.
    template = _TEMPLATE.read_text(encoding="utf-8")
    return re.sub(r"\[\[([A-Z]+)\]\]", lambda found: filled[found[1]], template)


def _groups(survey: Survey) -> Sequence[Json]:
    """Return the rows of the table: members, or of a large mesh those that are alike."""
    matrix = survey.matrix
    groups = each_alone(matrix) if len(matrix.members) <= WHOLE else groups_of(matrix)[:WHOLE]
    cells = {
        (one, other): cell_between(matrix, groups[one], groups[other])
        for one, other in product(range(len(groups)), repeat=2)
    }
    return [
        {
            "members": group.members,
            "cells": [
                [cells[at, to].link.value, cells[at, to].round_trip] for to in range(len(groups))
            ],
        }
        for at, group in enumerate(groups)
    ]
