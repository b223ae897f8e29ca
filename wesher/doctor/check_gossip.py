"""Do seeds and members answer by UDP and by TCP, and with our key?"""

import asyncio
from collections.abc import Iterator, Sequence
from enum import Enum

from wesher.base.addresses import Address, Contact
from wesher.base.frozen import frozen, replace
from wesher.base.problems import NOT_READ, OTHER_KEY, SEED_NAME, TAKEN_NAME, UDP_BLOCKED, Problem
from wesher.doctor.context import Case, Reply, contact_all, find_others, resolve
from wesher.doctor.findings import (
    Finding,
    Share,
    Verdict,
    counted,
    fault,
    found,
    lasting,
    ok,
    unknown,
    warning,
)
from wesher.doctor.problems import (
    MEMBER_FAILED,
    MEMBER_REFUSED,
    MEMBER_SILENT,
    OTHER_NAME,
    OURSELVES_UNREACHED,
    SEED_HALF,
    SEED_REFUSED,
    SEED_SILENT,
    TCP_BLOCKED,
)

MAX_MEMBERS = 256  # that are contacted; those in trouble first
MAX_SAVED = 16
_BY_URGENCY = ("failed", "suspect", "alive")


class Role(Enum):
    """What somebody whom we contact is to us."""

    SEED = "seed"
    MEMBER = "member"
    OURSELVES = "our own agent"


@frozen
class Target:
    """Somebody to contact; `name` is a member's name, or a seed as it was given."""

    role: Role
    name: str
    address: Address
    state: str = "alive"
    failed_for: float | None = None

    @property
    def wanted(self) -> str:
        """The member that must answer; "" for whoever is there, as a seed's name is no member's."""
        return "" if self.role is Role.SEED else self.name


async def check_gossip(case: Case) -> list[Finding]:
    """Contact seeds, members and our own agent from outside."""
    targets, findings = await _targets(case)
    contacts = await contact_all(case, [(target.address, target.wanted) for target in targets])
    if contacts is None:
        return [
            unknown(
                "gossip",
                "without the cluster key nobody can be asked",
                "run this as root, once an agent has run here, or give --cluster-key-file",
            )
        ]
    share = _share(case, targets)
    for target, made in zip(targets, contacts, strict=True):
        findings += (replace(one, share=share) for one in judge(target, made, case))
    if case.no_agent_runs:
        findings += await _check_name(case, targets)
    return list(dict.fromkeys(findings)) or [ok("gossip", _summary(targets) + _keys(case))]


def _share(case: Case, targets: Sequence[Target]) -> Share:
    tried = sum(target.role is Role.MEMBER for target in targets)
    members = case.status["members"] if case.status else []
    return Share(tried, sum(member["state"] in _BY_URGENCY for member in members))


async def _targets(case: Case) -> tuple[list[Target], list[Finding]]:
    """Return whom to contact, and a warning for each seed whose name is unknown."""
    seeds = case.settings.join
    resolved = await asyncio.gather(*(resolve(seed.host, seed.port) for seed in seeds))
    targets = [
        Target(Role.SEED, str(seed), address)
        for seed, addresses in zip(seeds, resolved, strict=True)
        for address in addresses
    ]
    nameless = [
        warning("gossip", SEED_NAME, seed=seed.host)
        for seed, addresses in zip(seeds, resolved, strict=True)
        if not addresses
    ]
    if case.status:
        known = [*_members(case.status), ourselves(case, case.status["node"])]
        places = {one.address for one in known}
        # What is said of a member need not be said of the same host as a seed.
        targets = [*(one for one in targets if one.address not in places), *known]
    elif not seeds:
        targets += _saved(case)
    return targets, nameless


def _members(status: Reply) -> list[Target]:
    members = [member for member in status["members"] if member["state"] in _BY_URGENCY]
    members.sort(key=lambda member: _BY_URGENCY.index(member["state"]))
    return [
        Target(
            Role.MEMBER,
            member["name"],
            Address.parse(member["address"]),
            member["state"],
            member["since"] if member["state"] == "failed" else None,
        )
        for member in members[:MAX_MEMBERS]
    ]


def ourselves(case: Case, node: Reply) -> Target:
    """Return ourselves, at the port we listen on where no router forwards another."""
    address = Address.parse(node["address"])
    if case.settings.advertise_port and _is_here(case, address):
        address = address._replace(port=case.settings.cluster_port)
    return Target(Role.OURSELVES, node["name"], address)


def _is_here(case: Case, address: Address) -> bool:
    """Tell whether an address is this host's own, as far as is known."""
    links = case.network.links.values() if case.network else ()
    ips = {str(one.ip) for link in links for one in link.addresses}
    return not ips or address.ip in ips


def _saved(case: Case) -> list[Target]:
    port = case.settings.cluster_port
    return [
        Target(Role.SEED, one.name, Address(one.address.ip, one.address.port or port))
        for one in [one for one in case.saved.mesh.members if not one.left][:MAX_SAVED]
    ]


def judge(target: Target, made: Contact, case: Case) -> Iterator[Finding]:
    """Yield what is wrong with how somebody answers."""
    address = target.address
    data: dict[str, object] = {
        "member": target.name,
        "address": address,
        "port": address.port,
        "seed": target.name,
    }
    if made.other_key:
        yield fault("gossip", OTHER_KEY, address=address.ip)
        return
    if made.not_read:
        yield fault("gossip", NOT_READ, address=address.ip)
        return
    if not made.silent and not made.other_name:
        return
    silent = " and ".join(made.silent)
    data |= {"service": f"{address.port}/{silent.lower().replace(' and ', '+')}"}
    heard = "TCP" if silent == "UDP" else "UDP"
    match target.role:
        case Role.OURSELVES if not made.other_name and not _is_here(case, address):
            text = (
                f"whether others reach us at {address}, no address of this host, is not seen here"
            )
            yield unknown("gossip", text, "run this on another member")
        case Role.OURSELVES if not made.other_name:
            yield fault("gossip", OURSELVES_UNREACHED, silent=silent, **data)
        case Role.SEED if made.refused:
            yield found("gossip", _silent_seed(case), SEED_REFUSED, **data)
        case Role.SEED if len(made.silent) == 1:
            yield fault("gossip", SEED_HALF, heard=heard, silent=silent, **data)
        case Role.SEED:
            yield found("gossip", _silent_seed(case), SEED_SILENT, **data)
        case Role.MEMBER if target.failed_for is not None:
            ago = lasting(target.failed_for)
            yield warning("gossip", MEMBER_FAILED, ago=ago, **data)
        case _ if made.other_name:
            yield fault("gossip", OTHER_NAME, **data)
        case Role.MEMBER:
            yield fault("gossip", _of_member(made), **data)


def _of_member(made: Contact) -> Problem:
    if made.refused:
        return MEMBER_REFUSED
    if len(made.silent) == 2:
        return MEMBER_SILENT
    return UDP_BLOCKED if "UDP" in made.silent else TCP_BLOCKED


def _silent_seed(case: Case) -> Verdict:
    """A seed that is down matters when nobody else is there."""
    members = case.status["members"] if case.status else []
    others = any(member["state"] in ("alive", "suspect") for member in members)
    return Verdict.WARNING if others else Verdict.FAULT


async def _check_name(case: Case, targets: Sequence[Target]) -> list[Finding]:
    """Ask who has our name: that is why an agent of ours would not start."""
    name = case.settings.node_name
    for holder in await find_others(case, name, [target.address for target in targets]):
        if not _is_ours(case, holder.ip):
            return [fault("gossip", TAKEN_NAME, member=name, address=holder)]
    return []


def _is_ours(case: Case, ip: str) -> bool:
    links = case.network.links.values() if case.network else ()
    return any(str(address.ip) == ip for link in links for address in link.addresses)


def _keys(case: Case) -> str:
    """Tell the fingerprints while the agent has several cluster keys."""
    first, *others = (case.status or {"node": {}})["node"].get("key_fingerprints", ["-"])
    return f"; cluster keys {first} (primary), {', '.join(others)}" if others else ""


def _summary(targets: list[Target]) -> str:
    others = {target.address for target in targets if target.role is not Role.OURSELVES}
    if not others:
        return "nobody to contact: no seeds, and no members yet"
    return f"{counted(len(others), 'other')} reached by UDP and by TCP"
