"""Compare what commands print with what a page of the documentation says they print.

What differs from run to run is left out of the comparison. With UPDATE_DOCS=1 in the environment
the page is written anew instead.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"```console\n\$ (?P<words>wesher[^\n]*)\n(?P<output>.*?)```", re.DOTALL)

_VOLATILE = (
    (r"[A-Za-z0-9+/]{43}=", "KEY"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r'"at": [0-9.]+', '"at": TIME'),
    (r"wesher \d+\.\d+\S*|\"version\": \"[^\"]*\"", "VERSION"),
    (r"fingerprint [0-9a-f]+|\"key_fingerprint\": \"[0-9a-f]+\"", "FINGERPRINT"),
    (r"(pid|\"pid\":) \d+", "PID"),
    (r'"(uptime|since|answered|handshake|round_trip)": [-.e0-9]+', r'"\1": SECONDS'),
    (r'"(gossip_udp|gossip_tcp|seconds)": [-.e0-9]+', r'"\1": SECONDS'),
    (r'"(received|sent|health_score|incarnation)": \d+', r'"\1": COUNT'),
    (r"incarnation +\d+", "incarnation COUNT"),
    (r"health .*", "health HEALTH"),
    (r"kernel|userspace", "DEVICE"),
    (r"\b\d+(\.\d+)?(B|[KMGT]iB)", "SIZE"),
    (r"\b\d+(\.\d+)?(ms|s)\b|\b\d+[dhm]\d\d[hms]\b", "DURATION"),
    (r" +", " "),
)


def normalised(text: str) -> str:
    """Return text with everything replaced that is another in every run."""
    for pattern, word in _VOLATILE:
        text = re.sub(pattern, word, text)
    return text.strip()


class Page:
    """The quotations of one page: commands, each with what it printed."""

    def __init__(self, name: str) -> None:
        self._path = _DOCS / name
        self.text = self._path.read_text()

    @property
    def quoted(self) -> list[str]:
        """The commands in the order of the page, as typed."""
        return [match["words"] for match in _BLOCK.finditer(self.text)]

    def check(self, outputs: dict[str, str]) -> None:
        """Raise AssertionError unless each command printed what the page quotes."""
        if os.environ.get("UPDATE_DOCS"):
            self._path.write_text(_BLOCK.sub(_with(outputs), self.text))
            return
        for match in _BLOCK.finditer(self.text):
            words = match["words"]
            printed, quoted = normalised(outputs[words]), normalised(match["output"])
            assert printed == quoted, f"UPDATE_DOCS=1 writes {self._path} anew: {words}"


def _with(outputs: dict[str, str]) -> Callable[[re.Match[str]], str]:
    def block(match: re.Match[str]) -> str:
        return f"```console\n$ {match['words']}\n{outputs[match['words']]}```"

    return block
