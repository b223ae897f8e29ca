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
    # What the agent has met, and what its tools failed at, on a busy machine.
    (r"(?m)^\w+ +warnings: .*\n(?: +-> .*\n)?", ""),
    (r'\s*\{\s*"check": "warnings",[^}]*\},', ""),
    (r"(healthy.*), (?:with )?\d+ warnings?$", r"\1"),
    (r'(?ms)"troubles": \[$.*?^  \]', '"troubles": []'),
    (r"(?m)^wesher_(tool|reconcile)_failures_total\{.*\n", ""),
    (r'"failures": \{[^}]*\}', '"failures": FAILURES'),
    (r"(?m)^[-\d]+ [:\d]+ +(suspect|cleared) .*\n", ""),
    (r'(?m)^\{"event": "(suspect|cleared)".*\n', ""),
    # What is another on another machine.
    (r"(?m)^wesher_tool_calls_total\{tool=\"wireguard-go\"\}.*\n", ""),
    (r',\s*"wireguard-go": \d+', ""),
    (r"(?m)^(ok +(tools|wireguard|clock): ).*", r"\1FACTS"),
    (r'("check": "(?:tools|wireguard|clock)",(?:\n.*){2}\n\s*"text": ).*', r"\1FACTS"),
    # What is another in every run.
    (r"(?m)^(wesher_\w+(?:\{.*\})?) [-+.e0-9]+$", r"\1 NUMBER"),
    (r"[A-Za-z0-9+/]{43}=", "KEY"),
    (r"wesher1-[0-9a-z]+", "TOKEN"),
    (r'(?m)^[0-9a-z]{8}(?= +open )|(?<="id": ")[0-9a-z]{8}(?=")', "ID"),
    (r"withdrawn: .*", "withdrawn: ID"),
    (r"identity [0-9a-f]{16}", "identity FINGERPRINT"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"wesher \d+\.\d+\S*|\"?version\"?(: |=)\"[^\"]*\"", "VERSION"),
    (r"fingerprint [0-9a-f]+|\"((?:key_)?fingerprint|identity)\": \"[0-9a-f]+\"", "FINGERPRINT"),
    (r"(?m)^[0-9a-f]{8}(?= +(primary|yes|no) )", "FINGERPRINT"),
    (r'("key_fingerprints": \[\s+)"[0-9a-f]+"', r"\1FINGERPRINT"),
    (r"(?m)^slowest .*", "slowest PAIR"),
    (r"pid \d+", "PID"),
    (r'"((?!\w*port"|keepalive|mtu)\w+)": [-.e0-9]+(?=[,\n])', r'"\1": NUMBER'),
    (r"incarnation +\d+", "incarnation COUNT"),
    (r"kernel|userspace", "DEVICE"),
    (r"\b\d+(\.\d+)?(B|[KMGT]iB)", "SIZE"),
    (r"\b\d+(\.\d+)? ?(ms|s)\b|\b\d+[dhm]\d\d[hms]\b|\d+ (second|minute)s?", "DURATION"),
    (r" +", " "),
)
"""What is replaced before printed and quoted text are compared, in this order."""


def normalised(text: str) -> str:
    """Return text with everything replaced that is another in every run."""
    for pattern, word in _VOLATILE:
        text = re.sub(pattern, word, text)
    return text.strip()


def resembles(printed: str, quoted: str) -> bool:
    """Whether the text is what is quoted, in which … stands for anything.

    On a line of its own it stands for any lines, else for the rest of a word or of a line.
    """
    lines = [
        ".*" if line == "…" else r"[^\n]*".join(map(re.escape, line.split("…")))
        for line in normalised(quoted).splitlines()
    ]
    return re.fullmatch("\n".join(lines), normalised(printed), re.DOTALL) is not None


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
            printed, quoted = _settled(outputs[words]), _settled(match["output"])
            assert printed == quoted, f"UPDATE_DOCS=1 writes {self._path} anew: {words}"


def _settled(text: str) -> str:
    """Return text normalised, whatever it says of a mesh in which one member has no WireGuard."""
    return re.sub(r"(?m)^mesh .*", "mesh VERDICT", normalised(text))


def _with(outputs: dict[str, str]) -> Callable[[re.Match[str]], str]:
    def block(match: re.Match[str]) -> str:
        return f"```console\n$ {match['words']}\n{outputs[match['words']]}```"

    return block
