"""What several checks say of one thing is told once; what is so now is not told as it was."""

import pytest

from wesher.doctor.findings import Finding, Verdict, merged, ok

FAULT, WARNING = Verdict.FAULT, Verdict.WARNING


def told(
    trouble: str,
    about: str | None = "web",
    check: str = "gossip",
    verdict: Verdict = FAULT,
    text: str | None = None,
) -> Finding:
    return Finding(check, verdict, text or f"{trouble} {about}", None, trouble, about)


def names(*findings: Finding) -> list[str]:
    return [one.problem or "" for one in merged(findings)]


@pytest.mark.parametrize(
    ("kept", "dropped"),
    [
        ("only-tunnel", "member-failed"),
        ("member-silent", "no-handshake"),
        ("member-refused", "silent-tunnel"),
        ("other-name", "silent-tunnel"),
        ("talks-elsewhere", "udp-blocked"),
        ("address-here", "member-silent"),
    ],
)
def test_of_one_member_one_thing_is_told(kept: str, dropped: str) -> None:
    assert names(told(dropped), told(kept)) == [kept]
    assert names(told(kept), told(dropped)) == [kept]
    assert sorted(names(told(kept), told(dropped, about="db"))) == sorted([kept, dropped])
    assert names(told(dropped)) == [dropped]


@pytest.mark.parametrize("seed", ["seed-silent", "seed-refused", "seed-half", "seed-name"])
def test_that_nobody_answers_is_not_told_beside_the_seeds(seed: str) -> None:
    nobody = told("nobody", about=None, check="warnings", verdict=WARNING)

    assert names(nobody, told(seed, about="192.0.2.2:7946")) == [seed]
    assert names(nobody) == ["nobody"]


def test_members_are_not_blamed_for_a_firewall_of_this_host() -> None:
    deaf = told("ourselves-unreached", about="local", text="does not answer by UDP")
    by_tcp = told("ourselves-unreached", about="local", text="does not answer by TCP")
    met = told("udp-blocked", check="warnings")
    now = told("udp-blocked", about="db")

    assert names(deaf, met, now) == ["ourselves-unreached", "udp-blocked"]
    assert names(met) == ["udp-blocked"]
    assert names(by_tcp, met) == ["ourselves-unreached", "udp-blocked"]


def test_a_hosts_file_that_cannot_be_written_is_told_once() -> None:
    pending = told("not-up-to-date", about="hosts file", check="agent")
    peers = told("not-up-to-date", about="peers", check="agent")
    hosts = told("hosts-file", about=None, check="hosts-file")

    assert names(pending, hosts, peers) == ["hosts-file", "not-up-to-date"]
    assert names(pending) == ["not-up-to-date"]


def test_a_warning_that_another_check_has_just_confirmed_is_left_out() -> None:
    now = told("udp-blocked", text="web answers by TCP only")
    before = told("udp-blocked", check="warnings", text="web answers by TCP only (met 3 times)")
    over = ok("warnings", "not any more: web answers by TCP only (met 3 times, until 14:00)")

    assert merged([before, over, now]) == [now]
    assert merged([over]) == [over]


def test_the_worst_comes_first() -> None:
    findings = [ok("clock", "fine"), told("a", verdict=WARNING), told("b")]

    assert [one.verdict for one in merged(findings)] == [FAULT, WARNING, Verdict.OK]
