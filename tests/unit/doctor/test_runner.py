"""Checks are told in one order, each as soon as nothing can change what is said of it."""

import asyncio
from collections.abc import Mapping

import pytest

from tests.unit.doctor.cases import NO_AGENT, run, settings
from wesher.doctor import runner
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, Verdict, ok


def fault(check: str, problem: str, about: str | None = "web") -> Finding:
    return Finding(check, Verdict.FAULT, f"{problem} {about}", None, problem, about)


Found = Mapping[str, list[Finding]]


def told_of(
    monkeypatch: pytest.MonkeyPatch, found: Found, slow: Mapping[str, asyncio.Event]
) -> list[str | list[str]]:
    """Return what is told, as lists of texts, and waited for, as text; `slow` checks wait.

    Whatever is waited for comes then.
    """

    def check_of(name: str) -> runner.Check:
        async def check(_case: Case) -> list[Finding]:
            if name in slow:
                await slow[name].wait()
            return found.get(name, [])

        return check

    async def open_case(_config: object) -> Case:
        return Case(settings(), silence=NO_AGENT)

    monkeypatch.setattr(runner, "open_case", open_case)
    monkeypatch.setattr(runner, "CHECKS", {name: check_of(name) for name in runner.CHECKS})
    seen: list[str | list[str]] = []

    def wait(what: str) -> None:
        seen.append(what)
        for event in slow.values():
            event.set()

    def tell(findings: list[Finding]) -> None:
        if findings:
            seen.append([one.text for one in findings])

    run(runner.examine(settings(), tell, wait))
    return seen


def test_the_quick_are_told_before_the_slow_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {"clock": [ok("clock", "right")], "tunnels": [ok("tunnels", "fine")]}
    found["warnings"] = [ok("warnings", "none")]

    seen = told_of(monkeypatch, found, {"tunnels": asyncio.Event()})

    assert seen == [["right"], "handshakes, up to 6 s", ["fine"], ["none"]]


def test_within_a_check_the_worst_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"gossip": [ok("gossip", "fine"), fault("gossip", "other-key")]}

    assert told_of(monkeypatch, found, {}) == [["other-key web", "fine"]]


def test_what_a_slower_check_knows_better_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "gossip": [fault("gossip", "member-failed")],
        "tunnels": [fault("tunnels", "only-tunnel")],
    }

    seen = told_of(monkeypatch, found, {"tunnels": asyncio.Event()})

    assert seen == ["handshakes, up to 6 s", ["only-tunnel web"]]


def test_what_a_quicker_check_knows_better_is_not_said_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {
        "gossip": [fault("gossip", "member-silent")],
        "tunnels": [fault("tunnels", "no-handshake"), fault("tunnels", "no-handshake", "db")],
        "warnings": [fault("warnings", "member-silent")],
    }

    seen = told_of(monkeypatch, found, {})

    assert seen == [["member-silent web"], ["no-handshake db"]]


def test_the_order_has_every_check_and_the_slow_last() -> None:
    assert [*runner.CHECKS][:3] == [*runner.OF_THE_HOST]
    assert [*runner.CHECKS][-3:] == ["gossip", "tunnels", "warnings"]
