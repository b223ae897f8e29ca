"""What `wesher doctor --mesh` says: what the doctors of all members have found, by cause."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

from wesher.cli.asking import MeshAnswers, ask_mesh
from wesher.cli.client import Agent, choose_agent, show, show_json
from wesher.cli.diagnosis import finding_as_json, render, summary
from wesher.config import config
from wesher.config.config import Config
from wesher.doctor.findings import Finding, Verdict, counted, is_healthy, unknown
from wesher.doctor.of_mesh import FoundOn, by_cause, headed, read_findings
from wesher.doctor.runner import examine
from wesher.mesh.base.questions import Topic
from wesher.survey.matrix import Source
from wesher.system import log
from wesher.system.terminal import Screen, Waiting

PATIENCE = 18.0  # seconds: each check gives up after 12, and one run may have to wait for another
TAKES = "the doctors of all members, up to 18 s"

Found = Mapping[str, Sequence[Finding]]


def diagnose_mesh(given: Mapping[str, str], screen: Screen, wait: Waiting) -> int:
    """Have all members examined and tell; returns 1 when there is a fault on any."""
    agent = choose_agent(given)
    settings = config.load({**given, "interface": agent.interface}, dict(os.environ))
    log.set_up("error")
    wait.begins(TAKES)
    found = asyncio.run(findings_of(agent, settings))
    wait.ends()
    causes = by_cause(found)
    if "json" in given:
        show_json(as_json(found, causes))
    else:
        told = [headed(one) for one in causes]
        show(render(told, screen))
        show(["", f"{_well(found)}; {summary(told)}" if told else _well(found)])
    return 0 if is_healthy(one for some in found.values() for one in some) else 1


async def findings_of(agent: Agent, settings: Config) -> dict[str, Sequence[Finding]]:
    """Return what was found on each member, by name, this host among them."""
    asked, ours = await asyncio.gather(
        asyncio.to_thread(
            ask_mesh, agent, (Topic.DOCTOR,), patience=PATIENCE, ourselves=False, at_once=300
        ),
        examine(settings, lambda _: None, lambda _: None),
    )
    node = asked.status["node"]["name"]
    return {name: ours if name == node else _told(asked, name) for name in asked.members}


def _told(asked: MeshAnswers, name: str) -> Sequence[Finding]:
    answer = asked.answers.get(name)
    if answer is not None and answer.doctor is not None:
        return read_findings(answer.doctor)
    source = asked.sources[name]
    text = "has told nothing" if source is Source.TOLD else source.value
    return [unknown("doctor", f"not asked: it {text}" if source is not Source.SILENT else text)]


def _well(found: Found) -> str:
    well = sum(all(one.verdict is Verdict.OK for one in some) for some in found.values())
    return f"{well} of {counted(len(found), 'member')} without anything to tell"


def as_json(found: Found, causes: Sequence[FoundOn]) -> dict[str, Any]:
    """Return what docs/doctor.md describes."""
    return {
        "healthy": is_healthy(one for some in found.values() for one in some),
        "members": {
            name: {
                "healthy": is_healthy(some),
                "findings": [finding_as_json(one) for one in some],
            }
            for name, some in found.items()
        },
        "causes": [finding_as_json(one.finding) | {"members": one.hosts} for one in causes],
    }
