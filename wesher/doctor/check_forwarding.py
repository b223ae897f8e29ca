"""Does this host forward packets to the networks that it announces? It is not made to by us."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wesher.base.errors import CommandError
from wesher.base.frozen import frozen
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, fault, ok, warning
from wesher.doctor.problems import FORWARD_DROPPED, NO_FORWARDING
from wesher.system.shell import find_tool, run

_SETTINGS = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}  # of nftables
_SYSCTL = Path("/proc/sys")
_CHECK = "forwarding"


@frozen
class Chain:
    """A chain of nftables through which every forwarded packet goes, and which drops the rest."""

    family: str
    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.name}"


async def check_forwarding(case: Case) -> list[Finding]:
    """See whether the kernel and the firewall let packets through that are for others."""
    routes = case.settings.route
    if not routes:
        return []
    versions = sorted({route.network.version for route in routes})
    findings = [*not_forwarded(versions), *await _dropped(case.settings.interface, versions)]
    return findings or [ok(_CHECK, f"packets to {', '.join(map(str, routes))} are let through")]


def not_forwarded(versions: Iterable[int], sysctl: Path = _SYSCTL) -> Iterator[Finding]:
    """Yield the versions of IP that the kernel does not forward."""
    for version in versions:
        setting = _SETTINGS[version]
        with suppress(OSError):
            if (sysctl / setting.replace(".", "/")).read_text().strip() == "0":
                yield fault(_CHECK, NO_FORWARDING, version=version, setting=setting)


async def _dropped(interface: str, versions: Iterable[int]) -> list[Finding]:
    """Return the chains that know nothing of our interface, as far as nftables tells of them."""
    if find_tool("nft") is None:
        return []
    found = []
    try:
        for chain in dropping(await run("nft", "-j", "list", "chains"), versions):
            rules = await run("nft", "list", "chain", chain.family, chain.table, chain.name)
            if f'"{interface}"' not in rules:
                data: Mapping[str, object] = {"chain": chain, "interface": interface}
                found.append(warning(_CHECK, FORWARD_DROPPED, **data))
    except (CommandError, ValueError, KeyError, TypeError):
        return []  # nothing is known of it: who is not root is told nothing
    return found


def dropping(answer: str, versions: Iterable[int]) -> Iterator[Chain]:
    """Yield the chains in an answer of `nft -j list chains` that drop what no rule of theirs takes.

    Those that docker, ufw and `iptables -P FORWARD DROP` make are among them.
    """
    families = {family for version in versions for family in _FAMILIES[version]}
    told: list[dict[str, Any]] = json.loads(answer)["nftables"]
    for one in (item["chain"] for item in told if "chain" in item):
        drops = one.get("hook") == "forward" and one.get("policy") == "drop"
        if drops and one["family"] in families:
            yield Chain(one["family"], one["table"], one["name"])
