"""What the doctors of all members found, by cause."""

from typing import Any

import pytest

from wesher.doctor.findings import Finding, Verdict, ok, unknown
from wesher.doctor.of_mesh import by_cause, headed, read_findings

FAULT = Finding("tunnels", Verdict.FAULT, "web does not answer", "open a port", "no-handshake")
WARNING = Finding("hosts-file", Verdict.WARNING, "a name is taken", None, "taken")


def fault(about: str) -> Finding:
    return Finding("tunnels", Verdict.FAULT, f"{about} does not answer", None, "no-handshake")


def test_equal_findings_are_one_with_their_hosts() -> None:
    [one] = by_cause({"node10": [FAULT], "node9": [FAULT, FAULT], "web": [ok("clock", "right")]})

    assert one.hosts == ("node9", "node10")
    assert headed(one).check == "node9 and node10: tunnels"
    assert headed(one).remedy == "open a port"


def test_the_worst_comes_first_then_what_most_have() -> None:
    causes = by_cause(
        {"a": [WARNING, fault("x")], "b": [WARNING], "c": [FAULT, WARNING], "d": [FAULT]}
    )

    assert [(one.finding.verdict, one.hosts) for one in causes] == [
        (Verdict.FAULT, ("c", "d")),
        (Verdict.FAULT, ("a",)),
        (Verdict.WARNING, ("a", "b", "c")),
    ]


def test_one_problem_in_many_words_is_told_once() -> None:
    [one] = by_cause({f"node{at}": [fault(f"peer{at}")] for at in range(1, 7)})

    assert one.finding.text == "peer1 does not answer; and 5 more like this"
    assert len(one.hosts) == 6


def test_what_is_well_is_not_told() -> None:
    assert by_cause({"a": [ok("clock", "right")], "b": []}) == []


def test_findings_are_read_as_the_doctor_prints_them() -> None:
    told = {
        "findings": [
            {
                "check": "tunnels",
                "verdict": "fault",
                "text": "web does not answer",
                "remedy": "open a port",
                "trouble": "no-handshake",
            },
            {"check": "clock", "verdict": "ok", "text": "right", "remedy": None, "trouble": None},
        ]
    }

    assert read_findings(told) == [FAULT, ok("clock", "right")]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"error": "it could not be run"}, "it could not be run"),
        ({}, "its doctor told nothing that can be read"),
        ({"findings": {}}, "its doctor told nothing that can be read"),
    ],
)
def test_who_has_told_nothing_is_unknown(told: dict[str, Any], text: str) -> None:
    assert read_findings(told) == [unknown("doctor", text)]


def test_what_a_member_sends_is_text_and_not_endless() -> None:
    found = read_findings({"findings": [{"text": ["x"] * 9000, "verdict": 7}, 3] * 3000})

    assert all(len(one.text) <= 2000 and one.verdict is Verdict.UNKNOWN for one in found)
    assert len(found) <= 1000
