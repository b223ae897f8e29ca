"""What an agent tells others that have the cluster key, and what it costs it to be asked."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.testbed.agents import WESHER, Agent, AgentOf, new_key, wait_for, wait_until_met
from wesher.gossip import Address, Keyring, Ping, Wire
from wesher.gossip.codec import encode
from wesher.mesh.base.questions import (
    MAX_ANSWER,
    MemberAnswer,
    Reach,
    Topic,
    decode_answer,
    encode_question,
)
from wesher.system.control_client import ask
from wesher.system.gossip_client import Asked, ask_all

KEY = base64.b64decode(new_key())


def pair(agent_of: AgentOf) -> tuple[Agent, Agent]:
    """Start alpha and beta and wait until they know each other."""
    alpha, beta = agent_of("alpha"), agent_of("beta")
    key = base64.b64encode(KEY).decode()
    alpha.start(f"--cluster-key={key}")
    beta.start(f"--cluster-key={key}", f"--join={alpha.host.address}")
    wait_until_met(alpha, beta)
    return alpha, beta


def asked(agent: Agent, *topics: Topic, key: bytes = KEY) -> MemberAnswer | None:
    [answer] = asked_often(agent, [encode_question(topics)], key)
    return answer


def asked_often(
    agent: Agent, questions: Sequence[bytes], key: bytes = KEY, patience: float = 20
) -> list[MemberAnswer | None]:
    wire = Wire(Keyring(key), lambda: os.urandom(12))
    whom = Asked(Address(agent.host.address, 7946))

    async def ask_them() -> list[list[bytes | None]]:
        return await asyncio.gather(
            *(ask_all(wire, [whom], one, limit=MAX_ANSWER, patience=patience) for one in questions)
        )

    found = [told for [told] in asyncio.run(ask_them())]
    return [None if told is None else decode_answer(told) for told in found]


def test_a_member_tells_of_its_tunnels_events_and_settings(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)

    told = asked(alpha, Topic.TUNNELS, Topic.EVENTS, Topic.SETTINGS)

    assert told
    assert (told.name, told.wireguard, told.doctor) == ("alpha", True, None)
    assert told.tunnels
    assert [(one.peer, one.state) for one in told.tunnels] == [("beta", "alive")]
    assert told.tunnels[0].reach is Reach.SILENT  # a fake host has no tunnels
    assert told.events
    assert ("joined", "beta") in [(one.what, one.member) for one in told.events]
    assert told.settings
    assert told.settings["bind_addr"] == alpha.host.address
    assert base64.b64encode(KEY).decode() not in str(told)


def test_who_has_another_key_is_told_nothing(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)

    assert asked(alpha, Topic.SETTINGS, key=os.urandom(32)) is None


def test_the_agent_tells_its_operator_the_same(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)

    told: dict[str, Any] = ask(
        alpha.host.run, alpha.interface, "tell", topics=["tunnels", "events", "unknown"]
    )

    assert told["name"] == "alpha"
    assert [one[0] for one in told["tunnels"]] == ["beta"]
    assert told.keys() == {"name", "version", "tunnels", "wireguard", "events"}


def test_a_crowd_of_questions_is_answered_with_that_and_slows_nobody_down(
    agent_of: AgentOf,
) -> None:
    alpha, beta = pair(agent_of)

    told = asked_often(alpha, [encode_question([Topic.SETTINGS])] * 60)

    answers = [one for one in told if one and one.settings]
    busy = [one for one in told if one and one.busy == {"settings"}]
    assert 16 <= len(answers) <= 30
    assert len(answers) + len(busy) == 60
    assert beta.knows(alpha)


def test_a_question_that_cannot_be_read_is_not_answered(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)
    good = encode_question([Topic.SETTINGS])

    told = asked_often(alpha, [good[:1], good[:2], b"w\x02" + good[2:], good[:5]], patience=3)

    assert told == [None] * 4
    assert asked(alpha, Topic.SETTINGS)


def test_the_doctor_runs_for_others_once_in_a_while(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)
    question = encode_question([Topic.DOCTOR])

    first, second = asked_often(alpha, [question, question])
    third = asked(alpha, Topic.DOCTOR)

    assert first
    assert first.doctor
    assert first.doctor["interface"] == alpha.interface
    assert first.doctor["findings"]
    assert first.doctor == (second and second.doctor) == (third and third.doctor)


def test_other_streams_are_gossips_still(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)
    wire = Wire(Keyring(KEY), lambda: os.urandom(12))
    whom = Asked(Address(alpha.host.address, 7946))

    def acked() -> bool:
        asking = ask_all(wire, [whom], encode(Ping(7, "alpha")), limit=4096, patience=2)
        return asyncio.run(asking)[0] is not None

    wait_for(acked, "a ping by TCP to be answered")


def test_all_members_are_examined_and_told_by_cause(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)

    done = subprocess.run(
        [*WESHER, "doctor", "--mesh", "--json", *alpha.host.paths, "--interface", alpha.interface],
        env=alpha.host.tools.env,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)

    assert done.returncode == 1  # fake hosts have no tunnels
    assert set(told["members"]) == {"alpha", "beta"}
    assert all(one["findings"] for one in told["members"].values())
    assert not told["healthy"]
    assert {name for one in told["causes"] for name in one["members"]} == {"alpha", "beta"}
    assert all(one["verdict"] != "ok" for one in told["causes"])
