"""What `wg show dump` says, and keys."""

import base64
from ipaddress import ip_network

import pytest

from wesher.base.addresses import Address
from wesher.base.errors import CommandError
from wesher.system.wireguard import (
    PeerState,
    WireGuardState,
    generate_private_key,
    is_no_wireguard,
    parse_dump,
    public_key_of,
)


def test_a_blank_interface_has_neither_key_nor_peers() -> None:
    state = parse_dump("(none)\t(none)\t49261\toff\n")

    assert state == WireGuardState(None, 49261, {})
    assert state.blank


def test_a_peer_is_read_field_by_field() -> None:
    dump = (
        "PRIVATE\tPUBLIC\t51820\t0x20\n"
        "KEY1\t(none)\t198.51.100.7:5\t10.0.0.1/32,fd00::1/128\t1700000000\t12\t34\t25\n"
        "KEY2\t(none)\t[fe80::1%eth0]:51820\t(none)\t0\t0\t0\toff\n"
        "KEY3\tPSK\t(none)\t(none)\t0\t0\t0\toff\n"
    )

    state = parse_dump(dump)

    assert (state.private_key, state.listen_port, state.blank) == ("PRIVATE", 51820, False)
    assert state.peers == {
        "KEY1": PeerState(
            Address("198.51.100.7", 5),
            frozenset({ip_network("10.0.0.1/32"), ip_network("fd00::1/128")}),
            keepalive=25,
            latest_handshake=1700000000,
            received=12,
            sent=34,
        ),
        "KEY2": PeerState(Address("fe80::1%eth0", 51820), frozenset()),
        "KEY3": PeerState(None, frozenset(), preshared_key="PSK"),
    }
    assert "PSK" not in repr(state)


@pytest.mark.parametrize(
    "text", ["", "SECRET\n", "SECRET\tPUBLIC\tport\toff\n", "SECRET\tPUBLIC\t1\toff\nKEY\t(none)\n"]
)
def test_nonsense_is_an_error_that_does_not_show_keys(text: str) -> None:
    with pytest.raises(CommandError, match="could not be understood") as caught:
        parse_dump(text)

    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_private_key_is_not_shown_by_accident() -> None:
    assert "SECRET" not in repr(WireGuardState("SECRET", 1, {}))


def test_a_generated_key_is_32_bytes_and_never_the_same() -> None:
    one, other = generate_private_key(), generate_private_key()

    assert len(base64.b64decode(one)) == 32
    assert one != other


def test_the_public_key_is_that_of_the_specification() -> None:
    # RFC 7748, section 6.1: Alice's keys
    private = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"

    found = public_key_of(base64.b64encode(bytes.fromhex(private)).decode())

    assert base64.b64decode(found).hex() == public


@pytest.mark.parametrize(
    ("handshake", "expected"), [(0, False), (1000 - 181, False), (1000 - 179, True)]
)
def test_a_session_lives_three_minutes_after_its_handshake(handshake: int, expected: bool) -> None:
    peer = PeerState(None, frozenset(), latest_handshake=handshake)

    assert peer.has_session(now=1000.0) is expected


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("Unable to access interface: Operation not supported", True),
        ("Unable to access interface: Protocol not supported", True),
        ("Unable to access interface: Operation not permitted", False),
    ],
)
def test_another_kind_of_interface_is_recognized(stderr: str, expected: bool) -> None:
    assert is_no_wireguard(CommandError(("wg", "show", "lo", "dump"), 1, stderr)) is expected
