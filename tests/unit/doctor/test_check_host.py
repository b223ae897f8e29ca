"""Ports, addresses, networks and the hosts file of this host."""

import asyncio
import errno
import socket
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Protocol

import pytest

from tests.unit.doctor.cases import (
    SILENT,
    account,
    case,
    found,
    member,
    network,
    settings,
    status,
    verdicts,
)
from wesher.base.frozen import replace
from wesher.doctor.check_host import check_clock, check_hosts_file, judge_hosts_file, judge_rights
from wesher.doctor.check_underlay import check_advertised, check_overlay, check_ports
from wesher.doctor.context import Case
from wesher.system import sockets
from wesher.system.network import Link, LinkAddress, Network
from wesher.system.sockets import port_owner
from wesher.system.wireguard import WireGuardState


class Take(Protocol):
    """Lets a program have these UDP ports."""

    def __call__(self, *ports: int) -> None: ...


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Take:
    """Be on a host where only the given UDP ports are taken, by one program."""
    (tmp_path / "net").mkdir()
    (tmp_path / "123" / "fd").mkdir(parents=True)
    (tmp_path / "123" / "comm").write_text("dnsmasq\n")
    (tmp_path / "123" / "fd" / "4").symlink_to("socket:[99]")
    monkeypatch.setattr(sockets, "_PROC", tmp_path)

    def take(*ports: int) -> None:
        lines = [f"1: 00000000:{port:04X} 00000000:0000 07 0 0 0 0 0 99 2" for port in ports]
        (tmp_path / "net" / "udp").write_text("\n".join(["heads", *lines]))

    return take


# Ports


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "address"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, "udp", "127.0.0.1"),
        (socket.AF_INET, socket.SOCK_STREAM, "tcp", "0.0.0.0"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "udp", "::1"),
        (socket.AF_INET6, socket.SOCK_STREAM, "tcp", "::"),
    ],
)
def test_the_owner_of_a_port_is_found(
    family: socket.AddressFamily, kind: socket.SocketKind, protocol: str, address: str
) -> None:
    with socket.socket(family, kind) as taken:
        taken.bind((address, 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        owner = port_owner(protocol, taken.getsockname()[1], ip_address("0.0.0.0"))

    assert owner is not None
    assert "(pid " in owner


def test_a_port_at_another_address_is_free_for_us() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.2", 0))
        port = taken.getsockname()[1]

        assert port_owner("udp", port, ip_address("127.0.0.3")) is None
        assert port_owner("udp", port, ip_address("127.0.0.2")) is not None
        assert port_owner("tcp", port, ip_address("0.0.0.0")) is None


def test_without_an_agent_a_taken_port_is_a_fault_and_a_free_one_is_well(
    taken: Take,
) -> None:
    taken()
    assert verdicts(check_ports, case()) == [("ok", None)]

    taken(51820, 7946)

    assert found(check_ports, case()) == [
        ("fault", "port-taken", "UDP port 7946 is taken by dnsmasq (pid 123)"),
        ("fault", "port-taken", "UDP port 51820 is taken by dnsmasq (pid 123)"),
    ]


def test_the_port_of_an_interface_that_an_agent_left_is_ours(taken: Take) -> None:
    taken(51820)

    assert verdicts(check_ports, case()) == [("fault", "port-taken")]
    assert verdicts(check_ports, case(wireguard=WireGuardState("secret", 51820))) == [("ok", None)]


def test_ports_of_a_running_agent_are_its_own_unless_wireguard_has_another() -> None:
    right = case(account=account(), status=status(), wireguard=WireGuardState("secret", 51820))
    wrong = case(account=account(), status=status(), wireguard=WireGuardState("secret", 40000))

    assert verdicts(check_ports, right) == [("ok", None)]
    assert verdicts(check_ports, wrong) == [("warning", "wireguard-port")]
    assert verdicts(check_ports, case(silence=SILENT)) == [("ok", None)]


# The address that we advertise


@pytest.mark.parametrize(
    ("of", "verdict", "words"),
    [
        (case(network=network()), "ok", "192.0.2.10, the address of eth0"),
        (case(), "unknown", "`ip` told nothing"),
        (
            case(told=settings(advertise_addr=ip_address("198.51.100.9")), network=network()),
            "ok",
            "198.51.100.9, no address of this host",
        ),
        (case(told=settings(bind_iface="eth0"), network=network()), "ok", "the address of eth0"),
        (case(told=settings(bind_iface="eth7"), network=network()), "fault", "no default route"),
        (
            case(status=status(member(), address="127.0.0.1:7946"), network=network()),
            "fault",
            "we advertise 127.0.0.1",
        ),
        (
            case(
                status=status(member(address="127.0.0.2:7946"), address="127.0.0.1:7946"),
                network=network(),
            ),
            "ok",
            "127.0.0.1",
        ),
    ],
)
def test_the_advertised_address_must_be_of_use_to_others(
    of: Case, verdict: str, words: str
) -> None:
    [(told, _, text)] = found(check_advertised, of)

    assert told == verdict
    assert words in text


def test_an_address_whose_family_is_gone_from_this_host_is_told() -> None:
    told = status(address="192.0.2.10:7946")
    ipv6 = replace(network(), links={"eth0": link_with("2001:db8::5/64")})

    lost = case(status=told, network=ipv6)
    behind_nat = case(status=told, network=network("198.51.100.7/24", "198.51.100.1"))
    fixed = case(told=settings(advertise_addr=ip_address("192.0.2.10")), status=told, network=ipv6)

    assert verdicts(check_advertised, lost) == [("fault", "other-family")]
    assert verdicts(check_advertised, case(status=told, network=Network())) == [
        ("fault", "no-address")
    ]
    assert verdicts(check_advertised, behind_nat) == verdicts(check_advertised, fixed)
    assert verdicts(check_advertised, fixed) == [("ok", None)]


def link_with(address: str) -> Link:
    here = ip_interface(address)
    return Link("eth0", True, 1500, None, (LinkAddress(here.ip, here.network),))


# The overlay network


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("198.18.0.0/15", [("ok", None)]),
        ("192.0.2.0/25", [("fault", "overlay-enclosed")]),
        ("192.0.0.0/16", [("fault", "overlay-covers"), ("warning", "overlay-has-us")]),
    ],
)
def test_an_overlay_network_in_the_way_of_ours_is_told(
    overlay: str, expected: list[tuple[str, str | None]]
) -> None:
    of = case(told=settings(overlay_net=ip_interface(overlay)), network=network())

    assert verdicts(check_overlay, of) == expected


def test_networks_that_others_route_to_inside_the_overlay_are_told() -> None:
    others = ["198.18.0.0/15", "198.18.50.0/24", "198.19.60.7", "198.18.1.2", "203.0.113.0/24"]
    here = replace(network(), foreign=dict.fromkeys(others, "eth0"))
    of = case(told=settings(overlay_net=ip_interface("198.18.0.0/15")), network=here)

    (found,) = asyncio.run(check_overlay(of))

    assert found.verdict.value == "ok"
    assert "covers 198.18.1.2/32 and 2 more networks, to which this host has other" in found.text


def test_without_ip_the_overlay_network_cannot_be_judged() -> None:
    assert verdicts(check_overlay, case()) == [("unknown", None)]


# The hosts file and the clock


def test_a_writable_hosts_file_is_well_and_our_lines_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    ours = "10.0.0.2\tweb\t# ! managed automatically by wesher interface wgoverlay\n"
    file.write_text(f"127.0.0.1 localhost\n{ours}")

    [(verdict, _, text)] = found(check_hosts_file, case(told=settings(hosts_file=file)))

    assert verdict == "ok"
    assert "1 entry of ours" in text
    assert file.read_text() == f"127.0.0.1 localhost\n{ours}"


@pytest.mark.parametrize(
    ("etc_hosts", "verdict"), [(True, ("fault", "hosts-file")), (False, ("ok", None))]
)
def test_a_missing_hosts_file_matters_unless_it_is_left_alone(
    tmp_path: Path, etc_hosts: bool, verdict: tuple[str, str | None]
) -> None:
    told = settings(hosts_file=tmp_path / "none", etc_hosts=etc_hosts)

    assert verdicts(check_hosts_file, case(told=told)) == [verdict]
    assert not told.hosts_file.exists()


@pytest.mark.parametrize(("root", "verdict"), [(True, "fault"), (False, "unknown")])
def test_what_only_root_may_write_is_a_fault_only_when_root_may_not(
    tmp_path: Path, root: bool, verdict: str
) -> None:
    error = PermissionError(errno.EPERM, "Operation not permitted")

    assert judge_hosts_file(tmp_path, error, root=root).verdict.value == verdict


@pytest.mark.parametrize(
    ("capabilities", "root", "verdict"),
    [
        ("0000000000001000", True, "ok"),
        ("0000000000001000", False, "ok"),
        ("0000000000000000", True, "fault"),
        ("0000000000000000", False, "unknown"),
    ],
)
def test_rights_that_root_lacks_are_a_fault(capabilities: str, root: bool, verdict: str) -> None:
    status = f"Name:\twesher\nCapEff:\t{capabilities}\n"

    assert judge_rights(status, root=root).verdict.value == verdict


def test_the_clock_is_never_a_fault() -> None:
    [(verdict, _)] = verdicts(check_clock, case())

    assert verdict in ("ok", "unknown")
