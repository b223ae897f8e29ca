"""How large may packets to the members be?"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from wesher.base import problems
from wesher.base.frozen import frozen
from wesher.doctor.context import Case
from wesher.doctor.echo import Echo, answered
from wesher.doctor.findings import Finding, fault, ok
from wesher.mesh.base.plan import IPAddress

MAX_MEMBERS = 16  # that are sent whole packets
SEND_AT, PATIENCE = (0.0, 0.4, 0.9), 1.4  # seconds
USUAL_MTU = 1420  # bytes, of a WireGuard interface
LEAST_IPV6 = 1280  # bytes that a link must carry (RFC 8200, 5)
OVERHEAD = {4: 60, 6: 80}  # bytes that WireGuard and the underlay's IP put around a packet
SIZES = (1500, 1492, 1480, 1472, 1460, 1450, 1440, 1420, 1400, 1380, 1360, 1340, 1320, 1300)
SMALL_SIZES = (1280, 1240, 1200, 1100, 1000, 900, 800, 700, 576)  # bytes, as above


@frozen
class Path:
    """The way to a member that answers small packets; `address` is that of its gossip."""

    member: str
    overlay: IPAddress
    address: str

    @property
    def underlay(self) -> IPAddress:
        return ip_address(self.address.rpartition(":")[0].strip("[]"))


async def check_paths(case: Case, paths: Iterable[Path]) -> list[Finding]:
    """Send packets as large as the interface takes; where they get lost, measure the underlay."""
    paths = list(paths)[:MAX_MEMBERS]
    if not paths:
        return []
    size = _interface_mtu(case)
    whole = await answered([Echo(path.overlay, size) for path in paths], SEND_AT, PATIENCE)
    narrow = [path for path in paths if Echo(path.overlay, size) not in whole]
    if not narrow:
        return [ok("path-mtu", f"packets of {size} bytes arrive")]
    measured = await _measure({path.underlay for path in narrow})
    return [judge_path(case, path, size, measured) for path in narrow]


def _interface_mtu(case: Case) -> int:
    link = case.network.links.get(case.interface) if case.network else None
    return link.mtu if link else USUAL_MTU


async def _measure(addresses: Iterable[IPAddress]) -> Mapping[IPAddress, int]:
    """Return the largest packet, in bytes with its IP header, that each address answers."""
    echoes = [Echo(address, size) for address in addresses for size in (*SIZES, *SMALL_SIZES)]
    heard = await answered(echoes, SEND_AT, PATIENCE)
    largest: dict[IPAddress, int] = {}
    for echo in heard:
        largest[echo.to] = max(echo.size, largest.get(echo.to, 0))
    return largest


def judge_path(case: Case, path: Path, size: int, measured: Mapping[IPAddress, int]) -> Finding:
    """Say what is lost, and how much the path was measured to carry, as far as it was."""
    needed = size + OVERHEAD[path.underlay.version]
    data: dict[str, object] = {
        "interface": case.interface,
        "size": size,
        "member": path.member,
        "address": path.underlay,
        "needed": needed,
    }
    mtu = measured.get(path.underlay)
    if mtu is None or mtu >= needed:
        return fault("path-mtu", problems.NARROW_TUNNEL, **data)
    tunnel = mtu - OVERHEAD[path.underlay.version]
    if path.overlay.version == 6 and tunnel < LEAST_IPV6:
        link = _link_towards(case)
        return fault("path-mtu", problems.NO_PATH_FOR_IPV6, mtu=mtu, link=link, **data)
    return fault("path-mtu", problems.NARROW_PATH, mtu=mtu, tunnel=tunnel, **data)


def _link_towards(case: Case) -> str:
    """Return the interface of the default route, as that is mostly it."""
    gateways = case.network.gateways if case.network else ()
    return next(
        (one.link for one in gateways if one.default and one.link != case.interface), "LINK"
    )
