"""How this host stands in its own network: ports, the address we advertise, the overlay network."""

from collections.abc import Iterator
from ipaddress import ip_address

from wesher.agent.own_address import find_address
from wesher.base.problems import (
    NO_ADDRESS,
    OTHER_FAMILY,
    OVERLAY_ENCLOSED,
    OVERLAY_HAS_US,
    SEVERAL_ADDRESSES,
)
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, fault, ok, unknown, warning
from wesher.doctor.problems import LOOPBACK, OVERLAY_COVERS, PORT_TAKEN, WIREGUARD_PORT
from wesher.mesh.base.plan import IPAddress, IPNetwork
from wesher.system.host_facts import (
    HostFacts,
    address_inside,
    enclosing_network,
    first_global_address,
    host_facts,
    lasting_addresses,
    other_family,
)
from wesher.system.network import Network, Scope, routed_inside
from wesher.system.sockets import port_owner

_NO_IP = "`ip` told nothing about this host"


async def check_ports(case: Case) -> list[Finding]:
    """See whether our ports are free, or ours already."""
    settings = case.settings
    if not case.no_agent_runs:
        return [_ports_of_agent(case)]
    ours = case.wireguard.listen_port if case.wireguard else None
    wanted = [("tcp", settings.cluster_port), ("udp", settings.cluster_port)]
    if ours != settings.wireguard_port:
        wanted.append(("udp", settings.wireguard_port))
    taken = [
        fault(
            "ports",
            PORT_TAKEN,
            protocol=protocol.upper(),
            port=port,
            owner=owner,
            option="--cluster-port" if port == settings.cluster_port else "--wireguard-port",
        )
        for protocol, port in wanted
        if (owner := port_owner(protocol, port, settings.bind_addr))
    ]
    cluster, wireguard = settings.cluster_port, settings.wireguard_port
    if ours == wireguard:
        text = f"UDP and TCP {cluster} are free, UDP {wireguard} is still that of an earlier agent"
    else:
        text = f"UDP and TCP {cluster} and UDP {wireguard} are free"
    return taken or [ok("ports", text)]


def _ports_of_agent(case: Case) -> Finding:
    cluster, wanted = case.settings.cluster_port, case.settings.wireguard_port
    if case.wireguard and case.wireguard.listen_port != wanted:
        return warning("ports", WIREGUARD_PORT, port=case.wireguard.listen_port, wanted=wanted)
    return ok("ports", f"UDP and TCP {cluster} are the agent's, UDP {wanted} is WireGuard's")


async def check_advertised(case: Case) -> list[Finding]:
    """See whether others can reach what we tell them to reach us at."""
    address = await advertised(case)
    if address is None:
        if case.network is None:
            return [unknown("advertise", _NO_IP)]
        return [_without_address(case.network)]
    if address.is_loopback and _has_others_elsewhere(case):
        return [fault("advertise", LOOPBACK, address=address)]
    if case.network and _has_lost(case, case.network, address):
        if other := other_family(case.network, address.version):
            data = {"version": address.version, "address": other}
            return [fault("advertise", OTHER_FAMILY, **data)]
        return [_without_address(case.network)]
    return [ok("advertise", f"{address}{_whose(case, address)}")]


def _has_lost(case: Case, network: Network, address: IPAddress) -> bool:
    """Tell whether a running agent chose an address of a family that this host has none of now."""
    settings = case.settings
    chosen = settings.advertise_addr is None and (
        settings.bind_iface is not None or settings.bind_addr.is_unspecified
    )
    lost = not address.is_loopback and not lasting_addresses(network, address.version)
    return case.status is not None and chosen and lost


def _without_address(network: Network) -> Finding:
    found = [str(address.ip) for _, address in lasting_addresses(network, None)]
    if not found:
        return fault("advertise", NO_ADDRESS)
    return fault("advertise", SEVERAL_ADDRESSES, addresses=", ".join(found))


async def advertised(case: Case) -> IPAddress | None:
    """Return the address at which others reach us, as far as can be told."""
    if case.status:
        return ip_address(case.status["node"]["address"].rpartition(":")[0].strip("[]"))
    settings = case.settings
    if settings.advertise_addr or case.network is None:
        return settings.advertise_addr
    if settings.bind_iface:
        return first_global_address(case.network, settings.bind_iface)
    if settings.bind_addr.is_unspecified:
        version = 6 if settings.bind_addr.version == 6 else None
        members = [one.address.ip for one in case.saved.mesh.members if not one.left]
        return await find_address(settings.join, members, case.network, version)
    return settings.bind_addr


def _whose(case: Case, address: IPAddress) -> str:
    if case.network is None:
        return ""
    for link in case.network.links.values():
        if any(one.ip == address for one in link.addresses):
            return f", the address of {link.name}"
    return ", no address of this host: others must reach us there through NAT"


def _has_others_elsewhere(case: Case) -> bool:
    members = case.status["members"] if case.status else []
    addresses = [member["address"] for member in members]
    hosts = [seed.host for seed in case.settings.join]
    return any(
        not one.startswith(("127.", "[::1]", "::1", "localhost")) for one in addresses + hosts
    )


async def check_overlay(case: Case) -> list[Finding]:
    """See whether the overlay network is in the way of this host's own networks."""
    if case.network is None:
        return [unknown("overlay", _NO_IP)]
    facts = host_facts(case.network, case.settings.interface)
    overlay = case.settings.overlay_net.network
    found = list(_overlaps(case.settings.interface, case.network, facts, overlay))
    return found or [ok("overlay", f"{overlay} is clear of this host's networks")]


def _overlaps(
    interface: str, network: Network, facts: HostFacts, overlay: IPNetwork
) -> Iterator[Finding]:
    if outer := enclosing_network(overlay, facts):
        yield fault("overlay", OVERLAY_ENCLOSED, overlay=overlay, network=outer)
        return
    for address in sorted((ip for ip in facts.next_hops if ip in overlay), key=int):
        yield fault("overlay", OVERLAY_COVERS, overlay=overlay, address=address)
    for address in sorted((ip for ip in facts.resolvers if ip in overlay), key=int):
        told = f"{overlay} covers this host's name server {address}, which no member is given"
        yield ok("overlay", told)
    if routed := routed_inside(network, Scope(interface, overlay)):
        more = f" and {len(routed) - 1} more networks" if routed[1:] else ""
        told = f"{overlay} covers {routed[0]}{more}, to which this host has other routes"
        yield ok("overlay", f"{told}: a member with an address there is not a peer")
    if inner := address_inside(overlay, facts):
        yield warning("overlay", OVERLAY_HAS_US, address=inner, network=overlay)
