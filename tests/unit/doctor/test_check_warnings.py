"""What the agent has met is told with the right weight."""

import asyncio
import re

import pytest

from tests.unit.doctor.cases import (
    SILENT,
    Check,
    account,
    case,
    found,
    member,
    settings,
    status,
    trouble,
    verdicts,
)
from tests.unit.mesh.node_harness import Harness
from tests.unit.system.transports import opened
from wesher.base.errors import AgentError, NotRootError
from wesher.base.frozen import replace
from wesher.doctor.check_agent import (
    FRESH,
    check_agent,
    check_members,
    check_strangers,
    check_warnings,
)
from wesher.doctor.findings import Finding
from wesher.mesh.base.seeds import Seed
from wesher.system.control_client import STARTING

KEY = bytes(range(32))


@pytest.mark.parametrize("check", [check_members, check_strangers, check_warnings])
def test_without_an_agent_nothing_is_known(check: Check) -> None:
    assert [verdict for verdict, _ in verdicts(check, case())] == ["unknown"]


@pytest.mark.parametrize("check", [check_members, check_strangers, check_warnings])
def test_nothing_met_is_well(check: Check) -> None:
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
def test_a_grave_warning_is_a_fault_while_it_is_fresh(name: str, ago: float, verdict: str) -> None:
    data = {"member": "web", "claimed": "192.0.2.7:7946", "seed": "web"}
    told = settings(join=(Seed("no host has this name", 7946), Seed("web", 7946)))
    troubles = [trouble(name, ago, data=data)]
    of = case(told=told, account=account(troubles=troubles), status=status())

    [(found_verdict, found_name, text)] = found(check_warnings, of)

    assert (found_verdict, found_name) == (verdict, name)
    assert text.startswith(f"{name}! (met 2 times, the last ")


@pytest.mark.parametrize(("count", "times"), [(1, "once, at "), (2, "2 times, until ")])
def test_what_is_mended_is_well_and_says_until_when_it_was_not(count: int, times: str) -> None:
    over = trouble("our-name", ago=90.0, count=count, mended=True)

    [(verdict, name, text)] = found(check_warnings, case(account=account(troubles=[over])))

    assert (verdict, name) == ("ok", None)
    assert re.fullmatch(rf"not any more: our-name! \(met {times}\d\d:\d\d\)", text)


def test_objections_are_told_as_they_are_now_and_not_as_warnings() -> None:
    refused = trouble("no-peer") | {"about": "web"}
    of = case(account=account(objections=[refused], troubles=[trouble("no-peer")]))

    assert verdicts(check_members, of) == [("fault", "no-peer")]
    assert verdicts(check_warnings, of) == []


def test_a_member_that_is_no_peer_yet_is_not_said_to_be_one() -> None:
    young = member("web", peer=False, reason="has not published its key and address yet")
    gone = member("db", state="failed", peer=False, reason="is gone")
    of = case(account=account(), status=status(young, gone))

    assert found(check_members, of) == [
        ("unknown", None, "member web has not published its key and address yet")
    ]


def test_that_there_were_none_is_said_only_if_there_were_none() -> None:
    over = account(troubles=[trouble("no-peer", mended=True), trouble("no-peer")])

    texts = [text for _, _, text in found(check_warnings, case(account=over))]

    assert len(texts) == 1
    assert "none" not in texts[0]


@pytest.mark.parametrize(
    ("data", "others", "verdict"),
    [
        ({"member": "web", "address": "192.0.2.2:7946", "claimed": "HOST"}, "web", "fault"),
        ({"member": "web", "address": "192.0.2.2:7946", "claimed": "HOST"}, "db", "ok"),
        ({"member": "web", "address": "192.0.2.2:7946", "claimed": "127.0.0.1:1"}, "web", "ok"),
        # It has moved: the other one would be where it was before.
        ({"member": "web", "address": "HOST", "claimed": "192.0.2.2:7946"}, "web", "fault"),
        ({"member": "local", "claimed": "HOST"}, "local", "fault"),
        ({"member": "local", "claimed": "192.0.2.10:7946"}, "local", "ok"),
    ],
)
def test_two_of_one_name_are_a_fault_while_both_answer(
    data: dict[str, str], others: str, verdict: str
) -> None:
    name = "our-name" if data["member"] == "local" else "same-name"

    async def scenario() -> list[Finding]:
        async with opened(Harness(ring=KEY, name=others).start().node) as host:
            place = f"{host.ip}:{host.port}"
            met = {key: value.replace("HOST", place) for key, value in data.items()}
            of = case(
                account=account(troubles=[trouble(name, data=met)]), status=status(member("web"))
            )
            return await check_warnings(
                replace(of, settings=replace(of.settings, cluster_keys=(KEY,)))
            )

    [finding] = asyncio.run(scenario())

    assert finding.verdict.value == verdict


@pytest.mark.parametrize(
    ("seed", "joined", "verdict"),
    [("127.0.0.1", True, "ok"), ("no host is this", True, "warning"), ("web", False, "ok")],
)
def test_a_seed_is_no_trouble_once_it_has_an_address_or_is_no_seed(
    seed: str, joined: bool, verdict: str
) -> None:
    told = settings(join=(Seed(seed, 7946),) if joined else ())
    met = account(troubles=[trouble("seed-name", data={"seed": seed})])

    [(told_verdict, _, _)] = found(check_warnings, case(told=told, account=met))

    assert told_verdict == verdict


def test_a_stranger_that_has_our_key_now_is_well() -> None:
    stranger = {"address": "192.0.2.8", "count": 13, "ago": 60.0, "mended": True}

    [(verdict, name, text)] = found(check_strangers, case(account=account(strangers=[stranger])))

    assert (verdict, name) == ("ok", None)
    assert text.startswith("not any more: 192.0.2.8 sent what our cluster key does not open (met 1")


def test_strangers_are_well_only_if_there_were_none() -> None:
    stranger = {"address": "192.0.2.8", "count": 3, "ago": 2.0}
    known = trouble("other-key", data={"address": "192.0.2.8"})

    of = case(account=account(strangers=[stranger], troubles=[known]))

    assert verdicts(check_strangers, of) == []


def test_another_key_that_was_met_by_tcp_is_not_contradicted() -> None:
    met = trouble("other-key", data={"address": "192.0.2.8"})

    assert verdicts(check_strangers, case(account=account(troubles=[met]))) == []
    over = case(account=account(troubles=[met | {"mended": True}]))
    assert verdicts(check_strangers, over) == [("ok", None)]


def test_no_trouble_is_not_told_beside_members_that_were_warned_of() -> None:
    objection = {"name": "no-peer", "about": "web", "fault": "x", "remedy": "y"}

    assert verdicts(check_warnings, case(account=account(objections=[objection]))) == []
    assert verdicts(check_warnings, case(account=account())) == [("ok", None)]


def test_strangers_are_told_unless_a_warning_has_told_of_them() -> None:
    strangers = [{"address": f"192.0.2.{n}", "count": 3, "ago": 200.0} for n in (8, 9)]
    known = trouble("other-key", data={"address": "192.0.2.8"})
    of = case(account=account(strangers=strangers, troubles=[known]))

    [(verdict, name, text)] = found(check_strangers, of)

    assert (verdict, name) == ("warning", "stranger")
    assert text.startswith("192.0.2.9 sent us 3 packets")
    assert text.endswith("the last 3 minutes ago")


def test_an_agent_that_answers_is_well_and_tells_what_is_pending() -> None:
    pending = {"hosts file": "cannot update /etc/hosts"}
    of = case(account=account(pending=pending), status=status())

    assert found(check_agent, of) == [
        ("fault", "not-up-to-date", "the hosts file is not up to date: cannot update /etc/hosts"),
        ("ok", None, "local runs as pid 7 for 5 seconds and answers"),
    ]


def test_an_agent_that_is_silent_is_told_from_none() -> None:
    assert verdicts(check_agent, case()) == [("fault", "no-agent")]
    assert verdicts(check_agent, case(silence=NotRootError("no"))) == [("fault", "not-root")]
    assert verdicts(check_agent, case(silence=AgentError(STARTING))) == [
        ("fault", "agent-starting")
    ]
    assert found(check_agent, case(silence=SILENT)) == [
        ("fault", "agent-silent", "the agent cannot be asked: it does not answer")
    ]
