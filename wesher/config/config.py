"""The configuration: flags over WESHER_* over the TOML file over defaults, checked as a whole."""

import os
import signal
import stat
from collections.abc import Iterable, Mapping, MutableMapping
from importlib import import_module
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wesher.base.errors import ConfigError, StartError, nearest
from wesher.base.frozen import frozen, replace
from wesher.config.option_types import IPInterface, parse_keys, parse_node_name
from wesher.config.options import CONFIG_FILE, DEFAULT_FILE, OPTIONS, TOLD_NAMES, Option
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.routes import Accepted, Route, Routing, overlap
from wesher.mesh.base.seeds import Seed, parse_seed

if TYPE_CHECKING:  # every command reads a configuration, few need the mesh
    from wesher.mesh.base.metadata import MetadataFormat
    from wesher.mesh.base.trust import Trust

_MAX_KEY_FILE = 4096  # bytes; eight keys need 360
_FROM_STDIN = "-"
_STDIN = 0
_DEFAULT = "default"
_LEAST_IPV6 = 1280  # bytes (RFC 8200, 5)
_PREFIX = "WESHER_"
_NEAR = 0.8  # how like ours a variable must be to be no other program's


Keys = tuple[bytes, ...]


@frozen
class Resolved:
    """Values by option name, and the words for where each came from."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]

    def given(self, name: str) -> bool:
        """Return whether an operator set this option anywhere."""
        return self.sources[name] != _DEFAULT

    def refuse(self, name: str, reason: str) -> ConfigError:
        """Return the error that says which source set `name` wrongly, and why it is wrong."""
        return ConfigError(f"{self.sources[name]}: {reason}")


@frozen(hidden=("cluster_keys", "sources"), uncompared=("sources",))
class Config:
    """Everything an agent is told; `forget_after` in seconds, infinity for never.

    `keepalive` is in seconds, 0 for never, None to decide for each peer.

    `cluster_keys` has the primary one first, and is empty when nobody has set any. `sources` says
    for each option who set it ("--join", "WESHER_JOIN", "FILE: join", "default").
    """

    cluster_keys: Keys
    join: tuple[Seed, ...]
    init: bool
    fresh_key: bool
    bind_addr: IPAddress
    bind_iface: str | None
    advertise_addr: IPAddress | None
    cluster_port: int
    wireguard_port: int
    advertise_port: int | None
    advertise_wireguard_port: int | None
    keepalive: int | None
    mtu: int | None
    overlay_net: IPInterface
    overlay_addr: IPAddress | None
    route: tuple[Route, ...]
    accept_routes: Accepted
    routes: bool
    interface: str
    etc_hosts: bool
    log_level: str
    node_name: str
    timing: str
    forget_after: float
    metadata_format: "MetadataFormat"
    trust: "Trust"
    state_dir: Path
    hosts_file: Path
    hosts_suffix: str | None
    hosts_dots: bool
    psk: str
    run_dir: Path
    sources: Mapping[str, str]

    def given(self, name: str) -> bool:
        """Return whether an operator set this option anywhere."""
        return self.sources[name] != _DEFAULT

    @property
    def routing(self) -> Routing:
        """What is decided of networks behind members."""
        return Routing(self.route, self.accept_routes, self.routes)

    @property
    def told_port(self) -> int:
        """The gossip port that others are told."""
        return self.advertise_port or self.cluster_port

    @property
    def told_wireguard_port(self) -> int:
        """The WireGuard port that others are told."""
        return self.advertise_wireguard_port or self.wireguard_port


def load(
    given: Mapping[str, str], environ: MutableMapping[str, str], *, from_stdin: Keys | None = None
) -> Config:
    """Return the checked configuration of an agent.

    `from_stdin` are the keys that standard input has brought already. Takes the cluster keys out of
    `environ`, from where children would inherit them. Raises ConfigError for what the operator
    wrote, StartError for a host or interface name we cannot use.
    """
    settings = resolve(OPTIONS, given, environ)
    _check_exclusive(settings, "bind_addr", "bind_iface")
    _check_exclusive(settings, "cluster_key", "cluster_key_file")
    _check_ports(settings)
    _check_overlay_address(settings)
    _check_mtu(settings)
    _check_routes(settings)
    values = dict(settings.values)
    values["cluster_keys"] = values.pop("cluster_key") or ()
    key_file = values.pop("cluster_key_file")
    if key_file == _FROM_STDIN and from_stdin is not None:
        values["cluster_keys"] = from_stdin
    elif key_file is not None:
        values["cluster_keys"] = _load_keys(settings, key_file)
    values["join"] = _seeds(settings)
    values["node_name"] = values["node_name"] or _host_name()
    values["etc_hosts"] = not values.pop("no_etc_hosts")
    values["routes"] = not values.pop("no_routes")
    values["route"] = values["route"] or ()
    return Config(**values, sources=settings.sources)


def resolve(
    options: Iterable[Option], given: Mapping[str, str], environ: MutableMapping[str, str]
) -> Resolved:
    """Return the value of each option from the strongest source that sets it, parsed.

    An empty environment variable counts as unset. Options outside `options` are not looked at.
    """
    secret = environ.pop("WESHER_CLUSTER_KEY", "")
    _check_variables(environ)
    texts = {**environ, "WESHER_CLUSTER_KEY": secret}
    file, in_file = _read_file(given.get(CONFIG_FILE.name, texts.get(CONFIG_FILE.env) or None))
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for option in options:
        text, source = option.default, _DEFAULT
        if option.name in given:
            text, source = given[option.name], option.flag
        elif texts.get(option.env):
            text, source = texts[option.env], option.env
        elif option.name in in_file:
            text, source = in_file[option.name], f"{file}: {option.key}"
        values[option.name] = _parse(option, text, source)
        sources[option.name] = source
    return Resolved(values, sources)


def _check_variables(environ: Iterable[str]) -> None:
    """Refuse variables that are nearly ours; others, as Kubernetes sets for a service, are not."""
    options = {option.env: option for option in (CONFIG_FILE, *OPTIONS)}
    for name in environ:
        if not name.startswith(_PREFIX) or name in options:
            continue
        words = [known.removeprefix(_PREFIX) for known in options]
        if near := nearest(name.removeprefix(_PREFIX), words, least=_NEAR):
            raise ConfigError(f"unknown variable {name}; the nearest is {_PREFIX}{near}")


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """Return the variables that look like ours and are none, but those that Kubernetes sets.

    It does so for a service of our name: WESHER_SERVICE_HOST, WESHER_PORT_7946_UDP and so on.
    """
    known = {option.env for option in (CONFIG_FILE, *OPTIONS)}
    foreign = (f"{_PREFIX}SERVICE_", f"{_PREFIX}PORT")
    return sorted(
        name
        for name in environ
        if name.startswith(_PREFIX) and name not in known and not name.startswith(foreign)
    )


def _parse(option: Option, text: str | None, source: str) -> Any:
    if text is None:
        return False if option.metavar is None else None
    try:
        return option.parse(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from error


def _read_file(named: str | None) -> tuple[Path, dict[str, str]]:
    """Return the configuration file's path and what it sets, as text by option name."""
    if named == "":
        raise ConfigError(f"{CONFIG_FILE.flag}: it names no file")
    path = Path(named or DEFAULT_FILE)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            document = import_module("tomli").load(file)
    except FileNotFoundError:
        if named is None:
            return path, {}
        raise ConfigError(f"configuration file {path} does not exist") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if "cluster-key" in document:
        _check_private(path, mode)
    return path, dict(_setting(path, key, value) for key, value in document.items())


def _setting(path: Path, key: str, value: object) -> tuple[str, str]:
    """Return the option name and the text for one TOML key."""
    options = {option.key: option for option in OPTIONS if option.in_file}
    option = options.get(key)
    if option is None:
        near = nearest(key.replace("_", "-"), options)
        hint = f"the nearest is {near!r}" if near else "keys are the flags without their dashes"
        raise ConfigError(f"{path}: unknown key {key!r}; {hint}")
    return option.name, _text(path, option, value)


def _text(path: Path, option: Option, value: object) -> str:
    """Return a TOML value as text for the option's parser; raises ConfigError for other types."""
    if option.metavar is None:
        if isinstance(value, bool):
            return str(value)
    elif isinstance(value, str):
        return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    elif option.listed and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    wanted = "true or false" if option.metavar is None else f"written like {option.metavar}"
    raise ConfigError(f"{path}: {option.key}: it must be {wanted}")


def _load_keys(settings: Resolved, file: str) -> Keys:
    """Return the keys in the lines of `file`; `-` is standard input, a person at a terminal."""
    source = settings.sources["cluster_key_file"]
    try:
        if file == _FROM_STDIN and os.isatty(_STDIN):
            text = _ask_secret("cluster key: ").encode()
        elif file == _FROM_STDIN:
            with open(_STDIN, "rb", closefd=False) as opened:
                text = opened.read(_MAX_KEY_FILE)
        else:
            with Path(file).open("rb") as opened:
                _check_private(Path(file), os.fstat(opened.fileno()).st_mode)
                text = opened.read(_MAX_KEY_FILE)
    except OSError as error:
        raise ConfigError(f"{source}: cannot read {file}: {error.strerror}") from error
    except EOFError:
        raise ConfigError(f"{source}: no key was typed") from None
    try:
        return parse_keys(",".join(text.decode("ascii", "replace").rstrip().splitlines()))
    except ValueError as error:
        where = "standard input" if file == _FROM_STDIN else file
        raise ConfigError(f"{source}: {where}: {error}") from error


def _ask_secret(question: str) -> str:
    """Return what was typed; raises EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C.

    The terminal shows again what is typed, whatever ends this: an agent that is told to stop while
    it starts just exits, and would leave it without.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    usual = [signal.signal(one, signal.default_int_handler) for one in numbers]
    try:
        typed: str = import_module("getpass").getpass(question)
    finally:
        for number, handler in zip(numbers, usual, strict=True):
            signal.signal(number, handler)
    return typed


def _check_private(path: Path, mode: int) -> None:
    """Refuse a regular file that others than its owner can read; pipes have no such readers."""
    if stat.S_ISREG(mode) and mode & 0o066:
        raise ConfigError(
            f"{path} holds the cluster key but others can read or write it; run: chmod 600 {path}"
        )


def _check_exclusive(settings: Resolved, one: str, other: str) -> None:
    if settings.given(one) and settings.given(other):
        raise settings.refuse(other, f"not together with {settings.sources[one]}")


def _check_ports(settings: Resolved) -> None:
    values = settings.values
    port = values["wireguard_port"]
    if port == values["cluster_port"]:
        name = "wireguard_port" if settings.given("wireguard_port") else "cluster_port"
        raise settings.refuse(name, f"the cluster port and the WireGuard port are both {port}")
    told = values["advertise_wireguard_port"] or port
    if told == (values["advertise_port"] or values["cluster_port"]):
        wireguard = settings.given("advertise_wireguard_port")
        name = "advertise_wireguard_port" if wireguard else "advertise_port"
        raise settings.refuse(name, f"others would be told {told} for gossip and WireGuard")


def _check_overlay_address(settings: Resolved) -> None:
    """Refuse an --overlay-addr that is no host of the overlay network."""
    address: IPAddress | None = settings.values["overlay_addr"]
    network = settings.values["overlay_net"].network
    if address is None:
        return
    if address not in network:
        raise settings.refuse("overlay_addr", f"{address} is not in the overlay network {network}")
    reserved = {network.network_address}
    if network.version == 4:
        reserved.add(network.broadcast_address)
    if network.num_addresses > 2 and address in reserved:
        raise settings.refuse(
            "overlay_addr", f"{address} is the network or broadcast address of {network}"
        )


def _check_mtu(settings: Resolved) -> None:
    """Refuse an MTU with which the kernel lets an interface have no IPv6 address."""
    mtu = settings.values["mtu"]
    if mtu and mtu < _LEAST_IPV6 and settings.values["overlay_net"].version == 6:
        raise settings.refuse("mtu", f"{mtu} is less than the {_LEAST_IPV6} bytes that IPv6 needs")


def _check_routes(settings: Resolved) -> None:
    """Refuse networks that the members' own addresses are in."""
    overlay = settings.values["overlay_net"].network
    for route in settings.values["route"] or ():
        if overlap(route.network, overlay):
            reason = f"{route.network} overlaps the overlay network {overlay}"
            raise settings.refuse("route", reason)


def _seeds(settings: Resolved) -> tuple[Seed, ...]:
    try:
        return tuple(
            parse_seed(text, settings.values["cluster_port"])
            for text in settings.values["join"] or ()
        )
    except ValueError as error:
        raise settings.refuse("join", str(error)) from error


def as_told(config: Config) -> dict[str, Any]:
    """Return what an agent tells of its configuration, as JSON takes it."""
    fields = {option.name: option.field for option in OPTIONS}
    return {fields[name]: _plain(getattr(config, fields[name])) for name in TOLD_NAMES}


def from_told(told: Mapping[str, Any], config: Config) -> Config:
    """Return the configuration that an agent tells; what it does not tell is as in `config`."""
    values = {
        option.field: _parse(option, _as_text(told[option.field]), "the agent")
        for option in OPTIONS
        if option.field in told
    }
    seeds = tuple(parse_seed(text, values["cluster_port"]) for text in values["join"])
    return replace(config, **values | {"join": seeds})


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [str(one) for one in value]
    if isinstance(value, IPv4Interface | IPv6Interface):
        return str(value.network)
    return value if value is None or isinstance(value, int | str) else str(value)


def _as_text(value: object) -> str | None:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return None if value is None else str(value)


def renamed_to(config: Config) -> str | None:
    """Return what this host is called by now, if its node is named after it and it is renamed."""
    if config.given("node_name"):
        return None
    try:
        name = _host_name()
    except StartError:
        return None  # a name that no node could have
    return None if name == config.node_name else name


def _host_name() -> str:
    try:
        return parse_node_name(os.uname().nodename)
    except ValueError as error:
        raise StartError(f"host name: {error}; give another one with --node-name") from error
