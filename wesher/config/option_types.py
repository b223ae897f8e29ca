"""Text an operator typed -> value; each function raises ValueError with the reason (no keys)."""

import base64
import binascii
import math
import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from pathlib import Path

from wesher.base.frozen import frozen
from wesher.mesh.base.hostnames import name_problem
from wesher.mesh.base.invitation import MOST_TTL, MOST_USES
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.routes import Route, fitting

IPInterface = IPv4Interface | IPv6Interface

LEAST_SECONDS, MOST_SECONDS = 0.1, 3600.0  # between two looks
LEAST_MTU, MOST_MTU = 576, 65_455  # bytes: what IPv4 asks for; an IP packet less the overhead
KEY_LENGTH = 32  # bytes: AES-256, the only size wesher uses
MAX_KEYS = 8  # as many as a keyring of wesher.gossip holds

# The shape wg-quick allows, and no leading dash: `ip` and `wg` would take it for an option.
_INTERFACE = re.compile(r"[A-Za-z0-9_=+.][A-Za-z0-9_=+.-]{0,14}")
# "all" and "interfaces" are words of `wg show`, "all" and "default" directories of sysctl.
_RESERVED_INTERFACES = {".", "..", "all", "default", "interfaces"}

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

_KEEPALIVE_WORDS = {"auto": None, "off": 0, "0": 0}

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def parse_switch(text: str) -> bool:
    """Return whether a switch is on."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Return cluster keys of 32 bytes, given in base64 with commas between them."""
    words = text.split(",")
    if len(words) > MAX_KEYS:
        raise ValueError(f"{len(words)} cluster keys are too many; {MAX_KEYS} are the most")
    if len(words) == 1:
        return (_parse_key(text, "the cluster key"),)
    keys: list[bytes] = []
    for number, word in enumerate(words, 1):
        which = f"cluster key {number} of {len(words)}"
        # What a template or a variable left empty is no key less: it is a mistake.
        if not word.strip():
            raise ValueError(f"{which} is empty")
        key = _parse_key(word, which)
        if key in keys:
            raise ValueError(f"{which} is the same as number {keys.index(key) + 1}")
        keys.append(key)
    return tuple(keys)


def _parse_key(text: str, which: str) -> bytes:
    must = f"it must be {KEY_LENGTH} bytes in base64"
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{which} is not base64; {must}") from None
    if len(key) != KEY_LENGTH:
        raise ValueError(f"{which} is {len(key)} bytes long; {must}")
    return key


def parse_list(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_address(text: str) -> IPAddress:
    """Return one IP address, IPv4-mapped ones as IPv4; link-local ones with a zone are refused."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id:
        raise ValueError(f"{text!r} is a link-local address, which other networks cannot reach")
    return address.ipv4_mapped or address


def parse_reachable_address(text: str) -> IPAddress:
    """Return an address that others can send to."""
    address = parse_address(text)
    if address.is_unspecified or address.is_multicast or address == IPv4Address("255.255.255.255"):
        raise ValueError(f"{text!r} is not the address of one host")
    return address


def parse_network(text: str) -> IPInterface:
    """Return a network with the host bits as written, which the overlay hash keeps."""
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length; write it like 10.0.0.0/8")
    try:
        network = ip_interface(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is not a network: write it like 10.0.0.0/8 (length up to 32) or fd00::/64 "
            "(up to 128)"
        ) from None
    if network.network.prefixlen == 0 or network.is_multicast or network.is_loopback:
        raise ValueError(f"{text!r} cannot be an overlay network")
    return network


def parse_port(text: str) -> int:
    """Return a port number, 1 to 65535."""
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and 0 < int(word) < 65536):
        raise ValueError(f"{text!r} is not a port (1 to 65535)")
    return int(word)


def parse_keepalive(text: str) -> int | None:
    """Return seconds, 0 for `off`, None for `auto`."""
    word = text.strip().lower()
    if word in _KEEPALIVE_WORDS:
        return _KEEPALIVE_WORDS[word]
    if word.isascii() and word.isdigit() and len(word) <= 5 and 0 < int(word) < 65536:
        return int(word)
    raise ValueError(f"{text!r} is neither auto, off, nor a number of seconds (1 to 65535)")


def parse_mtu(text: str) -> int:
    """Return an MTU that a WireGuard interface may have, in bytes."""
    word = text.strip()
    if word.isascii() and word.isdigit() and LEAST_MTU <= int(word[:6]) <= MOST_MTU:
        return int(word)
    raise ValueError(f"{text!r} is no number of bytes from {LEAST_MTU} to {MOST_MTU}")


def parse_routes(text: str) -> tuple[Route, ...]:
    """Return the networks of a comma-separated list, each perhaps with its @PRIORITY."""
    routes = tuple(map(Route.parse, parse_list(text)))
    networks = [route.network for route in routes]
    for network in networks:
        if networks.count(network) > 1:
            raise ValueError(f"{network} is there twice")
    if (fit := fitting(routes)) < len(routes):
        raise ValueError(
            f"{len(routes)} networks are too many for what members tell of themselves: the first "
            f"{fit} fit; write fewer that hold more"
        )
    return routes


def parse_interface(text: str) -> str:
    """Return the name of a network interface that the kernel, `ip`, `wg` and files can take."""
    if len(text) > 15:
        raise ValueError(f"{text!r} is longer than the 15 characters of an interface name")
    if text in _RESERVED_INTERFACES or not _INTERFACE.fullmatch(text):
        raise ValueError(f"{text!r} is not an interface name (letters, digits and _ = + . -)")
    return text


def parse_node_name(text: str) -> str:
    """Return a name that other members accept as a host name, without the root's final dot."""
    text = text.removesuffix(".")
    if problem := name_problem(text):
        raise ValueError(f"{text!r} is not usable: {problem}")
    return text


def parse_suffix(text: str) -> str:
    """Return a domain in lower case, without dots around it."""
    domain = text.strip().strip(".").lower()
    if problem := name_problem(domain):
        raise ValueError(f"{text!r} is not a domain: {problem}")
    return domain


def parse_duration(text: str) -> float:
    """Return seconds from `90`, `90s`, `30m`, `24h`, `7d`; infinity from `never`."""
    word = text.strip().lower()
    if word == "never":
        return math.inf
    match = _DURATION.fullmatch(word)
    if not match:
        raise ValueError(f"{text!r} is not a time; write it like 30m, 24h, 7d, or never")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def parse_seconds(text: str) -> float:
    """Return a number of seconds between two looks."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if LEAST_SECONDS <= seconds <= MOST_SECONDS:
        return seconds
    raise ValueError(f"{text!r} is no number of seconds from {LEAST_SECONDS:g} to {MOST_SECONDS:g}")


def parse_uses(text: str) -> int:
    """Return how many hosts an invitation is for."""
    word = text.strip()
    if word.isascii() and word.isdigit() and len(word) <= 4 and 0 < int(word) <= MOST_USES:
        return int(word)
    raise ValueError(f"{text!r} is no number of hosts from 1 to {MOST_USES}")


def parse_ttl(text: str) -> int:
    """Return how many seconds an invitation is good for."""
    seconds = parse_duration(text)
    if 1 <= seconds <= MOST_TTL:
        return int(seconds)
    raise ValueError(f"{text!r} is not a time from 1s to {MOST_TTL // 86400}d")


def parse_path(text: str) -> Path:
    """Return an absolute path: the daemon must not depend on where it was started."""
    if not text or "\0" in text:
        raise ValueError("it is not a path")
    return Path(text).absolute()


@frozen
class OneOf:
    """A parser that accepts these words only."""

    words: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text.strip().lower() in self.words:
            return text.strip().lower()
        raise ValueError(f"{text!r} is none of {', '.join(self.words)}")


def one_of(*words: str) -> OneOf:
    """Return a parser that accepts these words only."""
    return OneOf(words)
