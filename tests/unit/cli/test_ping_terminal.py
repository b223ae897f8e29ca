"""`wesher ping` says at once what it tries, on a terminal, and takes that back."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.agents import wait_for
from tests.testbed.pretended import Terminal, pretended_agent

AT = "192.0.2.2:7946"


def answer(_asked: Mapping[str, Any]) -> object:
    time.sleep(0.3)
    overlay = {"address": "10.0.0.2", "seconds": 0.1, "method": "gossip", "reason": None}
    return {
        "name": "web",
        "address": AT,
        "gossip_udp": 0.001,
        "gossip_tcp": 0.002,
        "refused": False,
        "overlay": overlay,
    }


def test_a_ping_says_what_it_waits_for_until_it_has_come(tmp_path: Path) -> None:
    with pretended_agent(tmp_path, {"ping": answer}):
        terminal = Terminal("ping", "web", f"--run-dir={tmp_path}")
        try:
            terminal.shows("waiting for web by gossip, UDP and TCP, and in the overlay, up to 9 s")
            assert AT not in terminal.shown
            assert terminal.wait() == 0
        finally:
            terminal.close()

    before, _, after = terminal.shown.rpartition("\r\x1b[K")
    assert before.endswith("up to 9 s")
    assert after.splitlines()[0] == f"gossip by UDP  1.00ms from {AT}"


def test_json_and_dumb_terminals_get_the_answer_only(tmp_path: Path) -> None:
    with pretended_agent(tmp_path, {"ping": answer}):
        for words, term in ((["--json"], "xterm"), ([], "dumb")):
            terminal = Terminal("ping", "web", *words, f"--run-dir={tmp_path}", TERM=term)
            try:
                assert terminal.wait() == 0
            finally:
                terminal.close()
            assert "waiting" not in terminal.shown
            assert "\x1b" not in terminal.shown


@pytest.mark.parametrize("words", [("ping", "web"), ("doctor",)], ids=" ".join)
def test_nothing_of_it_is_left_after_ctrl_c(tmp_path: Path, words: tuple[str, ...]) -> None:
    def silence(asked: Mapping[str, Any]) -> object:
        time.sleep(2)
        return answer(asked)

    with pretended_agent(tmp_path, dict.fromkeys(("ping", "status", "account"), silence)):
        terminal = Terminal(*words, f"--run-dir={tmp_path}")
        try:
            terminal.shows("waiting for ")
            terminal.press("\x03")
            assert terminal.wait() == -signal.SIGINT
            wait_for(lambda: is_empty(terminal), "an empty line")
        finally:
            terminal.close()


def is_empty(terminal: Terminal) -> bool:
    """Tell whether nothing stands in the last line but what the terminal itself shows of Ctrl-C."""
    terminal.read()
    return terminal.shown.rpartition("\r\x1b[K")[2] in {"", "^C"}
