import base64
import json
import math
import os
import subprocess
import sys
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from wesher.base.errors import ConfigError, StartError
from wesher.config.config import as_told, from_told, load, renamed_to
from wesher.config.option_types import MAX_KEYS
from wesher.config.options import OPTIONS, Option
from wesher.gossip import Keyring
from wesher.mesh.base.routes import Accepted, Route
from wesher.mesh.base.seeds import Seed

KEY = bytes(range(32))
KEY_TEXT = base64.b64encode(KEY).decode()
OTHER = bytes(range(1, 33))
OTHER_TEXT = base64.b64encode(OTHER).decode()


class Toml(Protocol):
    """Writes a configuration file; returns the flag that names it."""

    def __call__(self, text: str, mode: int = 0o600) -> dict[str, str]: ...


@pytest.fixture
def toml(tmp_path: Path) -> Toml:
    """Write a configuration file and return the flag that names it."""

    def write(text: str, mode: int = 0o600) -> dict[str, str]:
        path = tmp_path / "wesher.toml"
        path.write_text(text)
        path.chmod(mode)
        return {"config": str(path)}

    return write


@pytest.fixture(autouse=True)
def default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the default configuration file would be: not this machine's own."""
    path = tmp_path / "default.toml"
    monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(path))
    return path


def test_defaults_are_those_of_the_documentation() -> None:
    config = load({}, {})

    assert config.cluster_keys == ()
    assert config.join == ()
    assert config.init is False
    assert config.bind_addr == ip_address("0.0.0.0")
    assert config.bind_iface is None
    assert config.advertise_addr is None
    assert (config.cluster_port, config.wireguard_port) == (7946, 51820)
    assert config.overlay_net == ip_interface("10.0.0.0/8")
    assert config.overlay_addr is None
    assert config.interface == "wgoverlay"
    assert config.etc_hosts is True
    assert config.log_level == "warn"
    assert config.node_name == os.uname().nodename
    assert config.timing == "wan"
    assert config.forget_after == 86400
    assert config.keepalive is None
    assert config.psk == "on"
    assert config.metadata_format == "current"
    assert config.trust == "live"
    assert config.state_dir == Path("/var/lib/wesher")
    assert config.hosts_file == Path("/etc/hosts")
    assert config.run_dir == Path("/run/wesher")


def test_flags_win_over_environment_over_file_over_defaults(
    toml: Toml,
) -> None:
    file = toml("cluster-port = 1\nwireguard-port = 1\ntiming = 'lan'\n")
    environ = {"WESHER_CLUSTER_PORT": "2", "WESHER_WIREGUARD_PORT": "2"}

    config = load({**file, "cluster_port": "3"}, environ)

    assert (config.cluster_port, config.wireguard_port, config.timing) == (3, 2, "lan")
    assert config.log_level == "warn"
    assert config.sources["cluster_port"] == "--cluster-port"
    assert config.sources["wireguard_port"] == "WESHER_WIREGUARD_PORT"
    assert config.sources["timing"] == f"{file['config']}: timing"
    assert config.sources["log_level"] == "default"


SAMPLES = {
    "cluster_key": (KEY_TEXT, "cluster_keys", (KEY,)),
    "join": ("a,b:1", "join", (Seed("a", 7946), Seed("b", 1))),
    "init": ("true", "init", True),
    "fresh_key": ("true", "fresh_key", True),
    "bind_addr": ("10.9.9.9", "bind_addr", ip_address("10.9.9.9")),
    "bind_iface": ("eth0", "bind_iface", "eth0"),
    "advertise_addr": ("192.0.2.1", "advertise_addr", ip_address("192.0.2.1")),
    "cluster_port": ("17946", "cluster_port", 17946),
    "wireguard_port": ("11820", "wireguard_port", 11820),
    "advertise_port": ("27946", "advertise_port", 27946),
    "advertise_wireguard_port": ("21820", "advertise_wireguard_port", 21820),
    "route": (
        "192.168.7.0/24,fd00:7::/48@9",
        "route",
        (Route(ip_network("192.168.7.0/24")), Route(ip_network("fd00:7::/48"), 9)),
    ),
    "accept_routes": ("none", "accept_routes", Accepted(())),
    "no_routes": ("true", "routes", False),
    "keepalive": ("20", "keepalive", 20),
    "mtu": ("1280", "mtu", 1280),
    "overlay_net": ("10.5.6.7/16", "overlay_net", ip_interface("10.5.6.7/16")),
    "overlay_addr": ("10.1.2.3", "overlay_addr", ip_address("10.1.2.3")),
    "interface": ("wg7", "interface", "wg7"),
    "no_etc_hosts": ("true", "etc_hosts", False),
    "hosts_suffix": (".Mesh.", "hosts_suffix", "mesh"),
    "hosts_dots": ("true", "hosts_dots", True),
    "log_level": ("debug", "log_level", "debug"),
    "node_name": ("north.example", "node_name", "north.example"),
    "timing": ("local", "timing", "local"),
    "forget_after": ("30m", "forget_after", 1800.0),
    "metadata_format": ("v0.2", "metadata_format", "v0.2"),
    "trust": ("open", "trust", "open"),
    "state_dir": ("/srv/state", "state_dir", Path("/srv/state")),
    "hosts_file": ("/srv/hosts", "hosts_file", Path("/srv/hosts")),
    "run_dir": ("/srv/run", "run_dir", Path("/srv/run")),
    "psk": ("off", "psk", "off"),
}


@pytest.mark.parametrize(
    "option", [one for one in OPTIONS if one.name != "cluster_key_file"], ids=lambda one: one.name
)
def test_every_option_works_from_every_source(option: Option, toml: Toml) -> None:
    name = option.name
    text, field, wanted = SAMPLES[name]
    key = name.replace("_", "-")
    written = text if text == "true" else f"'{text}'"

    from_flag = load({name: text}, {})
    from_environment = load({}, {f"WESHER_{name.upper()}": text})
    if option.in_file:
        from_file = load(toml(f"{key} = {written}\n"), {})
        assert getattr(from_file, field) == wanted

    assert getattr(from_flag, field) == wanted
    assert getattr(from_environment, field) == wanted


def test_an_ipv6_overlay_needs_the_least_mtu_of_ipv6() -> None:
    with pytest.raises(ConfigError, match=r"^--mtu: 1279 is less than the 1280 bytes"):
        load({"mtu": "1279", "overlay_net": "fd00::/64"}, {})

    assert load({"mtu": "1280", "overlay_net": "fd00::/64"}, {}).mtu == 1280
    assert load({"mtu": "576"}, {}).mtu == 576


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("cluster_key", base64.b64encode(bytes(16)).decode(), "is 16 bytes long"),
        ("cluster_key", base64.b64encode(bytes(33)).decode(), "is 33 bytes long"),
        ("cluster_key", "", "is 0 bytes long"),
        ("cluster_key", KEY_TEXT[:-1], "is not base64"),
        ("cluster_key", "schlüssel", "is not base64"),
        ("join", "a:b:c", "neither an IP address nor a host name"),
        ("join", "a:70000", "70000"),
        ("bind_addr", "example.org", "is not an IP address"),
        ("bind_addr", "fe80::1%eth0", "link-local"),
        ("bind_iface", "eth 0", "is not an interface name"),
        ("advertise_addr", "0.0.0.0", "is not the address of one host"),
        ("advertise_addr", "ff02::1", "is not the address of one host"),
        ("advertise_addr", "255.255.255.255", "is not the address of one host"),
        ("cluster_port", "0", "is not a port"),
        ("cluster_port", "65536", "is not a port"),
        ("cluster_port", "-1", "is not a port"),
        ("cluster_port", "٣", "is not a port"),
        ("cluster_port", "51820", "are both 51820"),
        ("wireguard_port", "7946", "are both 7946"),
        ("advertise_port", "0", "is not a port"),
        ("advertise_port", "51820", "others would be told 51820 for gossip and WireGuard"),
        ("advertise_wireguard_port", "7946", "others would be told 7946 for gossip and WireGuard"),
        ("route", "0.0.0.0/0", "is the default route"),
        ("route", "192.168.7.0/24@x", "has no priority"),
        ("route", "192.168.7.0/24,192.168.7.0/24@1", "192.168.7.0/24 is there twice"),
        ("route", "10.7.0.0/16", "10.7.0.0/16 overlaps the overlay network 10.0.0.0/8"),
        ("route", "8.0.0.0/5", "8.0.0.0/5 overlaps the overlay network 10.0.0.0/8"),
        ("route", ",".join(f"fd00::{n}" for n in range(1, 9)), "the first 5 fit"),
        ("route", ",".join(f"192.168.{n}.0/24" for n in range(17)), "the first 16 fit"),
        ("accept_routes", "some", "is not a network"),
        ("keepalive", "on", "is neither auto, off, nor a number of seconds"),
        ("keepalive", "65536", "is neither auto, off, nor a number of seconds"),
        ("keepalive", "-1", "is neither auto, off, nor a number of seconds"),
        ("mtu", "575", "is no number of bytes from 576"),
        ("mtu", "65456", "is no number of bytes"),
        ("mtu", "auto", "is no number of bytes"),
        ("overlay_net", "10.0.0.0", "has no prefix length"),
        ("overlay_net", "10.0.0.0/33", "is not a network"),
        ("overlay_net", "0.0.0.0/0", "cannot be an overlay network"),
        ("overlay_net", "ff00::/8", "cannot be an overlay network"),
        ("overlay_addr", "192.168.1.1", "is not in the overlay network 10.0.0.0/8"),
        ("overlay_addr", "fd00::1", "is not in the overlay network 10.0.0.0/8"),
        ("overlay_addr", "10.0.0.0", "is the network or broadcast address"),
        ("overlay_addr", "10.255.255.255", "is the network or broadcast address"),
        ("log_level", "loud", "is none of debug, info, warn, error"),
        ("node_name", "a b", "is not usable"),
        ("node_name", "localhost", "is not usable"),
        ("node_name", "x" * 254, "is not usable"),
        ("timing", "fast", "is none of wan, lan, local"),
        ("forget_after", "soon", "is not a time"),
        ("forget_after", "-1h", "is not a time"),
        ("metadata_format", "v0.3", "is none of current, v0.2"),
        ("trust", "closed", "is none of live, "),
        ("init", "maybe", "is neither true nor false"),
        ("state_dir", "", "is not a path"),
    ],
)
def test_wrong_values_are_refused_with_their_source_and_reason(
    name: str, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: text}, {})

    message = str(caught.value)
    assert message.startswith(f"--{name.replace('_', '-')}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sixteen-letters-", "15 characters"),
        ("", "is not an interface name"),
        ("..", "is not an interface name"),
        ("a/b", "is not an interface name"),
        ("-a", "is not an interface name"),
        ("all", "is not an interface name"),
    ],
)
def test_an_interface_that_cannot_exist_is_a_wrong_option(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^--interface: .*{reason}"):
        load({"interface": name}, {})


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^WESHER_CLUSTER_PORT: 'x' is not a port"):
        load({}, {"WESHER_CLUSTER_PORT": "x"})


def test_a_refused_key_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"cluster_key": "c2VjcmV0"}, {})

    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("network", "address"),
    [("10.0.0.0/31", "10.0.0.0"), ("10.0.0.7/32", "10.0.0.7"), ("fd00::/64", "fd00::ffff")],
)
def test_overlay_addresses_at_the_edge_of_their_network_are_allowed(
    network: str, address: str
) -> None:
    config = load({"overlay_net": network, "overlay_addr": address}, {})

    assert config.overlay_addr == ip_address(address)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5h", 5400),
        ("24h", 86400),
        ("7d", 604800),
        ("0s", 0),
        ("never", math.inf),
    ],
)
def test_times_have_units(text: str, seconds: float) -> None:
    config = load({"forget_after": text}, {})

    assert config.forget_after == seconds


@pytest.mark.parametrize("text", ["1", "true", "Yes", "on"])
def test_switches_in_the_environment_can_be_on(text: str) -> None:
    config = load({}, {"WESHER_NO_ETC_HOSTS": text, "WESHER_INIT": text})

    assert (config.etc_hosts, config.init) == (False, True)


@pytest.mark.parametrize("text", ["0", "false", "No", "off", ""])
def test_switches_in_the_environment_can_be_off(text: str) -> None:
    config = load({}, {"WESHER_NO_ETC_HOSTS": text, "WESHER_INIT": text})

    assert (config.etc_hosts, config.init) == (True, False)


def test_a_false_flag_in_the_environment_overrules_the_file(
    toml: Toml,
) -> None:
    config = load(toml("no-etc-hosts = true\n"), {"WESHER_NO_ETC_HOSTS": "false"})

    assert config.etc_hosts is True


def test_an_empty_variable_counts_as_unset(toml: Toml) -> None:
    config = load(toml("interface = 'wg3'\n"), {"WESHER_INTERFACE": ""})

    assert config.interface == "wg3"


def test_an_empty_variable_names_no_configuration_file(default_file: Path) -> None:
    default_file.write_text("interface = 'wg3'\n")

    config = load({}, {"WESHER_CONFIG": ""})

    assert config.interface == "wg3"


def test_an_empty_flag_names_no_configuration_file_either() -> None:
    with pytest.raises(ConfigError, match=r"^--config: it names no file"):
        load({"config": ""}, {})


def test_an_empty_list_of_seeds_names_nobody(toml: Toml) -> None:
    assert load({"join": ""}, {}).join == ()
    assert load(toml("join = []\n"), {}).join == ()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("WESHER_CLUSTERKEY", "WESHER_CLUSTER_KEY"),
        ("WESHER_JOINS", "WESHER_JOIN"),
        ("WESHER_CONFIGS", "WESHER_CONFIG"),
        ("WESHER_OVERLAY_NETWORK", "WESHER_OVERLAY_NET"),
    ],
)
def test_a_misspelt_variable_is_refused_without_its_value(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {name: "secret"})

    assert str(caught.value) == f"unknown variable {name}; the nearest is {nearest}"


def test_variables_of_somebody_else_are_none_of_ours() -> None:
    """Kubernetes sets the first ones in every container beside a service called wesher."""
    names = ("SERVICE_HOST", "SERVICE_PORT", "PORT", "PORT_7946_TCP_ADDR", "PORT_7946_UDP_PROTO")

    assert load({}, {f"WESHER_{name}": "x" for name in names} | {"OTHER": "x"}) == load({}, {})


def test_the_key_leaves_the_environment_once_read() -> None:
    environ = {"WESHER_CLUSTER_KEY": KEY_TEXT, "PATH": "/bin"}

    config = load({}, environ)

    assert config.cluster_keys == (KEY,)
    assert environ == {"PATH": "/bin"}


def test_the_key_leaves_the_environment_even_when_the_configuration_is_wrong() -> None:
    environ = {"WESHER_CLUSTER_KEY": KEY_TEXT}

    with pytest.raises(ConfigError):
        load({"cluster_port": "x"}, environ)

    assert environ == {}


def test_the_key_is_not_in_the_printed_configuration() -> None:
    config = load({"cluster_key": KEY_TEXT}, {})

    assert KEY_TEXT not in repr(config)
    assert repr(KEY) not in repr(config)


def test_a_key_file_holds_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY_TEXT + "\n")
    path.chmod(0o400)

    config = load({"cluster_key_file": str(path)}, {})

    assert config.cluster_keys == (KEY,)
    assert config.sources["cluster_key_file"] == "--cluster-key-file"


def key_from_standard_input(
    given: dict[str, Any],
) -> subprocess.CompletedProcess[str]:
    script = "from wesher.config.config import load; "
    script += "print(load({'cluster_key_file': '-'}, {}).cluster_keys)"
    argv = [sys.executable, "-c", script]
    return subprocess.run(argv, capture_output=True, text=True, check=False, **given)


def test_a_key_can_come_from_standard_input() -> None:
    done = key_from_standard_input({"input": f"{KEY_TEXT}\n"})

    assert done.stdout == f"{(KEY,)!r}\n"


def test_several_keys_can_come_from_standard_input() -> None:
    done = key_from_standard_input({"input": f"{OTHER_TEXT}\n{KEY_TEXT}\n"})

    assert done.stdout == f"{(OTHER, KEY)!r}\n"


def test_a_line_of_standard_input_that_is_no_key_is_refused_by_its_number() -> None:
    done = key_from_standard_input({"input": f"{KEY_TEXT}\nsomething else\n"})

    refused = "--cluster-key-file: standard input: cluster key 2 of 2 is not base64"
    assert refused in done.stderr
    assert done.stdout == ""


MANY = [base64.b64encode(bytes([number]) * 32).decode() for number in range(1, 10)]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([KEY_TEXT, KEY_TEXT], "cluster key 2 of 2 is the same as number 1"),
        ([KEY_TEXT, "", OTHER_TEXT], "cluster key 2 of 3 is empty"),
        (["", OTHER_TEXT], "cluster key 1 of 2 is empty"),
        (MANY, "9 cluster keys are too many; 8 are the most"),
        ([KEY_TEXT, "c2VjcmV0"], "cluster key 2 of 2 is 6 bytes long"),
        ([KEY_TEXT, "c2VjcmV"], "cluster key 2 of 2 is not base64"),
    ],
)
def test_keys_that_cannot_be_are_refused_without_being_shown(
    keys: list[str], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys"
    path.write_text("\n".join(keys) + "\n")
    path.chmod(0o600)
    table = tmp_path / "wesher.toml"
    table.write_text(f"cluster-key = {keys!r}")
    table.chmod(0o600)
    text = ",".join(keys)
    for given, environ, source in (
        ({"cluster_key": text}, {}, "--cluster-key"),
        ({}, {"WESHER_CLUSTER_KEY": text}, "WESHER_CLUSTER_KEY"),
        ({"cluster_key_file": str(path)}, {}, f"--cluster-key-file: {path}"),
        ({"config": str(table)}, {}, f"{table}: cluster-key"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(given, environ)

        assert str(caught.value).startswith(f"{source}: {said}")
        assert "\n" not in str(caught.value)
        assert not [key for key in keys if key and key in str(caught.value)]


def test_the_first_of_several_keys_is_primary_wherever_they_are_given(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{KEY_TEXT}\r\n{OTHER_TEXT}\r\n\r\n")
    path.chmod(0o600)
    table = tmp_path / "wesher.toml"
    table.write_text(f'cluster-key = ["{KEY_TEXT}", "{OTHER_TEXT}"]')
    table.chmod(0o600)
    text = f"{KEY_TEXT}, {OTHER_TEXT}"

    for given, environ in (
        ({"cluster_key": text}, {}),
        ({}, {"WESHER_CLUSTER_KEY": text}),
        ({"cluster_key_file": str(path)}, {}),
        ({"config": str(table)}, {}),
    ):
        assert load(given, environ).cluster_keys == (KEY, OTHER)


def test_eight_keys_are_accepted() -> None:
    assert len(load({"cluster_key": ",".join(MANY[:8])}, {}).cluster_keys) == MAX_KEYS == 8
    assert Keyring(*load({"cluster_key": ",".join(MANY[:8])}, {}).cluster_keys).several


def test_standard_input_is_not_read_again() -> None:
    given = {"cluster_key_file": "-"}

    assert load(given, {}, from_stdin=(KEY, OTHER)).cluster_keys == (KEY, OTHER)


def test_closed_standard_input_is_an_error_of_its_own() -> None:
    done = key_from_standard_input({"preexec_fn": lambda: os.close(0)})

    assert "--cluster-key-file: cannot read -: Bad file descriptor" in done.stderr


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_file_that_others_can_touch_is_refused_with_the_remedy(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "key"
    path.write_text(KEY_TEXT)
    path.chmod(mode)

    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        load({"cluster_key_file": str(path)}, {})


def test_a_configuration_file_with_a_key_must_be_private_too(
    toml: Toml,
) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        load(toml(f"cluster-key = '{KEY_TEXT}'\n", mode=0o644), {})


def test_a_configuration_file_without_a_key_may_be_public(
    toml: Toml,
) -> None:
    config = load(toml("interface = 'wg3'\n", mode=0o644), {})

    assert config.interface == "wg3"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is 0 bytes long"),
        ("c2VjcmV0\n", "is 6 bytes long"),
        ("\xff\xfe", "is not base64"),
    ],
)
def test_a_key_file_with_something_else_is_refused(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)

    with pytest.raises(ConfigError) as caught:
        load({"cluster_key_file": str(path)}, {})

    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--cluster-key-file: cannot read .*No such file"):
        load({"cluster_key_file": str(tmp_path / "none")}, {})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cluster_key": KEY_TEXT}, {"cluster_key_file": "/nowhere"}),
        ({"bind_addr": "10.0.0.1"}, {"bind_iface": "eth0"}),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    first: dict[str, str], second: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match="not together with --"):
        load({**first, **second}, {})


def test_the_default_configuration_file_is_read_when_it_is_there(default_file: Path) -> None:
    default_file.write_text("interface = 'wg3'\n")

    config = load({}, {})

    assert config.interface == "wg3"


def test_a_named_configuration_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load({"config": str(tmp_path / "none.toml")}, {})


def test_the_configuration_file_can_be_named_in_the_environment(
    toml: Toml,
) -> None:
    path = toml("interface = 'wg3'\n")["config"]

    config = load({}, {"WESHER_CONFIG": path})

    assert config.interface == "wg3"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cluster_port = 1\n", "unknown key 'cluster_port'; the nearest is 'cluster-port'"),
        ("overlay-network = 'x'\n", "unknown key 'overlay-network'; the nearest is 'overlay-net'"),
        ("init = true\n", "unknown key 'init'"),
        ("x = 1\n", "unknown key 'x'; keys are the flags without their dashes"),
        ("[section]\nx = 1\n", "unknown key 'section'"),
        ("cluster-port = true\n", "cluster-port: it must be written like PORT"),
        ("cluster-port = [1]\n", "cluster-port: it must be written like PORT"),
        ("cluster-port = 99999\n", "cluster-port: '99999' is not a port"),
        ("no-etc-hosts = 'yes'\n", "no-etc-hosts: it must be true or false"),
        ("no-etc-hosts = 1\n", "no-etc-hosts: it must be true or false"),
        ("join = [1]\n", "join: it must be written like"),
        ("a = 1\nb = = 2\n", "line 2"),
        ("a = 'never closed\n", "Expected"),
    ],
)
def test_mistakes_in_the_configuration_file_are_named_on_one_line(
    toml: Toml, text: str, reason: str
) -> None:
    file = toml(text)

    with pytest.raises(ConfigError) as caught:
        load(file, {})

    message = str(caught.value)
    assert message.startswith(f"{file['config']}: ")
    assert reason in message
    assert "\n" not in message


def test_a_configuration_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "wesher.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError):
        load({"config": str(path)}, {})


def test_seeds_may_be_a_list_in_the_configuration_file(
    toml: Toml,
) -> None:
    config = load(toml("join = ['a', '[::1]:5']\ncluster-port = 9\n"), {})

    assert config.join == (Seed("a", 9), Seed("::1", 5))


def test_an_unusable_host_name_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    names = os.uname()
    fields = (names.sysname, "localhost", names.release, names.version, names.machine)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(fields))

    with pytest.raises(StartError, match="--node-name"):
        load({}, {})

    assert load({"node_name": "north"}, {}).node_name == "north"


def test_a_host_name_may_end_in_the_dot_of_the_root() -> None:
    assert load({"node_name": "north.example."}, {}).node_name == "north.example"


@pytest.mark.parametrize("suffix", ["", ".", "a b", "localhost", "-x", "mesh.1"])
def test_a_suffix_must_be_a_domain(suffix: str) -> None:
    with pytest.raises(ConfigError, match="is not a domain"):
        load({"hosts_suffix": suffix}, {})


def test_the_configuration_cannot_be_changed() -> None:
    config, field = load({}, {}), "interface"

    with pytest.raises(AttributeError):
        setattr(config, field, "wg9")


# A host that is renamed


def renaming(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the host have these names, one at each look."""
    given = iter(names)
    monkeypatch.setattr(
        "wesher.config.config.os.uname", lambda: SimpleNamespace(nodename=next(given))
    )


@pytest.mark.parametrize(
    ("given", "by_now", "wanted"),
    [
        ({}, "old", None),
        ({}, "new", "new"),
        ({}, "OLD", "OLD"),
        ({}, "not a name", None),
        ({"node_name": "old"}, "new", None),
    ],
)
def test_a_node_named_after_its_host_knows_when_that_is_renamed(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], by_now: str, wanted: str | None
) -> None:
    renaming(monkeypatch, "old", by_now) if not given else renaming(monkeypatch, by_now)
    config = load(given, {})

    assert renamed_to(config) == wanted


TOLD = {
    "node_name": "web",
    "join": "seed,[fd00::1]:7000",
    "bind_iface": "eth0",
    "advertise_addr": "fd00::7",
    "route": "192.168.7.0/24,fd00:7::/48@9",
    "cluster_port": "7999",
    "wireguard_port": "51999",
    "overlay_net": "10.1.2.3/8",
    "no_etc_hosts": "true",
    "hosts_file": "/tmp/hosts",
    "state_dir": "/tmp/state",
}


def test_an_agent_tells_what_it_runs_with() -> None:
    told = as_told(load({**TOLD, "cluster_key": KEY_TEXT}, {}))

    assert told == {
        "node_name": "web",
        "join": ["seed:7999", "[fd00::1]:7000"],
        "bind_addr": "0.0.0.0",
        "bind_iface": "eth0",
        "advertise_addr": "fd00::7",
        "cluster_port": 7999,
        "wireguard_port": 51999,
        "advertise_port": None,
        "overlay_net": "10.0.0.0/8",
        "route": ["192.168.7.0/24", "fd00:7::/48@9"],
        "etc_hosts": False,
        "hosts_file": "/tmp/hosts",
        "state_dir": "/tmp/state",
    }


@pytest.mark.parametrize("given", [{"node_name": "web"}, TOLD], ids=["nothing", "everything"])
def test_what_an_agent_tells_is_its_configuration(given: dict[str, str]) -> None:
    agent = load(given, {})
    ours = load({"interface": "wg7", "join": "elsewhere", "no_etc_hosts": "true"}, {})

    read = from_told(json.loads(json.dumps(as_told(agent))), ours)

    assert as_told(read) == as_told(agent)
    assert (read.join, read.bind_addr, read.etc_hosts) == (
        agent.join,
        agent.bind_addr,
        agent.etc_hosts,
    )
    assert read.interface == "wg7"
