"""What an agent settles before it runs: its key, and where it is reached."""

import asyncio
import base64
import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from tests.testbed.tools import Tools
from wesher.agent import own_address
from wesher.agent.own_address import find_underlay
from wesher.agent.state import load_state, settle_state, with_identity
from wesher.base.addresses import Address
from wesher.base.errors import ConfigError, StartError
from wesher.base.frozen import replace
from wesher.base.naming import fingerprint
from wesher.config.config import Config, load
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.system.state_file import State, StateFile

KEY, OTHER, THIRD, FOURTH = (bytes(range(first, first + 32)) for first in range(4))
MESH = Saved(members=(SavedMember("web", Address("192.0.2.2", 0)),))
ENTERED = replace(MESH, overlay_addr=ip_address("10.7.7.7"), incarnation=5)


def keyed_state(settings: Config, file: StateFile) -> State:
    """Return the state that an agent starts with."""
    return settle_state(settings, load_state(settings, file), file)


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(tmp_path / "default.toml"))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Return what is logged while a test runs, each line with its level."""
    lines: list[str] = []
    number = logger.add(
        lambda line: lines.append(line.rstrip()), format="{level} {message}", level="INFO"
    )
    yield lines
    logger.remove(number)


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state", "wgoverlay")


@pytest.fixture
def unsavable(file: StateFile) -> StateFile:
    """A state file in a directory that takes no new files, not even from root."""
    file.path.with_name(file.path.name + ".tmp").mkdir(parents=True)
    return file


def config(*keys: bytes, **flags: str) -> Config:
    given = {"node_name": "local", **flags}
    return load(given | ({"cluster_key": ",".join(map(text, keys))} if keys else {}), {})


# The key


def test_without_any_key_one_is_made_saved_and_pointed_to(
    file: StateFile, capsys: pytest.CaptureFixture[str]
) -> None:
    state = keyed_state(config(), file)

    assert state.cluster_key
    assert len(state.cluster_key) == 32
    assert StateFile(file.path.parent, "wgoverlay").load() == state
    assert capsys.readouterr().out == f"new cluster key generated, it is in {file.path}\n"


def test_on_a_terminal_a_new_key_is_shown_and_never_logged(
    file: StateFile,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    logged: list[str],
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    state = keyed_state(config(), file)

    assert state.cluster_key
    shown = text(state.cluster_key)
    assert capsys.readouterr().out == f"new cluster key generated: {shown}\n"
    assert shown not in "".join(logged)


def test_two_new_keys_are_different(tmp_path: Path) -> None:
    one, two = (keyed_state(config(), StateFile(tmp_path / name, "wg")) for name in "ab")

    assert one.cluster_key != two.cluster_key


def test_a_new_key_that_cannot_be_saved_is_not_used(
    unsavable: StateFile, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StartError, match="of no use unsaved"):
        keyed_state(config(), unsavable)

    assert capsys.readouterr().out == ""


def test_a_saved_key_is_used_in_silence_with_all_that_was_saved(
    file: StateFile, capsys: pytest.CaptureFixture[str], logged: list[str]
) -> None:
    saved = State(KEY, ENTERED)
    file.save(saved)

    state = keyed_state(config(join="192.0.2.2"), file)

    assert state == saved
    assert capsys.readouterr().out == ""
    assert logged == []


def test_a_given_key_that_is_the_saved_one_keeps_everything(
    file: StateFile, logged: list[str]
) -> None:
    saved = State(KEY, ENTERED)
    file.save(saved)

    assert keyed_state(config(KEY), file) == saved
    assert logged == []


def test_a_given_key_that_differs_wins_and_drops_the_old_cluster(
    file: StateFile, logged: list[str]
) -> None:
    file.save(State(OTHER, ENTERED))

    state = keyed_state(config(KEY), file)

    assert state == StateFile(file.path.parent, "wgoverlay").load() == State(KEY)
    (line,) = logged
    assert line.startswith("WARNING")
    assert "the given cluster key is not the saved one" in line
    assert text(KEY) not in line


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        ((KEY, OTHER), (KEY,)),
        ((OTHER, KEY), (KEY, OTHER)),
        ((OTHER,), (OTHER, KEY)),
        ((OTHER, THIRD), (KEY, OTHER)),
    ],
)
def test_given_keys_that_share_one_with_the_saved_ones_win_and_keep_the_members(
    file: StateFile, logged: list[str], given: tuple[bytes, ...], saved: tuple[bytes, ...]
) -> None:
    known = State(saved[0], ENTERED, other_keys=saved[1:])
    file.save(known)

    state = keyed_state(config(*given), file)

    assert state == replace(known, cluster_key=given[0], other_keys=given[1:])
    (line,) = logged
    theirs, ours = (", ".join(map(fingerprint, keys)) for keys in (saved, given))
    assert line == (
        f"WARNING the given cluster keys ({ours}) are not the saved ones ({theirs}): "
        "those given count"
    )


def test_keys_that_share_none_with_the_saved_ones_are_of_another_cluster(
    file: StateFile, logged: list[str]
) -> None:
    file.save(State(KEY, MESH, other_keys=(OTHER,)))

    state = keyed_state(config(THIRD, FOURTH), file)

    assert (
        state
        == StateFile(file.path.parent, "wgoverlay").load()
        == State(THIRD, other_keys=(FOURTH,))
    )
    assert "this start knows nothing of the old cluster's members" in logged[0]


def test_saved_keys_are_all_used_in_silence(file: StateFile, logged: list[str]) -> None:
    saved = State(KEY, MESH, other_keys=(OTHER,))
    file.save(saved)

    assert keyed_state(config(join="192.0.2.2"), file) == saved
    assert keyed_state(config(KEY, OTHER), file) == saved
    assert logged == []


def test_a_host_makes_a_key_of_its_own_once_and_keeps_it_whatever_the_cluster_key_is(
    file: StateFile,
) -> None:
    first = with_identity(keyed_state(config(KEY), file), file)

    assert first.identity
    assert len(first.identity) == 32
    assert file.load() == first
    assert with_identity(keyed_state(config(KEY), file), file) == first
    assert with_identity(keyed_state(config(OTHER), file), file).identity == first.identity


def test_a_host_that_starts_anew_or_is_a_clone_makes_another_key_of_its_own(
    file: StateFile,
) -> None:
    first = with_identity(keyed_state(config(KEY), file), file)

    fresh = with_identity(first, file, fresh=True)
    new = with_identity(keyed_state(config(init="true"), file), file)

    assert len({first.identity, fresh.identity, new.identity}) == 3


def test_a_key_of_our_own_that_cannot_be_saved_serves_this_start(
    unsavable: StateFile, logged: list[str]
) -> None:
    state = with_identity(keyed_state(config(KEY), unsavable), unsavable)

    assert state.identity
    assert "makes this host another identity" in logged[-1]


def test_a_given_key_on_a_fresh_host_is_saved_in_silence(
    file: StateFile, capsys: pytest.CaptureFixture[str], logged: list[str]
) -> None:
    state = keyed_state(config(KEY, join="192.0.2.2"), file)

    assert state == StateFile(file.path.parent, "wgoverlay").load() == State(KEY)
    assert capsys.readouterr().out == ""
    assert logged == []


def test_a_given_key_that_cannot_be_saved_is_used_with_a_warning(
    unsavable: StateFile, logged: list[str]
) -> None:
    state = keyed_state(config(KEY), unsavable)

    assert state == State(KEY)
    assert "the next start needs the cluster key again" in logged[0]


def test_joining_without_a_key_is_refused(file: StateFile) -> None:
    with pytest.raises(ConfigError, match="--cluster-key"):
        keyed_state(config(join="192.0.2.2"), file)

    assert not file.path.exists()


def test_a_new_beginning_sets_the_earlier_state_aside(file: StateFile, logged: list[str]) -> None:
    file.save(State(OTHER, MESH))

    state = keyed_state(config(init="true"), file)

    assert state.cluster_key != OTHER
    assert state.mesh.members == ()
    (old,) = file.path.parent.glob("*.old")
    assert text(OTHER) in old.read_text()
    assert str(old) in logged[0]


def test_a_new_beginning_with_a_key_knows_nothing_of_the_old_cluster(
    file: StateFile, logged: list[str]
) -> None:
    file.save(State(KEY, ENTERED))

    assert keyed_state(config(KEY, init="true"), file) == State(KEY)
    assert len(logged) == 1


def test_a_new_beginning_on_a_fresh_host_says_nothing_special(
    file: StateFile, logged: list[str]
) -> None:
    keyed_state(config(init="true"), file)

    assert logged == []


def test_a_new_beginning_that_is_refused_leaves_the_earlier_state_in_place(file: StateFile) -> None:
    file.save(State(OTHER, MESH))

    with pytest.raises(ConfigError):
        keyed_state(config(init="true", join="192.0.2.2"), file)

    assert StateFile(file.path.parent, "wgoverlay").load() == State(OTHER, MESH)


@pytest.mark.parametrize(
    "flags",
    [{"init": "true"}, {"init": "true", "cluster_key": text(KEY)}, {"cluster_key": text(KEY)}],
)
def test_nothing_is_replaced_before_the_state_is_settled(
    file: StateFile, logged: list[str], flags: dict[str, Any]
) -> None:
    """Taken ports and missing rights may refuse the start in between."""
    saved = State(OTHER, MESH)
    file.save(saved)

    load_state(config(**flags), file)

    assert StateFile(file.path.parent, "wgoverlay").load() == saved
    assert list(file.path.parent.iterdir()) == [file.path]
    assert not any("aside" in line for line in logged)


def test_a_new_key_that_cannot_be_saved_puts_the_earlier_state_back(
    file: StateFile, logged: list[str]
) -> None:
    saved = State(OTHER, MESH)
    file.save(saved)
    file.path.with_name(file.path.name + ".tmp").mkdir()

    with pytest.raises(StartError, match="of no use unsaved"):
        keyed_state(config(init="true"), file)

    assert StateFile(file.path.parent, "wgoverlay").load() == saved
    assert not list(file.path.parent.glob("*.old"))
    assert logged == []


def test_a_damaged_state_without_a_key_is_fatal_unless_one_is_given(file: StateFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("{")

    with pytest.raises(StartError, match="--init"):
        keyed_state(config(), file)
    assert keyed_state(config(KEY), file) == State(KEY)


# Our addresses


def underlay(**flags: Any) -> tuple[str, str, bool]:
    found = asyncio.run(find_underlay(config(**flags)))
    return str(found.bind), str(found.advertise), found.mapped


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_address, "ADDRESS_PATIENCE", 0.3)
    monkeypatch.setattr(own_address, "_POLL_INTERVAL", 0.05)


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ({}, ("0.0.0.0", "192.0.2.10", True)),
        ({"bind_addr": "192.0.2.10"}, ("192.0.2.10", "192.0.2.10", False)),
        ({"bind_iface": "eth0"}, ("192.0.2.10", "192.0.2.10", False)),
        ({"bind_addr": "127.0.0.5"}, ("127.0.0.5", "127.0.0.5", False)),
        ({"advertise_addr": "203.0.113.9"}, ("0.0.0.0", "203.0.113.9", False)),
        (
            {"advertise_addr": "203.0.113.9", "bind_addr": "192.0.2.10"},
            ("192.0.2.10", "203.0.113.9", False),
        ),
        ({"advertise_addr": "2001:db8::9"}, ("::", "2001:db8::9", False)),
    ],
)
def test_what_is_advertised_follows_from_what_is_bound_and_asked_for(
    flags: dict[str, Any], found: tuple[str, str, bool]
) -> None:
    assert underlay(**flags) == found


def test_without_a_default_route_the_only_address_is_advertised(tools: Tools) -> None:
    tools.do("ip route del default dev eth0")

    assert underlay() == ("0.0.0.0", "192.0.2.10", True)


def test_without_a_default_route_one_of_several_addresses_must_be_given(
    tools: Tools, impatient: None
) -> None:
    tools.do("ip route del default dev eth0")
    tools.do("ip link add eth1 type ether")
    tools.do("ip link set eth1 up")
    tools.do("ip addr add 198.51.100.7/24 dev eth1")

    with pytest.raises(
        StartError, match=r"192\.0\.2\.10, 198\.51\.100\.7: give one of them as --adv"
    ):
        underlay()
    assert underlay(advertise_addr="192.0.2.10") == ("0.0.0.0", "192.0.2.10", False)


def test_without_ipv4_the_ipv6_default_route_counts(tools: Tools) -> None:
    tools.do("ip addr del 192.0.2.10/24 dev eth0")
    tools.do("ip addr add 2001:db8::10/64 dev eth0")
    tools.do("ip route replace default via fe80::1 dev eth0")

    assert underlay() == ("::", "2001:db8::10", False)


def test_a_default_route_through_our_own_interface_does_not_count(tools: Tools) -> None:
    tools.do("ip link add wgoverlay type wireguard")
    tools.do("ip link set wgoverlay alias wesher")
    tools.do("ip link set wgoverlay up")
    tools.do("ip addr add 10.1.2.3/32 dev wgoverlay")
    tools.do("ip route replace default dev wgoverlay")

    assert underlay() == ("0.0.0.0", "192.0.2.10", True)


@pytest.mark.parametrize("address", [None, "fe80::10/64"])
def test_an_interface_without_a_global_address_is_refused(
    tools: Tools, impatient: None, address: str | None
) -> None:
    tools.do("ip link add eth1 type ether")
    if address:
        tools.do(f"ip addr add {address} dev eth1")

    with pytest.raises(StartError, match="interface eth1 has no global address"):
        underlay(bind_iface="eth1")


def test_the_operator_is_told_at_once_what_is_waited_for(
    tools: Tools, impatient: None, logged: list[str]
) -> None:
    with pytest.raises(StartError):
        underlay(bind_iface="eth7")

    assert logged == [
        "WARNING there is no interface eth7: choose another --bind-iface; waiting up to 0 s for one"
    ]


def test_an_address_that_comes_within_thirty_seconds_is_waited_for(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_address, "_POLL_INTERVAL", 0.05)
    tools.do("ip addr del 192.0.2.10/24 dev eth0")

    async def scenario() -> tuple[bool, own_address.Underlay]:
        finding = asyncio.create_task(find_underlay(config()))
        await asyncio.sleep(0.3)
        waited = not finding.done()
        await asyncio.to_thread(tools.do, "ip addr add 192.0.2.10/24 dev eth0")
        return waited, await finding

    waited, found = asyncio.run(scenario())

    assert waited
    assert str(found.advertise) == "192.0.2.10"
    assert own_address.ADDRESS_PATIENCE == 30


IP = """#!/bin/sh
cat <<'END'
{}
END
"""


@pytest.fixture
def dual_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with both families, each with a default route: what `ip` says is written down."""
    addresses = [
        {"local": "192.0.2.10", "prefixlen": 24, "scope": "0"},
        {"local": "2001:db8::10", "prefixlen": 64, "scope": "0"},
    ]
    routes = [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "protocol": "3"},
        {"dst": "default", "gateway": "fe80::1", "dev": "eth0", "protocol": "9", "pref": "medium"},
    ]
    eth0 = {"ifname": "eth0", "flags": ["UP"], "mtu": 1500}
    answers = ([eth0 | {"addr_info": addresses}], [eth0], routes)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ip"
    script.write_text(IP.format("\n".join(map(json.dumps, answers))))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


@pytest.mark.usefixtures("dual_stack")
@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ({}, ("0.0.0.0", "192.0.2.10", True)),
        ({"bind_addr": "::"}, ("::", "2001:db8::10", False)),
        ({"bind_addr": "::", "advertise_addr": "2001:db8::9"}, ("::", "2001:db8::9", False)),
    ],
)
def test_with_both_families_ipv4_is_taken_unless_ipv6_is_bound(
    flags: dict[str, Any], found: tuple[str, str, bool]
) -> None:
    assert underlay(**flags) == found


@pytest.mark.usefixtures("dual_stack")
def test_the_host_is_seen_whole_whatever_family_is_bound() -> None:
    found = asyncio.run(find_underlay(config(bind_addr="::")))

    assert {gateway.version for gateway in found.network.gateways} == {4, 6}


# The overlay network on this host


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("network", ["192.0.2.0/24", "192.0.2.128/25", "192.0.2.77/32"])
def test_an_overlay_network_inside_a_connected_one_is_refused(network: str) -> None:
    with pytest.raises(StartError, match=r"lies inside 192\.0\.2\.0/24.*--overlay-net"):
        underlay(overlay_net=network)


@pytest.mark.usefixtures("tools")
def test_an_overlay_network_around_an_address_of_the_host_is_a_warning(logged: list[str]) -> None:
    underlay(overlay_net="192.0.0.0/16")

    (line,) = logged
    assert line.startswith("WARNING")
    assert "192.0.2.10" in line


@pytest.mark.usefixtures("tools")
def test_an_overlay_network_apart_from_the_host_is_no_trouble(logged: list[str]) -> None:
    underlay(overlay_net="10.0.0.0/8")

    assert logged == []


def test_our_own_interface_of_an_earlier_run_is_no_trouble(tools: Tools, logged: list[str]) -> None:
    tools.do("ip link add wgoverlay type wireguard")
    tools.do("ip addr add 10.1.2.3/8 dev wgoverlay")

    underlay(overlay_net="10.0.0.0/8")

    assert logged == []
