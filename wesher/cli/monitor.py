"""`wesher monitor`: what happens to members, as it happens."""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from threading import Thread
from typing import Any

from wesher.base.errors import AgentError
from wesher.cli.client import NOTHING, Agent, as_json, choose_agent, show
from wesher.cli.once_in_mesh import falls_to


def run(given: Mapping[str, str]) -> int:
    """Show events until interrupted; AgentError when the agent ends, or hangs up on us."""
    agent = choose_agent(given)
    render = as_json if "json" in given else _line
    with closing(agent.follow()) as events:
        wanted = _once_in_mesh(agent, events) if "once_in_mesh" in given else events
        show(map(render, _while_read(wanted)), at_once=True)
    raise AgentError(f"the agent on {agent.interface} has ended, or we read too slowly")


def _once_in_mesh(agent: Agent, events: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the events that fall to this host, by what it knows of the members by then."""
    for event in events:
        status = agent.ask("status")
        if falls_to(event, status["node"]["name"], status["members"]):
            yield event


def _while_read(events: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the events; once one was shown, the end of our reader is ours."""
    yield next(events)
    Thread(target=_end_with_the_reader, daemon=True).start()
    yield from events


def _end_with_the_reader() -> None:
    """End as a write would once nobody reads us any more: that may be long before an event."""
    waiting = select.poll()
    waiting.register(sys.stdout, 0)  # of no interest are bytes, errors are told anyway
    waiting.poll()
    os.kill(os.getpid(), signal.SIGPIPE)


def _line(event: Mapping[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["at"]))
    return f"{at}  {event['event']:<12}  {event['member']}  {'  '.join(_details(event))}".rstrip()


def _details(event: Mapping[str, Any]) -> Iterator[str]:
    if "text" in event:
        yield event["text"]
    for name in ("overlay_address", "address"):
        if name in event:
            yield _changed(event.get(f"old_{name}"), event[name])


def _changed(old: str | None, new: str | None) -> str:
    return f"{old} -> {new or NOTHING}" if old and old != new else new or NOTHING
