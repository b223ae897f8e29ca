"""What the agent has met is told with the right weight."""

import pytest

from tests.unit.doctor.cases import SILENT, account, case, found, member, status, trouble, verdicts
from wesher.doctor.reports import FRESH, check_members, check_strangers, check_warnings
from wesher.doctor.responsiveness import check_agent
from wesher.errors import NotRootError


@pytest.mark.parametrize("check", [check_members, check_strangers, check_warnings])
def test_without_an_agent_nothing_is_known(check):
    assert [verdict for verdict, _ in verdicts(check, case())] == ["unknown"]


@pytest.mark.parametrize("check", [check_members, check_strangers, check_warnings])
def test_nothing_met_is_well(check):
    of = case(account=account(), status=status())

    assert verdicts(check, of) == [("ok", None)]


@pytest.mark.parametrize(
    ("name", "ago", "verdict"),
    [
        ("our-name", 1, "fault"),
        ("our-name", FRESH, "warning"),
        ("seed-name", 1, "warning"),
    ],
)
def test_a_grave_warning_is_a_fault_while_it_is_fresh(name, ago, verdict):
    of = case(account=account(troubles=[trouble(name, ago)]), status=status())

    [(told, found_name, text)] = found(check_warnings, of)

    assert (told, found_name) == (verdict, name)
    assert text.startswith(f"{name}! (met 2 times, the last ")


def test_that_nobody_answered_is_over_when_there_are_members():
    nobody = account(troubles=[trouble("nobody")])

    alone = verdicts(check_warnings, case(account=nobody, status=status()))
    in_company = verdicts(check_warnings, case(account=nobody, status=status(member())))

    assert alone == [("warning", "nobody")]
    assert in_company == [("ok", None)]


def test_objections_are_told_as_they_are_now_and_not_as_warnings():
    refused = trouble("no-peer") | {"about": "web"}
    of = case(account=account(objections=[refused], troubles=[trouble("no-peer")]))

    assert verdicts(check_members, of) == [("fault", "no-peer")]
    assert verdicts(check_warnings, of) == [("ok", None)]


def test_strangers_are_told_unless_a_warning_has_told_of_them():
    strangers = [{"address": f"192.0.2.{n}", "count": 3, "ago": 200.0} for n in (8, 9)]
    known = trouble("other-key", data={"address": "192.0.2.8"})
    of = case(account=account(strangers=strangers, troubles=[known]))

    [(verdict, name, text)] = found(check_strangers, of)

    assert (verdict, name) == ("warning", "stranger")
    assert text.startswith("192.0.2.9 sent us 3 packets")
    assert text.endswith("the last 3 minutes ago")


def test_an_agent_that_answers_is_well_and_tells_what_is_pending():
    pending = {"hosts file": "cannot update /etc/hosts"}
    of = case(account=account(pending=pending), status=status())

    assert found(check_agent, of) == [
        ("fault", "not-up-to-date", "the hosts file is not up to date: cannot update /etc/hosts"),
        ("ok", None, "local runs as pid 7 for 5 seconds and answers"),
    ]


def test_an_agent_that_is_silent_is_told_from_none():
    assert verdicts(check_agent, case()) == [("fault", "no-agent")]
    assert verdicts(check_agent, case(silence=NotRootError("no"))) == [("fault", "not-root")]
    assert found(check_agent, case(silence=SILENT)) == [
        ("fault", "agent-silent", "the agent tells nothing: it does not answer")
    ]
