"""The difference of peers: only what differs, and in an order that keeps traffic flowing."""

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.testbed.tools import Tools
from wesher.base.addresses import Address
from wesher.base.errors import CommandError
from wesher.mesh.base.plan import NO_KEY, InterfaceSettings, Peer, Plan
from wesher.system.changes import (
    PeerChanges,
    apply_peer_changes,
    endpoints_in_place,
    peer_changes,
)
from wesher.system.shell import MAX_FILES
from wesher.system.wireguard import PeerState, WireGuardState

NOW = 1_700_000_000.0
HERE, THERE = Address("198.51.100.7", 51820), Address("203.0.113.1", 9)
KEY = "A" * 43 + "="


def peer(
    *allowed: str,
    endpoint: Address = HERE,
    keepalive: int = 0,
    preshared: str | None = NO_KEY,
) -> Peer:
    return Peer(endpoint, tuple(map(ip_network, allowed)), keepalive, preshared)


def state_of(
    *allowed: str,
    endpoint: Address | None = HERE,
    handshake: float = 0,
    preshared: str = NO_KEY,
) -> PeerState:
    networks = frozenset(map(ip_network, allowed))
    return PeerState(endpoint, networks, latest_handshake=int(handshake), preshared_key=preshared)


def plan(complete: bool = True, **peers: Peer) -> Plan:
    return Plan(InterfaceSettings(ip_address("10.0.0.9"), 51820), peers, complete=complete)


def changes(
    have: dict[str, PeerState], want: Plan, announced: dict[str, Address] | None = None
) -> PeerChanges:
    state = WireGuardState("secret", 51820, have)
    return peer_changes(state, want, "secret", announced or {}, NOW)


def renewal(have: PeerState, want: Plan) -> PeerChanges:
    state = WireGuardState("secret", 51820, {"A": have})
    return peer_changes(state, want, "secret", {"A": HERE}, NOW, renewed={"A", "unknown"})


def words(found: PeerChanges) -> list[str]:
    return [" ".join(arguments) for arguments in found.words.values()]


def test_a_renewed_peer_is_taken_out_and_in_again_with_all_that_it_has() -> None:
    have = state_of("10.0.0.1/32", endpoint=THERE, handshake=NOW)

    found = renewal(have, plan(A=peer("10.0.0.1/32", keepalive=5)))

    assert words(found) == [
        "peer A remove peer A endpoint 203.0.113.1:9 persistent-keepalive 5 allowed-ips 10.0.0.1/32"
    ]


def test_a_renewed_peer_gets_a_new_endpoint_if_another_was_announced() -> None:
    have = state_of("10.0.0.1/32", endpoint=THERE)

    found = renewal(have, plan(A=peer("10.0.0.1/32", endpoint=Address(HERE.ip, 5))))

    assert found.endpoints == {"A": Address(HERE.ip, 5)}


def test_a_renewed_peer_loses_nothing_while_the_plan_is_incomplete() -> None:
    have = state_of("10.0.0.1/32", "10.0.0.2/32")

    found = renewal(have, plan(A=peer("10.0.0.1/32"), complete=False))

    assert words(found)[0].endswith("allowed-ips 10.0.0.1/32,10.0.0.2/32")


def test_a_renewed_peer_that_is_not_there_is_just_added() -> None:
    state = WireGuardState("secret", 51820)

    found = peer_changes(state, plan(A=peer()), "secret", {}, NOW, renewed={"A"})

    assert words(found) == ["peer A endpoint 198.51.100.7:51820"]


def test_equal_is_no_change() -> None:
    found = changes({"A": state_of("10.0.0.1/32")}, plan(A=peer("10.0.0.1/32")))

    assert not found
    assert found == PeerChanges()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (WireGuardState("secret", 51820), PeerChanges()),
        (WireGuardState(None, 51820), PeerChanges(private_key="secret")),
        (WireGuardState("other", 51820), PeerChanges(private_key="secret")),
        (WireGuardState("secret", 1), PeerChanges(listen_port=51820)),
    ],
)
def test_our_key_and_port_are_set_only_when_they_differ(
    state: WireGuardState, expected: PeerChanges
) -> None:
    found = peer_changes(state, plan(), "secret", {}, NOW)

    assert found == expected
    assert bool(found) is (expected != PeerChanges())
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            peer("10.0.0.1/32"),
            "peer A endpoint 198.51.100.7:51820 allowed-ips 10.0.0.1/32",
        ),
        (peer(), "peer A endpoint 198.51.100.7:51820"),
        (
            peer("fd00::1/128", "10.0.0.1/32", keepalive=25),
            "peer A endpoint 198.51.100.7:51820 persistent-keepalive 25"
            " allowed-ips 10.0.0.1/32,fd00::1/128",
        ),
        (
            peer("10.0.0.1/32", endpoint=Address("2001:db8::1", 7)),
            "peer A endpoint [2001:db8::1]:7 allowed-ips 10.0.0.1/32",
        ),
    ],
)
def test_a_new_peer_is_set_completely(wanted: Peer, expected: str) -> None:
    assert words(changes({}, plan(A=wanted))) == [expected]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (peer("10.0.0.1/32", keepalive=5), "peer A persistent-keepalive 5"),
        (peer("10.0.0.2/32"), "peer A allowed-ips 10.0.0.2/32"),
        (peer(), "peer A allowed-ips "),
    ],
)
def test_of_a_known_peer_only_what_differs_is_set(wanted: Peer, expected: str) -> None:
    assert words(changes({"A": state_of("10.0.0.1/32")}, plan(A=wanted))) == [expected]


@pytest.mark.parametrize(
    ("has", "announced", "handshake", "expected"),
    [
        (THERE, HERE, NOW, False),  # roamed
        (THERE, HERE, 0, False),  # roamed, and silent since
        (THERE, THERE, NOW, True),  # announces a new one
        (HERE, THERE, NOW, False),  # announces what WireGuard had learnt
        (None, HERE, 0, True),  # somebody set the peer without one
        (THERE, None, NOW - 60, False),  # adopted, and packets flow
        (THERE, None, NOW - 600, True),  # adopted, and silent
        (THERE, None, 0, True),  # adopted, and never heard of
    ],
)
def test_an_endpoint_is_set_only_when_it_does_not_undo_roaming(
    has: Address | None, announced: Address | None, handshake: float, expected: bool
) -> None:
    have = {"A": state_of("10.0.0.1/32", endpoint=has, handshake=handshake)}
    known = {} if announced is None else {"A": announced}

    found = changes(have, plan(A=peer("10.0.0.1/32")), known)

    assert words(found) == (["peer A endpoint 198.51.100.7:51820"] if expected else [])


def test_an_adopted_endpoint_is_looked_at_again_until_it_is_certain() -> None:
    want = plan(A=peer("10.0.0.1/32"), B=peer(), C=peer())
    have = {"A": state_of("10.0.0.1/32", endpoint=THERE, handshake=NOW), "C": state_of()}
    state = WireGuardState("secret", 51820, have)
    found = peer_changes(state, want, "secret", {}, NOW)

    known = endpoints_in_place(state, want, found, {})

    assert known == {"B": HERE, "C": HERE}
    assert endpoints_in_place(state, want, found, {"A": HERE}) == {"A": HERE} | known
    assert endpoints_in_place(state, plan(), found, {"A": HERE}) == {}


def test_additions_come_before_removals() -> None:
    found = changes({"Z": state_of(), "A": state_of()}, plan(M=peer(), N=peer()))

    assert [line.split()[1:3] for line in words(found)] == [
        ["M", "endpoint"],
        ["N", "endpoint"],
        ["A", "remove"],
        ["Z", "remove"],
    ]


def test_while_incomplete_no_peer_and_no_address_is_taken_away() -> None:
    have = {"A": state_of("10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"), "B": state_of()}

    found = changes(have, plan(complete=False, A=peer("10.0.0.7/32"), C=peer("10.0.0.3/32")))

    assert words(found) == [
        "peer A allowed-ips 10.0.0.1/32,10.0.0.2/32,10.0.0.7/32",
        "peer C endpoint 198.51.100.7:51820 allowed-ips 10.0.0.3/32",
    ]


def key(number: int) -> str:
    return f"{number:042}A="


@pytest.mark.parametrize(
    ("has", "wanted", "set_to"),
    [
        (NO_KEY, "new", "new"),
        ("old", "new", "new"),
        ("old", NO_KEY, NO_KEY),
        ("same", "same", None),
        (NO_KEY, NO_KEY, None),
        ("old", None, None),
        (NO_KEY, None, None),
    ],
)
def test_a_preshared_key_is_set_alone(has: str, wanted: str | None, set_to: str | None) -> None:
    have = {"A": state_of("10.0.0.1/32", handshake=NOW, preshared=has)}

    found = changes(have, plan(A=peer("10.0.0.1/32", preshared=wanted)))

    assert found.preshared_keys == ({} if set_to is None else {"A": set_to})
    assert words(found) == ([] if set_to is None else ["peer A"])
    assert bool(found) is (set_to is not None)


@pytest.mark.parametrize("wanted", ["new", NO_KEY, None])
def test_a_new_peer_has_its_preshared_key_from_the_first(wanted: str | None) -> None:
    found = changes({}, plan(A=peer("10.0.0.1/32", preshared=wanted)))

    assert found.preshared_keys == ({"A": "new"} if wanted == "new" else {})
    assert "endpoint" in found.words["A"]


@pytest.mark.parametrize(
    ("has", "wanted", "then"), [("old", "new", "new"), ("old", "old", "old"), ("old", None, "old")]
)
def test_a_renewed_peer_has_a_preshared_key_again(has: str, wanted: str | None, then: str) -> None:
    have = state_of("10.0.0.1/32", preshared=has)

    assert renewal(have, plan(A=peer("10.0.0.1/32", preshared=wanted))).preshared_keys["A"] == then


def test_preshared_keys_are_not_shown() -> None:
    have = {"A": state_of("10.0.0.1/32", preshared="secret-1")}
    want = plan(A=peer("10.0.0.1/32", preshared="secret-2"))

    for value in (have, want, changes(have, want)):
        assert "secret-" not in repr(value)


@pytest.fixture
def fake(tools: Tools) -> Tools:
    tools.do("ip link add wg0 type wireguard")
    return tools


def set_peers(*keys: str, **rest: Any) -> PeerChanges:
    return PeerChanges(words={key: ("peer", key, "endpoint", "1.2.3.4:5") for key in keys}, **rest)


def test_addresses_change_hands_in_one_call(fake: Tools) -> None:
    one, other = key(1), key(2)
    fake.do(f"wg set wg0 peer {one} allowed-ips 10.0.0.1/32 peer {other} allowed-ips 10.0.0.2/32")
    have = {one: state_of("10.0.0.1/32"), other: state_of("10.0.0.2/32")}

    peers: dict[str, Any] = {one: peer("10.0.0.2/32"), other: peer("10.0.0.1/32")}
    swapped = plan(**peers)
    asyncio.run(apply_peer_changes("wg0", changes(have, swapped)))

    assert [fields[3] for fields in fake.dump("wg0")[1:]] == ["10.0.0.2/32", "10.0.0.1/32"]


def test_a_command_line_too_long_for_linux_is_cut(fake: Tools) -> None:
    keys = [key(number) for number in range(10_000)]

    blamed = asyncio.run(apply_peer_changes("wg0", set_peers(*keys, listen_port=7)))

    assert blamed == {}
    assert len(fake.dump("wg0")) == 10_001
    calls = fake.changing_calls
    assert len(calls) == 2
    assert [" listen-port 7 " in call for call in calls] == [True, False]
    assert all(len(call) < 600_000 for call in calls)


def secret(number: int) -> str:
    """Return a key that is nobody's public one."""
    return f"{f'secret{number}':/<42}A="


def has_keys(fake: Tools) -> dict[str, str]:
    return {fields[0]: fields[1] for fields in fake.dump("wg0")[1:]}


def test_hundreds_of_preshared_keys_take_one_call_and_are_in_no_argument(fake: Tools) -> None:
    keys = {key(number): secret(number) for number in range(300)}
    found = set_peers(*keys, preshared_keys=keys)

    assert asyncio.run(apply_peer_changes("wg0", found)) == {}

    assert has_keys(fake) == keys
    assert len(fake.changing_calls) == 1
    assert "secret" not in fake.changing_calls[0]


def test_no_tool_is_given_more_files_than_it_can_open(fake: Tools) -> None:
    keys = {key(number): secret(number) for number in range(2 * MAX_FILES + 1)}
    found = set_peers(*keys, preshared_keys=keys, private_key=secret(5000), listen_port=7)

    assert asyncio.run(apply_peer_changes("wg0", found)) == {}

    assert has_keys(fake) == keys
    assert len(fake.changing_calls) == 3


def test_a_preshared_key_is_taken_away_again(fake: Tools) -> None:
    one, other = key(1), key(2)
    asyncio.run(apply_peer_changes("wg0", set_peers(one, other, preshared_keys={one: secret(5)})))
    assert has_keys(fake) == {one: secret(5), other: "(none)"}

    taken = PeerChanges(words={one: ("peer", one)}, preshared_keys={one: NO_KEY})
    asyncio.run(apply_peer_changes("wg0", taken))

    assert has_keys(fake) == dict.fromkeys((one, other), "(none)")


def test_preshared_keys_are_set_although_some_peers_are_to_blame(fake: Tools) -> None:
    keys = [f"bad{number}" if number % 7 == 3 else key(number) for number in range(20)]
    secrets = {one: secret(number) for number, one in enumerate(keys)}

    blamed = asyncio.run(apply_peer_changes("wg0", set_peers(*keys, preshared_keys=secrets)))

    good = {one: secrets[one] for one in keys if one not in blamed}
    assert has_keys(fake) == good
    assert len(good) == 17


@pytest.mark.parametrize("bad", [[0], [99], [50], [0, 1, 50, 98, 99]])
def test_peers_to_blame_are_found_and_the_rest_is_set(fake: Tools, bad: list[int]) -> None:
    keys = [f"bad{number}" if number in bad else key(number) for number in range(100)]

    blamed = asyncio.run(apply_peer_changes("wg0", set_peers(*keys, listen_port=7)))

    assert sorted(blamed) == sorted(f"bad{number}" for number in bad)
    assert len(fake.dump("wg0")) == 101 - len(bad)
    assert fake.dump("wg0")[0][2] == "7"


def test_a_lone_bad_peer_does_not_keep_our_own_settings_from_being_set(fake: Tools) -> None:
    blamed = asyncio.run(apply_peer_changes("wg0", set_peers("bad", listen_port=7)))

    assert list(blamed) == ["bad"]
    assert fake.dump("wg0")[0][2] == "7"


def test_the_search_for_whom_to_blame_is_bounded(fake: Tools) -> None:
    keys = [f"bad{number}" for number in range(1000)]

    with pytest.raises(CommandError):
        asyncio.run(apply_peer_changes("wg0", set_peers(*keys)))

    assert len(fake.changing_calls) < 70


def test_an_interface_that_is_gone_is_not_blamed_on_its_peers(fake: Tools) -> None:
    keys = [key(number) for number in range(1000)]
    fake.do("ip link del wg0")

    with pytest.raises(CommandError, match="No such device"):
        asyncio.run(apply_peer_changes("wg0", set_peers(*keys)))

    assert len(fake.changing_calls) < 5
