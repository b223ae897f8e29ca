"""What members publish about themselves, read by Go's own decoder and by ours."""

from ipaddress import ip_address

import pytest

from tests.interop.golang import GoOf, wait_for
from tests.interop.ours import OursOf, look
from tests.testbed.agents import new_key
from wesher.gossip import MemberUpdated
from wesher.mesh.base.metadata import Metadata, MetadataFormat, decode_metadata, encode_metadata

FORMATS: list[MetadataFormat] = ["current", "v0.2"]
ADDRESSES = ["10.1.2.3", "fd00::a:1"]


def full_metadata(address: str, key: str) -> Metadata:
    """Everything that `Ext` can hold."""
    return Metadata(
        overlay_addr=ip_address(address),
        public_key=key,
        wireguard_port=51821,
        endpoint="203.0.113.7",
        overlay_net="fd00::/64" if ":" in address else "10.0.0.0/8",
        immovable=True,
        kept=True,
        version="0.0.1~dev",
        has_ext=True,
    )


@pytest.mark.parametrize("has_ext", [True, False])
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("format", FORMATS)
def test_go_reads_ours(
    go_of: GoOf, ours_of: OursOf, format: MetadataFormat, address: str, has_ext: bool
) -> None:
    go, key = go_of("gopher"), new_key()
    metadata = Metadata(ip_address(address), key)
    if has_ext:
        metadata = full_metadata(address, key)
    ours = ours_of("python").announce(encode_metadata(metadata, format))

    ours.join(go)

    joined = go.wait("join", name="python")
    mask = "" if format == "current" else f"/{128 if ':' in address else 32}"
    assert joined[format] == {"address": address + mask, "key": key}
    other = next(one for one in FORMATS if one != format)
    assert "error" in joined[other], "Go reads but one of the formats, as the protocol page says"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("format", FORMATS)
def test_we_read_theirs(go_of: GoOf, ours_of: OursOf, format: MetadataFormat, address: str) -> None:
    go, key = go_of("gopher"), new_key()
    ours = ours_of("python").announce()
    ours.join(go)
    assert ours.members["gopher"].meta is None

    go.do("gob", format, address, key)

    updated = ours.wait(MemberUpdated).member
    assert updated.meta
    assert decode_metadata(updated.meta) == Metadata(ip_address(address), key, format=format)


def test_an_update_of_ours_arrives(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce(b"first")
    ours.join(go)
    go.wait("join", name="python")

    ours.update(b"second")

    updated = go.wait("update", name="python")
    assert bytes.fromhex(updated["meta"]) == b"second"
    assert look(go.ip, key)["python"].incarnation == 2


def test_an_update_of_theirs_arrives(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher", meta=b"first".hex())
    ours = ours_of("python").announce()
    ours.join(go)

    assert go.do("meta", b"second".hex())["error"] == ""

    assert ours.wait(MemberUpdated).member.meta == b"second"
    assert ours.members["gopher"].incarnation == 3


def test_no_metadata_and_the_most_of_it(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher")
    ours = ours_of("python").announce(None)
    ours.join(go)
    assert go.wait("join", name="python")["meta"] == ""
    assert ours.members["gopher"].meta is None

    ours.update(bytes(range(256)) * 2)
    go.do("meta", (bytes(reversed(range(256))) * 2).hex())

    assert go.wait("update", name="python")["meta"] == (bytes(range(256)) * 2).hex()
    assert ours.wait(MemberUpdated).member.meta == bytes(reversed(range(256))) * 2


def test_a_burst_of_updates_ends_with_the_last(go_of: GoOf, ours_of: OursOf) -> None:
    gos = [go_of(f"gopher{n}") for n in range(3)]
    ours = ours_of("python").announce()
    for go in gos:
        ours.join(go)
    for go in gos:
        wait_for(lambda go=go: len(go.members) == 4, "everybody")

    for number in range(50):
        ours.update(b"%d" % number)

    for go in gos:
        wait_for(
            lambda go=go: go.members["python"]["meta"] == b"49".hex(), f"the last at {go.name}"
        )
