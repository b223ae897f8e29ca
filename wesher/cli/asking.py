"""Ask all members of the mesh, from this command and not from the agent (decision 27).

The agent says who is a member, and gives the key to who may open its socket.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

from wesher.base.addresses import Address
from wesher.base.errors import ProtocolError
from wesher.base.frozen import frozen
from wesher.cli.client import Agent
from wesher.mesh.base.questions import (
    MAX_ANSWER,
    MemberAnswer,
    Topic,
    answer_of_map,
    decode_answer,
    encode_question,
)
from wesher.survey.matrix import Source
from wesher.system.gossip_client import AT_ONCE, Asked, ask_all, wire_of

PATIENCE = 2.0  # seconds for the answer of each member
LIVE = ("alive", "suspect")

Status = Mapping[str, Any]


@frozen
class MeshAnswers:
    """The members that have not left, as the agent knows them, and what they have told.

    By name; this node is among them. `sources` say of each whether it has told, or why not.
    """

    status: Status
    members: Mapping[str, Status]
    answers: Mapping[str, MemberAnswer]
    sources: Mapping[str, Source]


def ask_mesh(
    agent: Agent,
    topics: Sequence[Topic],
    *,
    patience: float = PATIENCE,
    ourselves: bool = True,
    at_once: int = AT_ONCE,
) -> MeshAnswers:
    """Ask every member that answers questions, all at about the same time, and our own agent.

    Raises what asking our own agent raises.
    """
    status = agent.ask("status")
    keys = {one["fingerprint"]: base64.b64decode(one["key"]) for one in agent.ask("key")["keys"]}
    node = status["node"] | {"state": "alive", "implementation": "wesher", "answers": True}
    others = [one for one in status["members"] if one["state"] != "left"]
    question = _Question(keys, topics, patience, at_once)
    answers = asyncio.run(question.ask(others, agent if ourselves else None))
    members = {one["name"]: one for one in (node, *others)}
    sources = {name: _source(one, answers.get(name), topics) for name, one in members.items()}
    return MeshAnswers(status, members, answers, sources)


@frozen(hidden=("keys",))
class _Question:
    """What is asked, with which of our keys, by their fingerprints, and for how many seconds."""

    keys: Mapping[str, bytes]
    topics: Sequence[Topic]
    patience: float
    at_once: int

    async def ask(
        self, others: Sequence[Status], ourselves: Agent | None
    ) -> dict[str, MemberAnswer]:
        """Return the answers by name."""
        asked = [one for one in others if one.get("answers")]
        live = [one for one in asked if one["state"] in LIVE]
        failed = [one for one in asked if one["state"] not in LIVE]
        # Those that have failed are waited for beside the others, not by turns with them.
        own, some, rest = await asyncio.gather(
            self._own(ourselves), self._ask(live), self._ask(failed)
        )
        return {one.name: one for one in (own, *some, *rest) if one}

    async def _own(self, agent: Agent | None) -> MemberAnswer | None:
        if agent is None:
            return None
        wanted = [topic.value for topic in self.topics]
        patience = 2 * self.patience
        told = await asyncio.to_thread(agent.ask, "tell", patience=patience, topics=wanted)
        return answer_of_map(told)

    async def _ask(self, members: Sequence[Status]) -> list[MemberAnswer]:
        whom = [
            Asked(Address.parse(one["address"]), self.keys.get(one.get("key_fingerprint") or ""))
            for one in members
        ]
        told = await ask_all(
            wire_of(*self.keys.values()),
            whom,
            encode_question(self.topics),
            limit=MAX_ANSWER,
            patience=self.patience,
            at_once=self.at_once,
        )
        read = [_read(body) if body else None for body in told]
        # Another one may have its address by now, and tell of itself.
        return [
            answer
            for one, answer in zip(members, read, strict=True)
            if answer and answer.name == one["name"]
        ]


def _read(body: bytes) -> MemberAnswer | None:
    try:
        return decode_answer(body)
    except ProtocolError:
        return None


def _source(member: Status, answer: MemberAnswer | None, topics: Sequence[Topic]) -> Source:
    if answer is not None:
        return Source.BUSY if {topic.value for topic in topics} & answer.busy else Source.TOLD
    if member["implementation"] == "go":
        return Source.GO
    if member["implementation"] is None:
        return Source.UNASKED
    return Source.SILENT if member.get("answers") else Source.OLD
