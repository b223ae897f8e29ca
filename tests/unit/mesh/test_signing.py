"""Signed metadata: whose they are can be proven, and a copy is worthless elsewhere."""

from ipaddress import ip_address

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.testbed.keys import key
from tests.unit.mesh.builders import announced
from tests.unit.mesh.node_harness import Harness, seed
from wesher.base.frozen import replace
from wesher.gossip import Address, Record, pack_ip
from wesher.mesh.base import gob
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.metadata import (
    FINGERPRINT_ROOM,
    MAX_METADATA,
    Metadata,
    MetadataFormat,
    decode_metadata,
    encode_metadata,
)
from wesher.mesh.base.signing import FORGED, identity_of, sign_metadata

WEB, THIEF = Identity(bytes(range(32))), Identity(bytes(range(1, 33)))
HERE = Address("192.0.2.1", 7946)
FORMATS: list[MetadataFormat] = ["current", "v0.2"]
PLAIN = Metadata(ip_address("10.0.0.1"), key(1), 51820, version="1.2.3", has_ext=True)


def signed(
    identity: Identity = WEB,
    name: str = "web",
    address: Address = HERE,
    format: MetadataFormat = "current",
    metadata: Metadata = PLAIN,
) -> Record:
    meta = encode_metadata(replace(metadata, identity=identity.public_key), format)
    meta = sign_metadata(meta, identity, name, address)
    return announced(name, pack_ip(address.ip), meta, address.port)


def unsigned(metadata: Metadata) -> Record:
    return replace_meta(signed(), encode_metadata(metadata, "current"))


def replace_meta(one: Record, meta: bytes) -> Record:
    return announced(one.name, one.addr, meta, one.port)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
def test_who_signs_proves_who_it_is(format: MetadataFormat, ip: str) -> None:
    said = signed(address=Address(ip, 7000), format=format)

    assert identity_of(said) == WEB.public_key
    assert decode_metadata(said.meta or b"") == replace(
        PLAIN, identity=WEB.public_key, format=format
    )


def test_the_form_of_an_ipv4_address_does_not_matter() -> None:
    said = signed()

    mapped = announced(said.name, pack_ip(HERE.ip, mapped=True), said.meta, said.port)

    assert identity_of(mapped) == WEB.public_key


def test_the_statement_is_what_the_specification_says_byte_for_byte() -> None:
    said = signed()
    assert said.meta

    statement = b"wesher/member\x01" + b"\x00\x03web" + b"\x00\x04\xc0\x00\x02\x01"
    statement += b"\x00\x02\x1f\x0a" + len(said.meta[:-65]).to_bytes(2, "big") + said.meta[:-65]

    assert said.meta[-69:-65] == b"\xa1g\xc4\x40"
    assert said.meta[-1:] == b"\0"
    Ed25519PublicKey.from_public_bytes(WEB.public_key).verify(said.meta[-65:-1], statement)


@pytest.mark.parametrize(
    "copy",
    [
        announced("web2", pack_ip(HERE.ip), signed().meta, HERE.port),
        announced("WEB", pack_ip(HERE.ip), signed().meta, HERE.port),
        announced("web", pack_ip("192.0.2.2"), signed().meta, HERE.port),
        announced("web", pack_ip("2001:db8::1"), signed().meta, HERE.port),
        announced("web", pack_ip(HERE.ip), signed().meta, HERE.port + 1),
        announced("web", pack_ip(HERE.ip), signed().meta, 0),
    ],
)
def test_a_copy_is_worthless_under_another_name_or_at_another_place(copy: Record) -> None:
    assert identity_of(copy) == FORGED


def test_no_byte_of_it_can_be_changed() -> None:
    said = signed()
    assert said.meta

    for at in range(len(said.meta)):
        changed = said.meta[:at] + bytes([said.meta[at] ^ 1]) + said.meta[at + 1 :]
        assert identity_of(replace_meta(said, changed)) != WEB.public_key


def test_a_signature_of_somebody_else_is_none() -> None:
    said = signed()
    assert said.meta

    theirs = sign_metadata(said.meta, THIEF, "web", HERE)

    assert identity_of(replace_meta(said, theirs)) == FORGED


def test_a_key_without_signature_proves_nothing() -> None:
    meta = encode_metadata(replace(PLAIN, identity=WEB.public_key), "current")

    assert identity_of(replace_meta(signed(), meta)) == FORGED


def test_members_without_a_key_have_no_identity() -> None:
    assert identity_of(unsigned(PLAIN)) is None
    assert identity_of(unsigned(Metadata(ip_address("10.0.0.1"), key(1)))) is None
    assert identity_of(replace_meta(signed(), b"")) is None
    assert identity_of(replace_meta(signed(), b"rubbish")) is None


def test_what_a_later_version_adds_is_signed_too_and_does_no_harm() -> None:
    said = signed()
    assert said.meta
    ext = gob.decode(said.meta)["Ext"]
    assert isinstance(ext, bytes)
    entries = msgpack.unpackb(ext)
    longer = msgpack.packb({"z": list(range(20)), **entries})
    head = encode_metadata(PLAIN, "current")
    plain_ext = gob.decode(head)["Ext"]
    assert isinstance(plain_ext, bytes)
    fields = [("OverlayAddr", 66), ("PubKey", gob.STRING), ("Ext", gob.BYTES)]
    values = [
        gob.encode_bytes(ip_address("10.0.0.1").packed),
        gob.encode_bytes(key(1).encode()),
        gob.encode_bytes(longer),
    ]
    meta = (
        gob.define_struct(65, "nodeMeta", fields)
        + gob.define_marshaler(66, "Addr")
        + gob.encode_value(65, gob.encode_struct(values))
    )

    later = replace_meta(said, sign_metadata(meta, WEB, "web", HERE))

    assert identity_of(later) == WEB.public_key
    assert decode_metadata(later.meta or b"").version == "1.2.3"


@pytest.mark.parametrize(
    ("format", "network", "networks"),
    [
        ("current", "fd00:1111:2222:3333:4444:5555:6666:7770/124", 8),
        ("v0.2", "fd00:1111:2222:3333::/64", 8),
        ("v0.2", "fd00:1111:2222:3333:4444:5555:6666:7770/124", 6),
    ],
)
def test_beside_all_that_we_say_there_is_room_for_ipv6_networks(
    format: MetadataFormat, network: str, networks: int
) -> None:
    everything = Metadata(
        ip_address("fd00:1111:2222:3333:4444:5555:6666:7777"),
        key(1),
        65535,
        overlay_net=network,
        immovable=True,
        kept=True,
        late=True,
        version="1.10.10",
        identity=WEB.public_key,
        has_ext=True,
    )
    two_flags = 2 * 3  # `q` and `m`

    used = len(encode_metadata(everything, format)) + FINGERPRINT_ROOM + two_flags

    assert used + 4 + 17 * networks <= MAX_METADATA


def test_a_node_signs_what_it_publishes_wherever_it_is() -> None:
    harness = Harness(identity=WEB).start()
    local = harness.node.members.local
    assert local
    assert identity_of(local) == WEB.public_key

    harness.node.move_to("192.0.2.50", harness.now)

    moved = harness.node.members.local
    assert moved
    assert moved.address.ip == "192.0.2.50"
    assert identity_of(moved) == WEB.public_key


def test_a_node_that_moved_while_it_looked_signs_for_where_it_is() -> None:
    harness = Harness(identity=WEB, seeds=(seed("192.0.2.2"),)).start()

    harness.node.move_to("192.0.2.50", harness.now)
    harness.pass_time(10)

    local = harness.node.members.local
    assert local
    assert identity_of(local) == WEB.public_key
