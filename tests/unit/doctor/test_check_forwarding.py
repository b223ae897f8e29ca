"""A host that announces networks must forward packets, and its firewall let them through."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.doctor.cases import case, run, settings
from wesher.doctor import check_forwarding as checking
from wesher.doctor.check_forwarding import Chain, check_forwarding, dropping, not_forwarded
from wesher.mesh.base.routes import Route

CHAIN = {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter"}
DROPS = CHAIN | {"hook": "forward", "prio": 0, "policy": "drop"}


def answer(*chains: Mapping[str, object]) -> str:
    head = {"metainfo": {"version": "1.0.6"}}
    return json.dumps({"nftables": [head, *({"chain": chain} for chain in chains)]})


@pytest.fixture
def sysctl(tmp_path: Path) -> Path:
    for name, value in (("net/ipv4/ip_forward", 0), ("net/ipv6/conf/all/forwarding", 1)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"{value}\n")
    return tmp_path


def test_a_host_without_networks_is_not_examined() -> None:
    assert run(check_forwarding(case())) == []


def test_what_the_kernel_does_not_forward_is_a_fault(sysctl: Path, tmp_path: Path) -> None:
    [found] = not_forwarded([4, 6], sysctl)

    assert (found.verdict.value, found.problem) == ("fault", "no-forwarding")
    assert "IPv4" in found.text
    assert found.remedy
    assert "`sysctl -w net.ipv4.ip_forward=1`" in found.remedy
    assert list(not_forwarded([4], tmp_path / "none")) == []


def test_chains_that_drop_what_is_forwarded_are_found() -> None:
    chains: list[Mapping[str, object]] = [
        DROPS,
        DROPS | {"family": "ip6"},
        DROPS | {"family": "inet", "table": "mine", "name": "fw"},
        DROPS | {"family": "bridge"},
        DROPS | {"hook": "input"},
        DROPS | {"policy": "accept"},
        CHAIN,
    ]
    four, mine = Chain("ip", "filter", "FORWARD"), Chain("inet", "mine", "fw")

    assert list(dropping(answer(*chains), [4])) == [four, mine]
    assert list(dropping(answer(*chains), [6])) == [Chain("ip6", "filter", "FORWARD"), mine]
    assert list(dropping(answer(), [4, 6])) == []


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("policy drop; }", "forward-dropped"),
        ('policy drop; iifname "wg7" accept }', "forward-dropped"),
        ('policy drop; iifname "wgoverlay" accept }', None),
    ],
)
def test_a_firewall_that_does_not_know_our_interface_is_named(
    rules: str, problem: str | None, sysctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told(*argv: str) -> str:
        return answer(DROPS) if "-j" in argv else f"chain FORWARD {{ {rules}"

    monkeypatch.setattr(checking, "find_tool", lambda _: "/usr/sbin/nft")
    monkeypatch.setattr(checking, "run", told)
    monkeypatch.setattr(checking, "not_forwarded", lambda versions: [])
    of = case(told=settings(route=(Route.parse("192.168.7.0/24"),)))

    [found] = run(check_forwarding(of))

    assert found.problem == problem
    if problem:
        assert found.remedy
        assert "`nft insert rule ip filter FORWARD iifname wgoverlay accept`" in found.remedy
    else:
        assert found.text == "packets to 192.168.7.0/24 are let through"
