"""What the mesh wants kept comes back after a restart, by whatever clock that start has."""

import time
from ipaddress import ip_address

from wesher.agent.state import as_saved, as_state, wall_clock_began
from wesher.gossip import Address
from wesher.mesh.base.saved import Former, Saved, SavedMember, Tombstone
from wesher.system.state_file import State, decode, encode

KEY = bytes(range(32))
SAVED = Saved(
    ip_address("10.1.2.3"),
    7,
    (
        SavedMember("alive", Address("192.0.2.1", 7946), b"meta", incarnation=3),
        SavedMember("failed", Address("192.0.2.2", 7947), b"meta", incarnation=4, failed_at=50.0),
        SavedMember("left", Address("192.0.2.3", 7946), None, left=True),
    ),
    (Tombstone("left", 2, 60.0),),
    fixed=True,
    former=Former(ip_address("10.3.2.1"), 70.0),
)


def test_what_is_kept_comes_back_unchanged() -> None:
    state = as_state((KEY,), KEY, SAVED, 1_000_000.0)

    assert as_saved(state, 7946, 1_000_000.0) == SAVED


def test_times_are_saved_by_the_clock_on_the_wall_in_whole_seconds() -> None:
    state = decode(encode(as_state((KEY,), KEY, SAVED, 1_000_000.4)))

    later = as_saved(state, 7946, 1_000_500.0)

    assert state.mesh.members[1].failed_at == 1_000_050
    assert state.mesh.former
    assert state.mesh.former.left_at == 1_000_070
    assert later.members[1].failed_at == -450.0
    assert later.tombstones[0].made_at == -440.0
    assert later.former
    assert later.former.left_at == -430.0


def test_the_clock_of_the_node_began_when_it_says() -> None:
    now = time.clock_gettime(time.CLOCK_REALTIME)

    assert abs(wall_clock_began(100.0) - (now - 100.0)) < 60


def test_members_without_a_port_have_ours() -> None:
    state = State(KEY, Saved(members=(SavedMember("of-go", Address("192.0.2.9", 0)),)))

    [member] = as_saved(state, 7947, 0).members

    assert member.address == Address("192.0.2.9", 7947)
