"""Cases as the doctor opens them, without a host around them."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from wesher.base.errors import AgentError, NoAgentError
from wesher.base.frozen import replace
from wesher.config.config import Config, load
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding
from wesher.system.network import Gateway, Link, LinkAddress, Network

T = TypeVar("T")
Check = Callable[[Case], Coroutine[Any, Any, list[Finding]]]

NO_AGENT = NoAgentError("no agent runs")
SILENT = AgentError("it does not answer")


def settings(**changes: Any) -> Config:
    """What an agent runs with unless it is told anything but this."""
    given = {"config": os.devnull, "node_name": "local"}
    places = {"state_dir": "/nowhere", "run_dir": "/nowhere"}
    return replace(load(given | places, {}), **changes)


def case(
    *,
    told: Config | None = None,
    silence: NoAgentError | AgentError | None = None,
    **known: Any,
) -> Case:
    """Return a case whose agent told this, or is silent for that reason."""
    silence = silence or (None if "account" in known or "status" in known else NO_AGENT)
    return Case(told or settings(), silence=silence, **known)


def network(
    address: str = "192.0.2.10/24", gateway: str = "192.0.2.1", link: str = "eth0"
) -> Network:
    """A host with one address and a default route."""
    ip, _, _ = address.partition("/")
    here = LinkAddress(ip_address(ip), ip_network(address, strict=False))
    gateways = (Gateway(link, ip_address(gateway), 4, default=True, source=ip_address(ip)),)
    return Network({link: Link(link, True, 1500, None, (here,))}, gateways=gateways)


def member(name: str = "web", state: str = "alive", **changes: Any) -> dict[str, Any]:
    """A member as `status` tells it."""
    told = {
        "name": name,
        "state": state,
        "since": 30.0,
        "address": "192.0.2.2:7946",
        "overlay_address": "10.0.0.2",
        "public_key": "key",
        "peer": True,
        "reason": None,
        "announced_endpoint": "192.0.2.2:51820",
        "endpoint": "192.0.2.2:51820",
    }
    return told | changes


def status(*members: dict[str, Any], **node: Any) -> dict[str, Any]:
    """What an agent tells of itself and these members."""
    told = {
        "name": "local",
        "pid": 7,
        "uptime": 5.0,
        "device": "kernel",
        "address": "192.0.2.10:7946",
        "wireguard_answers": True,
    }
    return {"node": told | node, "members": list(members), "seeds": []}


def account(**changes: Any) -> dict[str, Any]:
    """What an agent tells of its work."""
    told: dict[str, Any] = {"pending": {}, "strangers": [], "troubles": [], "objections": []}
    return told | changes


def trouble(name: str, ago: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A trouble that an agent met."""
    told = {"name": name, "fault": f"{name}!", "remedy": "help", "data": {}, "count": 2, "ago": ago}
    return told | changes


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def found(check: Check, of: Case) -> list[tuple[str, str | None, str]]:
    """Return verdict, trouble and text of what a check finds."""
    return [(one.verdict.value, one.problem, one.text) for one in run(check(of))]


def verdicts(check: Check, of: Case) -> list[tuple[str, str | None]]:
    return [(verdict, name) for verdict, name, _ in found(check, of)]
