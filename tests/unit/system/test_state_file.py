import base64
import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, strategies

from wesher.base.addresses import Address
from wesher.base.errors import StartError
from wesher.base.frozen import replace
from wesher.mesh.base.pins import Pin
from wesher.mesh.base.saved import Former, Saved, SavedMember, Tombstone
from wesher.system.state_file import (
    State,
    StateFile,
    StateFileError,
    decode,
    encode,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "state"
KEY = bytes(range(32))
KEY_TEXT = base64.b64encode(KEY).decode()
STATE = State(
    cluster_key=KEY,
    mesh=Saved(
        members=(
            SavedMember(
                "north",
                Address("192.0.2.1", 7946),
                b"meta",
                incarnation=5,
                failed_at=1_700_000_000,
            ),
            SavedMember("south", Address("2001:db8::1", 0), left=True),
        ),
        overlay_addr=ip_address("10.1.2.3"),
        incarnation=7,
        tombstones=(Tombstone("south", 4, 1_700_000_100),),
    ),
)


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state", "wg0")


def put(file: StateFile, content: bytes) -> None:
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_bytes(content)


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("vector", "names"),
    [("node03-wgoverlay", ["node01", "node02"]), ("node01-wgoverlay", ["node02"])],
)
def test_state_files_of_go_wesher_are_read_and_written_alike(vector: str, names: list[str]) -> None:
    content = (VECTORS / f"{vector}.json").read_bytes()

    state = decode(content)
    written = json.loads(encode(state))

    assert state.cluster_key == KEY
    assert [node.name for node in state.mesh.members] == names
    assert state.mesh.members[-1].address.ip == "192.168.77.2"
    assert state.mesh.members[-1].meta
    assert state.mesh.members[-1].meta.startswith(bytes.fromhex("32ff8103"))
    assert {name: written[name] for name in ("ClusterKey", "Nodes")} == json.loads(content)


@pytest.mark.case(40)
def test_the_state_of_v0_2_6_is_read(tmp_path: Path) -> None:
    document = {
        "ClusterKey": KEY_TEXT,
        "Nodes": [
            {
                "Name": "old",
                "Addr": "10.0.0.2",
                "OverlayAddr": {"IP": "10.0.0.1", "Mask": "/////w=="},
                "PubKey": "x",
            }
        ],
    }
    (tmp_path / "state.json").write_text(json.dumps(document))

    state = StateFile(tmp_path, "wg0").load()

    assert state == State(KEY, Saved(members=(SavedMember("old", Address("10.0.0.2", 0)),)))


def test_our_own_file_wins_over_that_of_v0_2_6_which_is_never_written(tmp_path: Path) -> None:
    legacy = tmp_path / "state.json"
    legacy.write_text(json.dumps({"ClusterKey": base64.b64encode(bytes(32)).decode()}))
    before = legacy.read_bytes()
    file = StateFile(tmp_path, "wg0")

    file.save(STATE)

    assert StateFile(tmp_path, "wg0").load() == STATE
    assert legacy.read_bytes() == before


def test_what_was_saved_is_loaded(file: StateFile) -> None:
    assert file.save(STATE) is True

    assert file.load() == STATE


def test_nothing_saved_is_an_empty_state(file: StateFile) -> None:
    assert file.load() == State()


def test_every_field_go_reads_has_the_type_go_wants() -> None:
    somebody = SavedMember("n", Address("192.0.2.1", 0))
    state = State(KEY, Saved(members=(somebody, SavedMember("m", Address("fe80::1%eth0", 1), b""))))

    document = json.loads(encode(state))

    assert document["Nodes"][0] == {
        "Name": "n",
        "Addr": "192.0.2.1",
        "Meta": None,
        "OverlayAddr": "",
        "PubKey": "",
    }
    assert document["Nodes"][1]["Addr"] == ""
    assert document["Nodes"][1]["Meta"] == ""


def test_the_file_and_its_directory_are_ours_alone(file: StateFile) -> None:
    file.save(STATE)

    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(file.path.parent) == ["wg0.json"]


def test_an_unchanged_state_is_not_written_again(file: StateFile) -> None:
    file.save(STATE)
    before = file.path.stat().st_ino

    assert file.save(STATE) is False

    assert file.path.stat().st_ino == before


def test_a_state_file_that_was_removed_is_written_again(file: StateFile) -> None:
    file.save(STATE)
    file.path.unlink()

    assert file.save(STATE) is True
    assert file.load() == STATE


def test_a_left_over_temporary_file_is_no_obstacle(file: StateFile) -> None:
    put(file, b"")
    file.path.unlink()
    file.path.with_name("wg0.json.tmp").write_bytes(b"half")

    file.save(STATE)

    assert os.listdir(file.path.parent) == ["wg0.json"]


@pytest.mark.parametrize(
    "text",
    [
        '{"clusterkey": "%s", "NODES": null}',
        '{"CLUSTERKEY": "%s"}',
        '{"ClusterKey": "%s", "Nodes": [], "Future": {"x": 1}}',
        '\n {"ClusterKey": "%s", "Nodes": {"a": 1}} \n',
        '{"ClusterKey": "%s", "Wesher": 3}',
    ],
)
def test_every_spelling_of_the_key_is_read(text: str) -> None:
    assert decode((text % KEY_TEXT).encode()) == State(cluster_key=KEY)


def test_line_ends_inside_base64_are_skipped() -> None:
    text = f"{KEY_TEXT[:20]}\\r\\n{KEY_TEXT[20:]}"

    assert decode(f'{{"ClusterKey": "{text}"}}'.encode()).cluster_key == KEY


@pytest.mark.parametrize(
    "node",
    [
        None,
        3,
        [],
        {},
        {"Name": "n"},
        {"Name": "n", "Addr": ""},
        {"Name": "n", "Addr": "not an address"},
        {"Name": "n", "Addr": "fe80::1%eth0"},
        {"Name": "n", "Addr": 7},
        {"Name": "", "Addr": "192.0.2.1"},
        {"Name": 5, "Addr": "192.0.2.1"},
    ],
)
def test_a_bad_node_is_left_out_and_loses_nothing_else(
    node: object,
) -> None:
    good = {"Name": "good", "Addr": "::ffff:192.0.2.1"}
    document = {"ClusterKey": KEY_TEXT, "Nodes": [node, good]}

    state = decode(json.dumps(document).encode())

    assert state == State(KEY, Saved(members=(SavedMember("good", Address("192.0.2.1", 0)),)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Port", 0),
        ("Port", 65536),
        ("Port", "7946"),
        ("Port", True),
        ("Meta", "not base64!"),
        ("Meta", "AAA"),
        ("Meta", 1),
        ("Meta", "A" * 1000),
        ("Left", "yes"),
    ],
)
def test_a_bad_optional_field_is_left_out(field: str, value: int | str) -> None:
    node = {"Name": "n", "Addr": "192.0.2.1", field: value}

    state = decode(json.dumps({"ClusterKey": KEY_TEXT, "Nodes": [node]}).encode())

    assert state.mesh.members == (SavedMember("n", Address("192.0.2.1", 0)),)


@pytest.mark.parametrize("value", [-1, 2**32, 1.5, "3", True, None])
def test_a_bad_incarnation_counts_as_none(value: float | str | None) -> None:
    document = {"ClusterKey": KEY_TEXT, "Wesher": {"Incarnation": value}}

    assert decode(json.dumps(document).encode()).mesh.incarnation == 0


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "south",
        {},
        {"Name": "", "Incarnation": 1, "MadeAt": 1},
        {"Name": 3, "Incarnation": 1, "MadeAt": 1},
        {"Name": "n", "Incarnation": -1, "MadeAt": 1},
        {"Name": "n", "MadeAt": 1},
        {"Name": "n", "Incarnation": 1, "MadeAt": 2**60},
        {"Name": "n", "Incarnation": 1},
    ],
    ids=repr,
)
def test_a_bad_tombstone_is_left_out(entry: object) -> None:
    good = {"Name": "south", "Incarnation": 4, "MadeAt": 1_700_000_100}
    document = {"ClusterKey": KEY_TEXT, "Wesher": {"Tombstones": [entry, good]}}

    state = decode(json.dumps(document).encode())

    assert state.mesh.tombstones == (Tombstone("south", 4, 1_700_000_100),)


def test_marks_of_our_overlay_address_come_back() -> None:
    former = Former(ip_address("10.1.2.3"), 1_700_000_000)
    state = State(KEY, Saved(ip_address("10.7.7.7"), fixed=True, former=former))

    assert decode(encode(state)) == state
    assert b"F" not in encode(State(KEY)).split(b'"Wesher"')[1]


@pytest.mark.parametrize(
    "marks",
    [
        {"Fixed": "yes", "FormerAddr": "10.1.2.3"},
        {"Fixed": 1, "FormerAddr": "10.1.2", "FormerLeftAt": 7},
        {"Fixed": None, "FormerAddr": "10.1.2.3", "FormerLeftAt": "7"},
        {"FormerAddr": "10.1.2.3", "FormerLeftAt": -7},
        {"FormerLeftAt": 7},
    ],
)
def test_bad_marks_of_our_overlay_address_are_left_out(marks: dict[str, int | str | None]) -> None:
    state = decode(json.dumps({"ClusterKey": KEY_TEXT, "Wesher": marks}).encode())

    assert (state.mesh.fixed, state.mesh.former) == (False, None)


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(),
    lambda inner: (
        strategies.lists(inner)
        | strategies.dictionaries(
            strategies.sampled_from(
                [
                    *("Name", "Addr", "Meta", "Port", "Left", "Incarnation", "FailedAt"),
                    *("OverlayAddr", "Tombstones", "MadeAt"),
                    *("Fixed", "FormerAddr", "FormerLeftAt"),
                ]
            ),
            inner,
        )
    ),
)


@given(nodes=JSON, ours=JSON)
def test_nothing_in_a_file_with_a_proper_key_loses_the_key(nodes: object, ours: object) -> None:
    document = {"ClusterKey": KEY_TEXT, "Nodes": nodes, "Wesher": ours}

    state = decode(json.dumps(document).encode())

    assert state.cluster_key == KEY
    assert decode(encode(state)) == state


DAMAGED_WITH_KEY = [
    f'{{"ClusterKey": "{KEY_TEXT}", "Nodes": [{{"Na'.encode(),
    f'{{"ClusterKey": "{KEY_TEXT}"}} trailing garbage'.encode(),
    f'\x00\xff{{ "clusterkey"  : "{KEY_TEXT}"'.encode("latin-1"),
    f'{{"ClusterKey": "{KEY_TEXT}", "Nodes": {"[" * 100_000}'.encode(),
]
DAMAGED_WITHOUT_KEY = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"ClusterKey": null}',
    b'{"ClusterKey": ""}',
    b'{"ClusterKey": 3}',
    b'{"ClusterKey": "c2hvcnQ="}',
    f'{{"ClusterKey": "{KEY_TEXT[:-9]}'.encode(),
    bytes(4096),
]


@pytest.mark.parametrize("content", DAMAGED_WITH_KEY, ids=range(len(DAMAGED_WITH_KEY)))
def test_the_key_of_a_damaged_file_is_recovered_and_the_file_kept(
    file: StateFile, content: bytes
) -> None:
    put(file, content)

    state = file.load()

    assert state == State(cluster_key=KEY)
    assert file.path.with_name("wg0.json.corrupt").read_bytes() == content
    assert not file.path.exists()


@pytest.mark.parametrize("content", DAMAGED_WITHOUT_KEY, ids=range(len(DAMAGED_WITHOUT_KEY)))
def test_a_lost_key_stops_this_start_and_the_next(file: StateFile, content: bytes) -> None:
    put(file, content)

    for _ in range(2):
        with pytest.raises(StartError, match=r"wg0\.json\.corrupt.*--cluster-key.*--init"):
            file.load()

    assert os.listdir(file.path.parent) == ["wg0.json.corrupt"]


def test_a_key_recovered_but_not_saved_before_a_crash_is_recovered_again(file: StateFile) -> None:
    put(file, DAMAGED_WITH_KEY[0])
    file.load()

    assert file.load() == State(cluster_key=KEY)


def test_a_lost_key_does_not_matter_when_one_is_given(file: StateFile) -> None:
    put(file, b"damaged")

    state = file.load(key_needed=False)
    file.save(STATE)

    assert state == State()
    assert file.load() == STATE


def test_a_second_damaged_file_does_not_overwrite_the_first(file: StateFile) -> None:
    for content in (b"first", b"second"):
        put(file, content)
        file.load(key_needed=False)

    first, second = (file.path.with_name(f"wg0.json.corrupt{end}") for end in ("", ".1"))
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")


def test_files_set_aside_do_not_grow_without_end(file: StateFile) -> None:
    for number in range(15):
        put(file, str(number).encode())
        file.load(key_needed=False)

    assert len(os.listdir(file.path.parent)) == 10
    assert file.path.with_name("wg0.json.corrupt.9").read_bytes() == b"14"


def test_a_damaged_file_of_v0_2_6_stays_where_it_is(tmp_path: Path) -> None:
    legacy = tmp_path / "state.json"
    legacy.write_bytes(DAMAGED_WITH_KEY[0])

    state = StateFile(tmp_path, "wg0").load()

    assert state.cluster_key == KEY
    assert os.listdir(tmp_path) == ["state.json"]


def test_init_sets_the_state_aside(file: StateFile) -> None:
    file.save(STATE)

    kept = file.set_aside()

    assert kept == file.path.with_name("wg0.json.old")
    assert decode(kept.read_bytes()) == STATE
    assert file.load() == State()
    assert file.set_aside() is None


def test_a_full_disk_leaves_the_earlier_state_intact(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.save(STATE)

    def full(descriptor: int, content: bytes, offset: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StateFileError, match="No space left on device"):
        file.save(State(cluster_key=bytes(32)))
    monkeypatch.undo()

    assert file.load() == STATE
    assert os.listdir(file.path.parent) == ["wg0.json"]


def test_a_state_that_could_not_be_saved_is_saved_the_next_time(
    file: StateFile, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StateFileError):
        file.save(STATE)
    (tmp_path / "state").unlink()

    assert file.save(STATE) is True


def test_a_state_without_key_is_not_saved(file: StateFile) -> None:
    with pytest.raises(ValueError, match="without cluster key"):
        file.save(State())


def test_an_unreadable_file_stops_the_start(file: StateFile) -> None:
    file.path.mkdir(parents=True)

    with pytest.raises(StartError, match="cannot read"):
        file.load()


def test_a_printed_state_does_not_show_the_key() -> None:
    assert repr(KEY) not in repr(STATE)


def flips(content: bytes) -> Iterator[bytes]:
    for at in range(len(content)):
        for bit in range(8):
            yield content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def test_no_flipped_bit_starts_with_another_key(file: StateFile) -> None:
    content = encode(State(KEY, Saved(ip_address("10.1.2.3"))))
    keys = set()
    for damaged in flips(content):
        put(file, damaged)
        with contextlib.suppress(StartError):
            keys.add(file.load().cluster_key)
        for aside in file.path.parent.glob("*.corrupt*"):
            aside.unlink()

    assert keys == {KEY}


def test_a_flipped_bit_in_the_key_of_damaged_json_does_not_give_another_key(
    file: StateFile,
) -> None:
    put(file, encode(STATE).replace(KEY_TEXT.encode(), b"B" + KEY_TEXT[1:].encode())[:-1])

    with pytest.raises(StartError, match="its cluster key is lost"):
        file.load()


def test_other_keys_come_back_in_their_order_and_what_is_older_does_not_mind_them(
    file: StateFile,
) -> None:
    several = replace(STATE, other_keys=(bytes(range(2, 34)), bytes(range(1, 33))))
    file.save(several)

    assert file.load() == several
    document = json.loads(encode(several))
    assert document["ClusterKey"] == KEY_TEXT
    del document["Wesher"]["OtherKeys"]  # what an older version knows of the file
    assert decode(json.dumps(document).encode()) == STATE


def test_a_state_with_one_key_is_written_as_ever() -> None:
    assert "OtherKeys" not in json.loads(encode(STATE))["Wesher"]


def test_a_flipped_bit_in_another_key_is_damage_too(file: StateFile) -> None:
    other = bytes(range(1, 33))
    text = base64.b64encode(other).decode().encode()
    content = encode(replace(STATE, other_keys=(other,)))
    put(file, content.replace(text, text[:-2] + bytes([text[-2] ^ 4]) + text[-1:]))

    assert file.load() == State(cluster_key=KEY)
    assert list(file.path.parent.glob("*.corrupt"))


IDENTITY = bytes(range(3, 35))
IDENTITY_TEXT = base64.b64encode(IDENTITY).decode()


def test_the_key_of_this_host_comes_back_and_what_is_older_does_not_mind_it(
    file: StateFile,
) -> None:
    known = replace(STATE, identity=IDENTITY)
    file.save(known)

    assert file.load() == known
    document = json.loads(encode(known))
    assert document["Wesher"].pop("IdentityKey") == IDENTITY_TEXT
    del document["Wesher"]["IdentityCheck"]
    assert decode(json.dumps(document).encode()) == STATE


@pytest.mark.parametrize("field", ["IdentityKey", "IdentityCheck"])
def test_a_damaged_key_of_this_host_is_damage_since_it_would_be_another_host(
    file: StateFile, field: str
) -> None:
    document = json.loads(encode(replace(STATE, identity=IDENTITY)))
    text = document["Wesher"][field]
    document["Wesher"][field] = ("B" if text[0] != "B" else "C") + text[1:]
    put(file, json.dumps(document).encode())

    assert file.load() == State(cluster_key=KEY)
    assert list(file.path.parent.glob("*.corrupt"))


def test_the_key_of_this_host_is_recovered_from_a_damaged_file(file: StateFile) -> None:
    put(file, encode(replace(STATE, identity=IDENTITY))[:-1])

    assert file.load() == State(cluster_key=KEY, identity=IDENTITY)


PINS = (
    Pin("web", bytes(32), 2, bytes(range(32)), bytes(range(64))),
    Pin("gone", None, 1, bytes(range(32)), bytes(range(64))),
    Pin("db", bytes(range(1, 33))),
)


def test_pins_come_back(file: StateFile) -> None:
    pinned = replace(STATE, mesh=replace(STATE.mesh, pins=PINS))
    file.save(pinned)

    assert file.load() == pinned
    assert "Pins" not in json.loads(encode(STATE))["Wesher"]


@pytest.mark.parametrize(
    "damage",
    [{"Name": ""}, {"Identity": "AA=="}, {"Identity": "?"}, {"Serial": -1}, {"Author": "AA=="}],
)
def test_a_damaged_pin_is_left_out(file: StateFile, damage: dict[str, object]) -> None:
    document = json.loads(encode(replace(STATE, mesh=replace(STATE.mesh, pins=PINS))))
    document["Wesher"]["Pins"][0] |= damage
    put(file, json.dumps(document).encode())

    assert file.load().mesh.pins == PINS[1:]


def test_no_key_is_in_a_printed_state() -> None:
    printed = repr(replace(STATE, other_keys=(bytes(range(1, 33)),), identity=IDENTITY))

    assert repr(IDENTITY) not in printed
    assert repr(bytes(range(1, 33))) not in printed
    assert repr(KEY) not in printed


def test_a_key_without_fingerprint_is_that_of_the_go_program(file: StateFile) -> None:
    document = json.loads(encode(STATE))
    del document["Wesher"]["KeyCheck"]
    put(file, json.dumps(document).encode())

    assert file.load() == STATE


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_at_once(file: StateFile, make: Callable[[Path], None]) -> None:
    file.path.parent.mkdir()
    make(file.path)

    with pytest.raises(StartError, match=r"cannot read .*(not a regular file|Is a directory)"):
        file.load()


def test_parents_of_the_state_directory_are_not_for_everybody_to_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        StateFile(tmp_path / "a" / "b" / "state", "wg0").save(STATE)
    finally:
        os.umask(before)

    modes = [path.stat().st_mode & 0o7777 for path in sorted((tmp_path / "a").rglob("*/"))]
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o755
    assert modes[:2] == [0o755, 0o700]
