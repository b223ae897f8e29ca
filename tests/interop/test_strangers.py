"""Other keys, and bytes of applications that neither side knows."""

import base64
import time

import pytest

from tests.interop.golang import GoOf, wait_for
from tests.interop.ours import OursOf, look, wire_of
from wesher.gossip import (
    Address,
    DropReason,
    PacketDropped,
    UserDataReceived,
    UserMessage,
)
from wesher.gossip.codec import encode

OTHER_KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("theirs", [OTHER_KEY, ""])
def test_go_cannot_join_with_another_key_or_none(
    go_of: GoOf, ours_of: OursOf, theirs: str, compress: bool
) -> None:
    ours = ours_of("python").announce()
    go = go_of("gopher", key=theirs, compress=compress)

    answer = go.join(ours.host_port)

    assert answer["count"] == 0
    print(answer["error"])
    dropped = ours.wait(PacketDropped)
    assert dropped.reason is DropReason.UNDECRYPTABLE
    assert dropped.stream
    assert set(ours.members) == {"python"}
    assert set(go.members) == {"gopher"}


@pytest.mark.parametrize("look_only", [True, False])
def test_we_cannot_join_with_another_key(go_of: GoOf, ours_of: OursOf, look_only: bool) -> None:
    go = go_of("gopher")
    go.allowed = ("failed to receive",)
    ours = ours_of("python", key=OTHER_KEY).announce()

    finished = ours.exchange(Address(go.ip, go.port), look=look_only)

    assert finished.error
    assert finished.undecryptable
    assert set(ours.members) == {"python"}
    assert set(go.members) == {"gopher"}
    wait_for(lambda: "No installed keys could decrypt the message" in go.log, "Go's word")


def test_we_cannot_join_a_cluster_without_a_key(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher", key="")
    go.allowed = ("failed to receive", "Failed to receive")
    ours = ours_of("python").announce()

    finished = ours.exchange(Address(go.ip, go.port))

    assert finished.error
    assert set(go.members) == {"gopher"}
    assert set(ours.members) == {"python"}
    print(finished, go.log)


def test_packets_under_another_key_have_no_effect(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher")
    go.allowed = ("Decrypt packet failed",)
    ours = ours_of("python").announce()
    liar = ours_of("liar", key=OTHER_KEY)

    assert liar.ping(Address(go.ip, go.port), "gopher") is None
    assert liar.ping(Address(ours.ip, ours.port), "python") is None

    wait_for(lambda: "Decrypt packet failed" in go.log, "Go's word")
    ours.wait(PacketDropped)


@pytest.mark.parametrize("data", [b"whatever", b"", b"\xf7\x81", bytes(1300)])
def test_user_messages_of_go_have_no_effect(go_of: GoOf, ours_of: OursOf, data: bytes) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce()
    ours.join(go)
    go.wait("join", name="python")
    before = ours.members

    for way in ("packet", "stream"):
        assert go.do(way, "python", data.hex() or "00")["error"] == ""
    go.do("broadcast", (data or b"0").hex())

    wait_for(lambda: len(ours.heard(UserDataReceived)) >= 3, "all three of them")
    assert {event.payload for event in ours.heard(UserDataReceived)} <= {data, b"\0", b"0"}
    assert ours.members == before
    assert not ours.heard(PacketDropped)


def test_user_state_of_go_has_no_effect(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher")
    go.do("userstate", "00" * 5000)
    ours = ours_of("python").announce()

    ours.join(go)
    go.join(ours.host_port)

    go.wait("join", name="python")
    assert {event.payload for event in ours.heard(UserDataReceived)} == {bytes(5000)}


def test_our_user_messages_and_state_have_no_effect(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce()
    ours.do(lambda gossip, _now: gossip.send_with_tables(b"\xf7" + bytes(300)))
    before = look(go.ip, key)["gopher"]

    ours.join(go)
    message = wire_of(key).seal_packet([encode(UserMessage(b"\xf7\x01"))], checksum=True)
    ours.send(message, Address(go.ip, go.port))

    go.wait("user", data="f701")
    assert go.wait("state", data="f7" + "00" * 300)
    assert look(go.ip, key)["gopher"] == before
    assert set(go.members) == {"gopher", "python"}


def test_garbage_from_the_right_key_has_no_effect(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """Nothing that our side answers to it upsets Go, which is told the same."""
    go = go_of("gopher")
    # The last: for a moment its table has a member without name and versions, which it made itself.
    go.allowed = ("Failed to", "not supported", "Msg type", "Failed push/pull merge: Node '' ")
    ours = ours_of("python").announce()
    ours.join(go)
    sender = ours_of("sender")
    wire = wire_of(key)

    for plain in (b"\x01", b"\x06\x80", b"\xff", b"\x0d\x81", b"\x04\xc0", b"\x03\x80", bytes(3)):
        for member in (go, ours):
            sender.send(wire.seal_packet([plain], checksum=True), Address(member.ip, member.port))
    time.sleep(0.3)

    go.reach("python")
    assert set(ours.members) == set(go.members) == {"gopher", "python"}
