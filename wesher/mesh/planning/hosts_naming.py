"""Which names of a peer go into the hosts file, and whom each of them means.

A peer whose name cannot be written stays a peer; only its hosts entry is left out, and said.
"""

from collections.abc import Iterable, Mapping

from wesher.base import problems
from wesher.base.frozen import frozen
from wesher.base.problems import Problem
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.settings import HostsNaming
from wesher.mesh.planning.claims import Claimant, Claims


@frozen
class Unnamed:
    """Why a peer has no hosts entry; `reason` is a text that goes after its name."""

    reason: str
    problem: Problem
    data: Mapping[str, object]


@frozen
class Namer:
    """Knows which names this host may write; `foreign` maps those on others' lines to the line."""

    our_name: str
    naming: HostsNaming
    foreign: Mapping[str, int]

    def names_for(self, member: str, address: IPAddress) -> tuple[str, ...] | Unnamed:
        """Return under which names a peer may be written, else why under none."""
        wanted = self.naming.names_of(member)
        refused = {name: self._objection(name, member, address) for name in wanted}
        allowed = tuple(name for name in wanted if refused[name] is None)
        return allowed or refused.get(member) or ()

    def _objection(self, name: str, member: str, address: IPAddress) -> Unnamed | None:
        lower = name.lower()
        if lower in map(str.lower, self.naming.names_of(self.our_name)):
            return like_another(member, self.our_name)
        if line := self.foreign.get(lower):
            return _on_a_line(member, address, line, self.naming.file)
        if "." in lower and not self._may_have_dots(lower):
            return _dotted(member, address)
        return None

    def _may_have_dots(self, lower: str) -> bool:
        """Tell whether a name with dots is in a domain of ours; others may be of other hosts."""
        if self.naming.dots or (self.naming.suffix and lower.endswith(f".{self.naming.suffix}")):
            return True
        _, _, ours = self.our_name.lower().partition(".")
        _, _, theirs = lower.partition(".")
        # Below `lan` are all its hosts; below a domain of that kind, `com`, may be anybody.
        return bool(ours) and (theirs == ours or ("." in ours and theirs.endswith(f".{ours}")))


def settle_names(
    claimants: Iterable[Claimant], names: Mapping[str, tuple[str, ...]], claims: Claims
) -> dict[str, str]:
    """Return which member each of these `names` of members means, by the name in lower case.

    Resolvers do not tell the cases apart. Who has one and lives keeps it, whoever else comes.
    """
    wanting: dict[str, list[Claimant]] = {}
    for one in claimants:
        for name in names.get(one.name, ()):
            wanting.setdefault(name.lower(), []).append(one)
    return {name: claims.name_holder(name, rivals).name for name, rivals in wanting.items()}


def like_another(member: str, holder: str) -> Unnamed:
    """Return that `member` has the name of `holder`, but for the case of letters."""
    reason = f"is not in the hosts file: but for upper and lower case, its name is that of {holder}"
    return Unnamed(reason, problems.OTHER_CASE, {"member": member, "holder": holder})


def _on_a_line(member: str, address: IPAddress, line: int, file: str | None) -> Unnamed:
    reason = f"is not in the hosts file: its name is on line {line} of {file} already"
    data = {"member": member, "line": line, "file": file, "address": address}
    return Unnamed(reason, problems.HOSTS_LINE, data)


def _dotted(member: str, address: IPAddress) -> Unnamed:
    reason = "is not in the hosts file: its name has dots, and is not in the domain of this host"
    data = {"member": member, "address": address}
    return Unnamed(reason, problems.DOTTED_NAME, data)
