"""The one table of options: command line, environment, configuration file and help come from it.

Light on purpose: `--help` and `--version` import this and nothing heavier.
"""

from collections.abc import Callable, Iterable
from typing import Any

from wesher.base.frozen import frozen
from wesher.config import option_types as v
from wesher.mesh.base.routes import Accepted

DEFAULT_FILE = "/etc/wesher/wesher.toml"


@frozen
class Option:
    """One setting: `--some-name`, `WESHER_SOME_NAME` and the TOML key `some-name`.

    `default` is text like any other source's; None leaves the setting None. A `metavar` of None
    makes it a switch. A `listed` option may be repeated, and be a TOML array. One with `bare` may
    be given without a value, which then is that.
    """

    name: str
    parse: Callable[[str], Any]
    metavar: str | None
    help: str
    default: str | None = None
    aliases: tuple[str, ...] = ()
    listed: bool = False
    in_file: bool = True
    bare: str | None = None

    @property
    def key(self) -> str:
        return self.name.replace("_", "-")

    @property
    def field(self) -> str:
        """Return the name of what it sets: `no_x` takes x away."""
        return self.name.removeprefix("no_")

    @property
    def flag(self) -> str:
        return f"--{self.key}"

    @property
    def env(self) -> str:
        return f"WESHER_{self.name.upper()}"

    @property
    def value(self) -> str:
        """Return how help texts show its value: " SECONDS", " [SECONDS]", nothing for a switch."""
        if self.metavar is None:
            return ""
        return f" [{self.metavar}]" if self.bare else f" {self.metavar}"

    @property
    def words(self) -> tuple[str, ...]:
        """Return all the values there are, none when they are not words to choose from."""
        return self.parse.words if isinstance(self.parse, v.OneOf) else ()

    @property
    def description(self) -> str:
        """Return the help text with the default."""
        return self.help + (f" (default: {self.default})" if self.default and self.metavar else "")


CONFIG_FILE = Option(
    "config", v.parse_path, "FILE", f"configuration file (default: {DEFAULT_FILE})", in_file=False
)

OPTIONS = (
    Option(
        "cluster_key",
        v.parse_keys,
        "KEY,…",
        "key shared by all members, 32 bytes in base64; more that only open, while it is changed "
        "(default: those saved, or a new one)",
        aliases=("--clusterkey",),
        listed=True,
    ),
    Option(
        "cluster_key_file",
        str,
        "FILE",
        "file with the cluster keys, one a line, - to be asked or for standard input; "
        "keeps the keys out of ps",
    ),
    Option(
        "join",
        v.parse_list,
        "HOST[:PORT],…",
        "members to contact first (default: the members in the state file)",
        aliases=("--joinaddrs",),
        listed=True,
    ),
    Option(
        "init", v.parse_switch, None, "set earlier state aside (.old) and start anew", in_file=False
    ),
    Option(
        "fresh_key",
        v.parse_switch,
        None,
        "make a new WireGuard key and identity although there are some from before",
        in_file=False,
    ),
    Option(
        "bind_addr",
        v.parse_address,
        "ADDR",
        "address to listen on; 0.0.0.0 advertises the address of the route to a seed",
        "0.0.0.0",
    ),
    Option(
        "bind_iface",
        v.parse_interface,
        "IFACE",
        "interface whose first global address to listen on; not with --bind-addr",
    ),
    Option(
        "advertise_addr",
        v.parse_reachable_address,
        "ADDR",
        "address that others are told, for 1:1 NAT or forwarded ports "
        "(default: the bound or default-route address)",
    ),
    Option("cluster_port", v.parse_port, "PORT", "gossip port, UDP and TCP", "7946"),
    Option("wireguard_port", v.parse_port, "PORT", "WireGuard port, UDP", "51820"),
    Option(
        "advertise_port",
        v.parse_port,
        "PORT",
        "gossip port that others are told, where a router forwards another one "
        "(default: --cluster-port)",
    ),
    Option(
        "advertise_wireguard_port",
        v.parse_port,
        "PORT",
        "WireGuard port that others are told (default: --wireguard-port)",
    ),
    Option(
        "keepalive",
        v.parse_keepalive,
        "SECONDS",
        "seconds after which something is sent through an idle tunnel, for a NAT to keep it open; "
        "off, or auto: 25 where one is between",
        "auto",
    ),
    Option(
        "mtu",
        v.parse_mtu,
        "BYTES",
        "MTU of the interface (default: 1420, and less towards members behind narrower links)",
    ),
    Option(
        "overlay_net",
        v.parse_network,
        "CIDR",
        "network the members' overlay addresses are taken from; the same on all members",
        "10.0.0.0/8",
    ),
    Option(
        "overlay_addr",
        v.parse_address,
        "ADDR",
        "our address in the overlay network (default: derived from the node name)",
    ),
    Option(
        "route",
        v.parse_routes,
        "CIDR[@PRIORITY],…",
        "networks behind this host that others reach through it; of several hosts with the same "
        "one that of the smallest priority (default: 0)",
        listed=True,
    ),
    Option(
        "accept_routes",
        Accepted.parse,
        "CIDR,…",
        "take networks behind other members inside these, or all, none, or private ones",
        "private",
        listed=True,
    ),
    Option("no_routes", v.parse_switch, None, "leave routes to networks behind members to others"),
    Option("interface", v.parse_interface, "NAME", "name of the WireGuard interface", "wgoverlay"),
    Option("no_etc_hosts", v.parse_switch, None, "leave the hosts file alone"),
    Option(
        "log_level",
        v.one_of("debug", "info", "warn", "error"),
        "LEVEL",
        "how much to log: debug, info, warn or error",
        "warn",
    ),
    Option(
        "node_name",
        v.parse_node_name,
        "NAME",
        "our name in the cluster and in hosts files (default: the host name)",
    ),
    Option(
        "timing",
        v.one_of("wan", "lan", "local"),
        "PRESET",
        "gossip timing profile: wan, lan or local; the same on all members",
        "wan",
    ),
    Option(
        "forget_after",
        v.parse_duration,
        "TIME",
        "how long a failed member keeps its peer and is retried: 30m, 24h, 7d, a number of "
        "seconds, never, or 0 for not at all",
        "24h",
    ),
    Option(
        "psk",
        v.one_of("on", "off"),
        "on|off",
        "WireGuard preshared keys, derived from the cluster key, with members that have them on "
        "too: on or off",
        "on",
    ),
    Option(
        "metadata_format",
        v.one_of("current", "v0.2"),
        "FORMAT",
        "format of what we publish: current, or v0.2 for members that run wesher v0.2",
        "current",
    ),
    Option(
        "trust",
        v.one_of("live", "pinned", "pinned,unsigned", "open"),
        "WHOM",
        "who may have a member's name: live, nobody else while the member answers; pinned, only "
        "the first identity seen under it, and pinned,unsigned also members without identity; "
        "open, whoever has the cluster key",
        "live",
    ),
    Option("state_dir", v.parse_path, "DIR", "where state is kept", "/var/lib/wesher"),
    Option("hosts_file", v.parse_path, "FILE", "hosts file to maintain", "/etc/hosts"),
    Option(
        "hosts_suffix",
        v.parse_suffix,
        "DOMAIN",
        "name members in the hosts file under this domain too, as in alpha.mesh",
    ),
    Option(
        "hosts_dots",
        v.parse_switch,
        None,
        "write names with dots into the hosts file whatever their domain",
    ),
    Option("run_dir", v.parse_path, "DIR", "where locks and sockets are kept", "/run/wesher"),
)


@frozen
class Operand:
    """A word that a command takes besides its options; `choices` are all there are, if any.

    An `optional` one may be left out; what stands in its place is another option, or nothing if its
    `metavar` is in brackets.
    """

    name: str
    metavar: str
    help: str
    choices: tuple[str, ...] | None = None
    optional: bool = False

    @property
    def needed(self) -> bool:
        """Whether there is no use of the command without it, or what stands in its place."""
        return not self.metavar.startswith("[")


GROUPS = {
    "join": ("cluster_key", "cluster_key_file", "join", "init"),
    "network": (
        "interface",
        "bind_addr",
        "bind_iface",
        "advertise_addr",
        "cluster_port",
        "wireguard_port",
        "advertise_port",
        "advertise_wireguard_port",
        "keepalive",
        "mtu",
        "overlay_net",
    ),
    "networks behind members": ("route", "accept_routes", "no_routes"),
    "identity": ("node_name", "overlay_addr", "fresh_key"),
    "files": (
        "config",
        "state_dir",
        "run_dir",
        "no_etc_hosts",
        "hosts_file",
        "hosts_suffix",
        "hosts_dots",
    ),
    "other": ("timing", "forget_after", "psk", "metadata_format", "trust", "log_level"),
}
"""The agent's options as its help shows them, by name."""

CLEANUP_NAMES = ("interface", "hosts_file", "run_dir", "log_level")
CLIENT_NAMES = ("interface", "run_dir")
TOLD_NAMES = (
    "node_name",
    "join",
    "bind_addr",
    "bind_iface",
    "advertise_addr",
    "cluster_port",
    "wireguard_port",
    "advertise_port",
    "overlay_net",
    "route",
    "no_etc_hosts",
    "hosts_file",
    "state_dir",
)
"""What an agent tells `wesher doctor` that it runs with: no secrets."""
DOCTOR_NAMES = (*TOLD_NAMES, "cluster_key", "cluster_key_file", "interface", "run_dir")

NAME = Operand("name", "NAME", "name of a member")
KEY_WORDS = Operand(
    "what",
    "[show|list|status|rotate|install|use|remove]",
    "what to do with the keys: print them, if nothing is said",
    ("show", "list", "status", "rotate", "install", "use", "remove"),
    optional=True,
)
GRACE = Option(
    "grace",
    v.parse_duration,
    "TIME",
    "how long a host may be away without missing a change of the key: 0, 30m, 24h, at most 30d",
    "24h",
)
JSON = Option("json", v.parse_switch, None, "print JSON, as docs/control.md describes it")
STATE = Option(
    "state",
    v.one_of("alive", "suspect", "failed", "left"),
    "STATE",
    "only members in this state: alive, suspect, failed or left (default: all but the left)",
)
WITH_LEFT = Option("all", v.parse_switch, None, "show members that have left, too")
WATCH = Option(
    "watch",
    v.parse_seconds,
    "SECONDS",
    "show it again and again until q or Ctrl-C, with bytes per second; every 2 seconds by default",
    bare="2",
)
ALL = Option(
    "all",
    v.parse_switch,
    None,
    "clean up after all agents there have been on this host, but those that run",
)
IDENTITY = Option(
    "identity", str, "FINGERPRINT", "which one, if several claim the name, as `wesher status` shows"
)
FORCE = Option(
    "force",
    v.parse_switch,
    None,
    "print keys where they may be kept, too, as in a file; change them without those who cannot "
    "follow, whom it names otherwise",
)
FORMAT = Option("format", v.one_of("wg", "json"), "FORMAT", "wg or json", "wg")
PRIVATE_KEY = Option(
    "with_private_key",
    v.parse_switch,
    None,
    "include the private key of this host's interface, which the file is of no use without",
)

INVITING = Operand(
    "what", "[list|revoke]", "list invitations, or revoke one", ("list", "revoke"), optional=True
)
INVITATION = Operand(
    "id", "[ID|all]", "what to revoke: the id of an invitation, or all", optional=True
)
TTL = Option("ttl", v.parse_ttl, "TIME", "how long it can be used: 10m, 1h, 7d", "1h")
USES = Option("uses", v.parse_uses, "NUMBER", "how many hosts it lets in", "1")
TOKEN = Operand(
    "token", "TOKEN", "what `wesher invite` printed, - for standard input", optional=True
)
TOKEN_FILE = Option("token_file", str, "FILE", "file with the token; keeps it out of ps")
SAVE_ONLY = Option(
    "save_only", v.parse_switch, None, "save what the agent needs, and leave its start to others"
)

FULL = Option("full", v.parse_switch, None, "with names and addresses as they are; no secrets")
REPORT_FILE = Operand(
    "file", "[FILE]", "where to write it (default: a new file in this directory)", optional=True
)
MESH = Option("mesh", v.parse_switch, None, "have every member examined, and tell it by cause")
DOT = Option("dot", v.parse_switch, None, "print the graph for Graphviz")
SVG = Option("svg", v.parse_switch, None, "print the graph as a picture")
HTML = Option(
    "html", str, "FILE", "write a page with the graph, the matrix and the last hour to this file"
)
OUTPUT = Option("output", str, "FILE", "write to this file, at once, instead of standard output")
ONCE_IN_MESH = Option(
    "once_in_mesh",
    v.parse_switch,
    None,
    "show an event on one live member only, the same for all who follow with this option",
)
UNINSTALL = Option("uninstall", v.parse_switch, None, "remove the units that it wrote")
HTTP = Option(
    "http",
    v.parse_switch,
    None,
    "answer one HTTP request on standard input, a connection that systemd or inetd hands over",
)


def pick(names: Iterable[str]) -> tuple[Option, ...]:
    """Return the options of these names, in the table's order."""
    wanted = set(names)
    return tuple(option for option in OPTIONS if option.name in wanted)
