"""The device through all its calls of `wg` and `ip`, on a fake host that remembers them."""

import asyncio
import base64
import os
import time
from ipaddress import ip_address, ip_network

import pytest

from tests.testbed.tools import Tools
from wesher.base.addresses import Address
from wesher.base.errors import CommandError, MissingToolError, StartError
from wesher.base.frozen import replace
from wesher.mesh.base.plan import InterfaceSettings, Peer, Plan
from wesher.system import device as device_module
from wesher.system.device import Applied, Device
from wesher.system.interface import Leftover, clean_up
from wesher.system.network import read_network
from wesher.system.wireguard import generate_private_key, public_key_of

NAME = "wgoverlay"
OURS = ip_address("10.1.2.3")
AMPLE = 10  # seconds for what is not about time
READS = sorted(["ip -N -json -batch -", f"wg show {NAME} dump"])


def key(number: int) -> str:
    """A public key nobody has the private one of."""
    return f"{number:042}A="


def peer(number: int, *, port: int = 51820, address: str | None = None) -> Peer:
    overlay = address or f"10.9.{number // 256}.{number % 256}"
    endpoint = Address("198.51.100.7", port)
    return Peer(endpoint, (ip_network(overlay),))


def plan(*numbers: int, complete: bool = True, **others: Peer) -> Plan:
    peers = {key(number): peer(number) for number in numbers}
    named = {key(int(name.removeprefix("p"))): other for name, other in others.items()}
    settings = InterfaceSettings(OURS, listen_port=51820)
    return Plan(settings, peers | named, complete=complete)


def opened(*plans: Plan) -> tuple[Device, list[Applied]]:
    """Open the device and apply the plans one after the other."""

    async def main() -> tuple[Device, list[Applied]]:
        device = await Device.open(NAME)
        return device, [await device.apply(one) for one in plans]

    return asyncio.run(main())


def apply(device: Device, wanted: Plan) -> Applied:
    return asyncio.run(device.apply(wanted))


def test_a_new_interface_is_up_with_address_key_port_and_mark(tools: Tools) -> None:
    device, _ = opened(plan(complete=False))

    (ours,) = tools.dump()
    assert ours[1:3] == [device.public_key, "51820"]
    link = asyncio.run(read_network()).links[NAME]
    assert (link.up, link.mtu, link.alias) == (True, 1420, "wesher")
    assert [str(address.network) for address in link.addresses] == ["10.1.2.3/32"]
    assert not device.adopted


def test_a_peer_gets_its_endpoint_its_address_and_a_route(tools: Tools) -> None:
    opened(plan(1))

    (_, one) = tools.dump()
    assert one[:4] == [key(1), "(none)", "198.51.100.7:51820", "10.9.0.1/32"]
    assert tools.routes() == ["10.9.0.1"]


def test_nothing_to_do_takes_two_reading_processes(tools: Tools) -> None:
    device, _ = opened(plan(1, 2))
    tools.forget()

    applied = apply(device, plan(1, 2))

    assert sorted(tools.calls) == READS
    assert applied == Applied(False, (), (), applied.network, applied.wireguard)


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_one_new_member_costs_one_wg_and_one_ip_call_at_any_size(tools: Tools, size: int) -> None:
    device, _ = opened(plan(*range(size)))
    tools.forget()

    apply(device, plan(*range(size + 1)))

    assert sorted(tools.calls[:2]) == READS
    assert tools.calls[2:] == [
        f"wg set {NAME} peer {key(size)} endpoint 198.51.100.7:51820"
        f" allowed-ips {peer(size).allowed_ips[0]}",
        "ip -force -batch -",
    ]
    assert tools.stdin("ip").count("\n") == 1


def test_a_thousand_members_at_once_cost_one_wg_and_one_ip_call(tools: Tools) -> None:
    device, _ = opened(plan())
    tools.forget()

    apply(device, plan(*range(1000)))

    assert [call.split()[0] for call in tools.changing_calls] == ["wg", "ip"]
    assert len(tools.dump()) == 1001
    assert len(tools.routes()) == 1000


def test_a_departed_member_loses_peer_and_route(tools: Tools) -> None:
    device, _ = opened(plan(1, 2))
    tools.forget()

    apply(device, plan(2))

    assert [fields[0] for fields in tools.dump()[1:]] == [key(2)]
    assert tools.routes() == ["10.9.0.2"]
    assert tools.changing_calls == [
        f"wg set {NAME} peer {key(1)} remove",
        "ip -force -batch -",
    ]


def test_nothing_is_removed_while_the_plan_is_incomplete(tools: Tools) -> None:
    device, _ = opened(plan(1, 2))

    apply(device, plan(2, complete=False))

    assert len(tools.dump()) == 3
    assert tools.routes() == ["10.9.0.1", "10.9.0.2"]


def test_a_members_new_key_takes_over_its_address_in_one_call(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.forget()

    apply(device, plan(p7=peer(1)))

    assert tools.changing_calls == [
        f"wg set {NAME} peer {key(7)} endpoint 198.51.100.7:51820 allowed-ips 10.9.0.1/32"
        f" peer {key(1)} remove"
    ]
    assert [fields[3] for fields in tools.dump()[1:]] == ["10.9.0.1/32"]


def test_our_address_moves(tools: Tools) -> None:
    device, _ = opened(plan(1))

    moved = Plan(InterfaceSettings(ip_address("10.77.0.1"), 51820), plan(1).peers, complete=True)
    apply(device, moved)

    link = asyncio.run(read_network()).links[NAME]
    assert [str(address.ip) for address in link.addresses] == ["10.77.0.1"]


def test_a_restart_adopts_key_and_peers_without_a_change(tools: Tools) -> None:
    before, _ = opened(plan(1, 2))
    tools.forget()

    after, _ = opened(plan(1, 2))

    assert after.adopted
    assert after.public_key == before.public_key
    assert tools.changing_calls == []


def test_a_deleted_interface_comes_back_with_the_same_key(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.do(f"ip link del {NAME}")

    applied = apply(device, plan(1))

    assert applied.repaired == ("interface wgoverlay",)
    assert tools.dump()[0][1] == device.public_key
    assert tools.routes() == ["10.9.0.1"]
    assert not apply(device, plan(1)).changed


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (f"ip route flush dev {NAME} proto 87", ("2 routes",)),
        (f"ip address del 10.1.2.3/32 dev {NAME}", ("the address",)),
        (f"ip link set {NAME} down", ("the interface's settings", "2 routes")),
        (f"ip link set {NAME} mtu 1500", ("the interface's settings",)),
        (f"wg set {NAME} peer {key(1)} remove", ("1 peer",)),
        (f"wg set {NAME} peer {key(9)}", ("1 peer",)),
        (f"wg set {NAME} listen-port 1", ("the listen port",)),
        (f"wg set {NAME} private-key /dev/null", ("the private key",)),
    ],
)
def test_what_somebody_broke_is_repaired_and_named_once(
    tools: Tools, damage: str, named: tuple[str, ...]
) -> None:
    device, _ = opened(plan(1, 2))
    whole = (tools.dump(), sorted(tools.routes()))
    tools.do(damage)

    first, second = apply(device, plan(1, 2)), apply(device, plan(1, 2))

    assert first.repaired == named
    assert second.repaired == ()
    assert not second.changed
    dump = tools.dump()
    assert ([dump[0], *sorted(dump[1:])], sorted(tools.routes())) == whole


def test_a_link_that_became_narrow_is_followed_and_no_repair(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow: dict[str, int] = {}
    monkeypatch.setattr(device_module, "tunnel_mtus", lambda _plan, _state: dict(narrow))
    device, _ = opened(plan(1, 2))
    tools.forget()

    narrow[key(2)] = 1332
    applied = apply(device, plan(1, 2))

    assert tools.changing_calls == ["ip -force -batch -"]
    assert applied.repaired == ()
    marked = asyncio.run(read_network()).marked[NAME]
    assert {str(route): mtu for route, mtu in marked.items()} == {
        "10.9.0.1/32": 0,
        "10.9.0.2/32": 1332,
    }
    assert not apply(device, plan(1, 2)).changed


def test_a_fixed_mtu_is_set_and_goes_with_the_option(tools: Tools) -> None:
    usual = plan(1)
    fixed = replace(usual, interface=InterfaceSettings(OURS, 51820, 1300, fixed=True))
    seen = []
    device, _ = opened(usual)

    for wanted in (fixed, usual, usual):
        applied = apply(device, wanted)
        seen.append((asyncio.run(read_network()).links[NAME].mtu, applied.changed))
        assert applied.repaired == ()

    assert seen == [(1300, True), (1420, True), (1420, False)]


@pytest.mark.parametrize("damage", ["/dev/null", "/dev/stdin"])
def test_another_preshared_key_is_repaired_alone(tools: Tools, damage: str) -> None:
    wanted, others = plan(1, 2), generate_private_key()
    ours = base64.b64encode(bytes(range(9, 41))).decode()
    peers = {one: replace(peer, preshared_key=ours) for one, peer in wanted.peers.items()}
    wanted = replace(wanted, peers=peers)
    device, _ = opened(wanted)
    tools.do(f"wg set {NAME} peer {key(2)} preshared-key {damage}", stdin=others)
    tools.forget()

    first, second = apply(device, wanted), apply(device, wanted)

    assert (first.repaired, second.repaired) == (("1 peer",), ())
    assert [fields[1] for fields in tools.dump()[1:]] == [ours, ours]
    assert tools.changing_calls == [f"wg set {NAME} peer {key(2)} preshared-key /dev/fd/200"]


def test_a_change_of_plan_is_no_repair(tools: Tools) -> None:
    _, (_, second, third) = opened(plan(1), plan(1, 2), plan(2))

    assert (second.repaired, third.repaired) == ((), ())


def test_a_roamed_endpoint_stays(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.do(f"wg set {NAME} peer {key(1)} endpoint 203.0.113.9:1234")
    tools.forget()

    applied = apply(device, plan(1))

    assert tools.changing_calls == []
    assert not applied.changed


def test_a_renewal_takes_the_forgetful_out_and_in_again_in_one_call_and_once(tools: Tools) -> None:
    device, _ = opened(plan(1, 2))
    tools.do(f"wg set {NAME} peer {key(1)} endpoint 203.0.113.9:1234")
    routes = tools.routes()
    tools.forget()
    renewed = replace(plan(1, 2), forgetful=frozenset({key(1)}), renewal=1)

    first, second = apply(device, renewed), apply(device, renewed)

    assert tools.changing_calls == [
        f"wg set {NAME} peer {key(1)} remove"
        f" peer {key(1)} endpoint 203.0.113.9:1234 allowed-ips 10.9.0.1/32"
    ]
    assert (first.repaired, second.changed) == ((), False)
    assert tools.routes() == routes
    assert {peer[0] for peer in tools.dump()[1:]} == {key(1), key(2)}


def test_a_renewal_that_failed_is_made_by_the_next_call(tools: Tools) -> None:
    device, _ = opened(plan(1))
    renewed = replace(plan(1), forgetful=frozenset({key(1)}), renewal=1)
    tools.fail("wg", 1000)
    with pytest.raises(CommandError):
        apply(device, renewed)
    tools.fail("wg", 0)
    tools.forget()

    apply(device, renewed)

    assert len(tools.changing_calls) == 1


def test_a_newly_announced_endpoint_is_set_alone(tools: Tools) -> None:
    device, _ = opened(plan(1, 2))
    tools.do(f"wg set {NAME} peer {key(1)} endpoint 203.0.113.9:1234")
    tools.forget()

    apply(device, plan(2, p1=peer(1, port=5)))

    assert tools.changing_calls == [f"wg set {NAME} peer {key(1)} endpoint 198.51.100.7:5"]


def test_tools_that_fail_three_times_are_tried_again(tools: Tools) -> None:
    tools.fail("wg", 3)
    tools.fail("ip", 3)

    device, (applied,) = opened(plan(1))

    assert applied.failed == ()
    assert tools.dump()[0][1] == device.public_key


def test_a_tool_that_keeps_failing_is_an_error_until_it_works(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.fail("wg", 1000)

    with pytest.raises(CommandError, match="resource busy"):
        apply(device, plan(1, 2))
    tools.fail("wg", 0)
    apply(device, plan(1, 2))

    assert len(tools.dump()) == 3


def test_a_missing_tool_is_an_error_until_it_is_back(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, _ = opened(plan(1))
    path = os.environ["PATH"]

    monkeypatch.setenv("PATH", tools.without("wg"))
    with pytest.raises(MissingToolError, match="wg not found"):
        apply(device, plan(1, 2))
    monkeypatch.setenv("PATH", path)
    apply(device, plan(1, 2))

    assert len(tools.dump()) == 3


def test_one_bad_peer_does_not_block_the_others(tools: Tools) -> None:
    bad = "b" * 10
    device, _ = opened(plan(complete=False))
    good = plan(*range(100))
    peers = dict(list(good.peers.items())[:50]) | {bad: peer(200)} | dict(good.peers)
    tools.forget()

    applied = apply(device, Plan(good.interface, peers, complete=True))

    assert len(tools.dump()) == 101
    assert applied.failed == (f"peer {bad}: Key is not the correct length or format: `{bad}'",)
    assert len(tools.changing_calls) < 20


def test_one_bad_route_does_not_block_the_others(tools: Tools) -> None:
    tools.refuse("ip", "10.9.0.2/32")

    _, (applied,) = opened(plan(1, 2, 3))

    assert tools.routes() == ["10.9.0.1", "10.9.0.3"]
    (failure,) = applied.failed
    assert failure.startswith("ip route replace 10.9.0.2/32")
    assert failure.endswith("Invalid argument")


def test_a_route_of_somebody_else_is_left_alone(tools: Tools) -> None:
    tools.do("ip route add 10.9.0.2 via 192.0.2.77 dev eth0")

    _, (applied,) = opened(plan(1, 2))

    assert tools.routes("eth0").count("10.9.0.2") == 1
    assert tools.routes() == ["10.9.0.1"]
    assert applied.failed == ("route to 10.9.0.2/32: one through eth0 exists",)


def test_a_hanging_tool_ends_with_the_cancelled_call(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.hang("wg")
    started = time.monotonic()

    async def main() -> None:
        async with asyncio.timeout(0.3):
            await device.apply(plan(1, 2))

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert time.monotonic() - started < 8, "a tool may take ten seconds"


def test_wireguard_go_serves_where_the_kernel_cannot(tools: Tools) -> None:
    tools.without_kernel_wireguard()

    device, _ = opened(plan(1))

    assert f"wireguard-go {NAME}" in tools.calls
    assert tools.dump()[0][1] == device.public_key
    assert asyncio.run(read_network()).links[NAME].alias == "wesher"


def test_a_host_that_can_have_no_wireguard_is_told_what_to_install(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.without_kernel_wireguard()
    monkeypatch.setenv("PATH", tools.without("wireguard-go"))

    with pytest.raises(StartError, match="apt install wireguard-go"):
        opened()


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "a b", "..", "-a", "a\n"])
def test_impossible_names_are_refused(tools: Tools, name: str) -> None:
    with pytest.raises(StartError, match="not a name for an interface"):
        asyncio.run(Device.open(name))

    assert tools.calls == []


def test_an_interface_of_another_kind_is_refused_untouched(tools: Tools) -> None:
    tools.do(f"ip link add {NAME} type dummy")

    with pytest.raises(StartError, match="choose another with --interface"):
        opened()

    assert tools.changing_calls == []


@pytest.mark.parametrize("used", ["private-key /dev/stdin", f"peer {key(1)}"])
def test_a_foreign_wireguard_interface_is_refused_untouched(tools: Tools, used: str) -> None:
    tools.do(f"ip link add {NAME} type wireguard")
    tools.do(f"wg set {NAME} {used}", stdin=generate_private_key())

    with pytest.raises(StartError, match="wesher did not make it"):
        opened()

    assert tools.changing_calls == []


def test_what_the_original_left_is_adopted_with_its_key_and_is_ours_from_then_on(
    tools: Tools,
) -> None:
    private_key = generate_private_key()
    tools.do(f"ip link add {NAME} type wireguard")
    tools.do(f"wg set {NAME} private-key /dev/stdin peer {key(9)}", stdin=private_key)

    async def story() -> Device:
        device = await Device.open(NAME, of_original=True)
        await device.apply(plan(1))
        return device

    device = asyncio.run(story())

    assert device.adopted
    assert device.public_key == public_key_of(private_key)
    assert tools.host["links"][NAME]["alias"] == "wesher"
    assert asyncio.run(device.close()) == []
    assert NAME not in tools.host["links"]


def test_an_interface_somebody_put_in_our_place_is_left_alone(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.do(f"ip link del {NAME}")
    tools.do(f"ip link add {NAME} type wireguard")
    tools.do(f"wg set {NAME} private-key /dev/stdin", stdin=generate_private_key())
    tools.forget()

    with pytest.raises(StartError, match="wesher did not make it"):
        apply(device, plan(1))

    assert tools.changing_calls == []


def test_closing_removes_the_interface_in_one_call(tools: Tools) -> None:
    device, _ = opened(plan(1, 2))
    tools.forget()

    leftovers = asyncio.run(device.close(AMPLE))

    assert leftovers == []
    assert tools.calls == ["ip -force -batch -"]
    assert NAME not in asyncio.run(read_network()).links


def test_closing_is_content_when_somebody_deleted_the_interface(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.do(f"ip link del {NAME}")

    assert asyncio.run(device.close(AMPLE)) == []


def test_what_cannot_be_removed_is_named_with_its_command_in_time(tools: Tools) -> None:
    device, _ = opened(plan(1))
    tools.hang("ip")
    started = time.monotonic()

    leftovers = asyncio.run(device.close(limit=0.3))

    assert leftovers == [Leftover(f"interface {NAME}", f"ip link del {NAME}")]
    assert time.monotonic() - started < 8, "a tool may take ten seconds"


def lend(tools: Tools) -> None:
    """Make a blank device for the agent, as an administrator would."""
    tools.do(f"ip link add {NAME} type wireguard")
    tools.do(f"ip link set {NAME} mtu 1300")
    tools.do(f"ip address add 10.200.0.1/24 dev {NAME}")


def test_a_blank_device_is_used_and_given_back_as_it_was(tools: Tools) -> None:
    lend(tools)
    before = asyncio.run(read_network()).links[NAME]
    device, _ = opened(plan(1, 2))
    assert len(tools.dump()) == 3

    leftovers = asyncio.run(device.close(AMPLE))

    assert leftovers == []
    assert asyncio.run(read_network()).links[NAME] == before
    assert tools.dump()[0][:2] == ["(none)", "(none)"]
    assert tools.routes() == []


def test_a_borrowed_device_is_adopted_after_a_crash_and_then_cleaned_up(tools: Tools) -> None:
    lend(tools)
    first, _ = opened(plan(1))

    second, _ = opened(plan(1))
    found, leftovers = asyncio.run(clean_up(NAME))

    assert second.public_key == first.public_key
    assert found == [f"what was set on interface {NAME}"]
    assert leftovers == []
    link = asyncio.run(read_network()).links[NAME]
    assert [str(address.network) for address in link.addresses] == ["10.200.0.0/24"]
    assert link.alias is None
    assert tools.dump()[0][0] == "(none)"


def test_cleaning_up_removes_what_a_crashed_agent_left(tools: Tools) -> None:
    opened(plan(1))

    found, leftovers = asyncio.run(clean_up(NAME))

    assert (found, leftovers) == ([f"interface {NAME}"], [])
    assert NAME not in asyncio.run(read_network()).links


def test_cleaning_up_leaves_a_foreign_interface_but_takes_our_routes(tools: Tools) -> None:
    tools.do(f"ip link add {NAME} type wireguard")
    tools.do(f"ip link set {NAME} up")
    tools.do(f"ip address add 10.1.2.3/32 dev {NAME}")
    tools.do(f"ip route add 10.9.0.1/32 dev {NAME} proto 87")
    tools.do(f"ip route add 10.9.0.2/32 dev {NAME}")

    found, _ = asyncio.run(clean_up(NAME))

    assert found == [f"routes through {NAME}"]
    assert tools.routes() == ["10.9.0.2"]
    assert len(asyncio.run(read_network()).links[NAME].addresses) == 1


def test_cleaning_up_finds_nothing_on_a_clean_host(tools: Tools) -> None:
    assert asyncio.run(clean_up(NAME)) == ([], [])
    assert tools.changing_calls == []


def test_keys_never_appear_in_a_command_line(tools: Tools) -> None:
    device, _ = opened(plan(1))

    private = tools.dump()[0][0]
    assert public_key_of(private) == device.public_key
    assert not [call for call in tools.calls if private in call]
