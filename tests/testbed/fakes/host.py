"""Stand-ins for wg(8), ip(8) and wireguard-go(1) that remember what they were told.

Started by the scripts `wg`, `ip` and `wireguard-go` beside it. One directory, $FAKES, is one host:

    calls         a line per call, as typed           host       what the host is like (marshal)
    TOOL.stdin    what the tool last read             TOOL.fail  how many more calls must fail
    environ       the environment of each call        private-keys  all that `wg` was ever given
    TOOL.hang     present: the tool hangs             TOOL.refuse  words of which one in a call (or
    no-wireguard  present: the kernel lacks it                     in a line of a batch) is refused
    preshared-keys  all of these that `wg` was ever given

$FAKES_CALLS, when set, gets the calls instead; a tool that hangs has its name in $FAKES_HANGING.
A new host has `lo` and `eth0` with 192.0.2.10/24 and a default route. Nothing but built-in modules
is imported: daemons call this often. For the same reason types are named in quotes only.
"""

import binascii
import marshal
import os
import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, ItemsView, Iterator
    from types import TracebackType
    from typing import TypedDict

    class Peer(TypedDict):
        endpoint: str
        allowed: list[str]
        keepalive: int
        handshake: int
        preshared: str

    class Link(TypedDict):
        kind: str
        mtu: int
        up: bool
        alias: str
        addresses: list[str]
        private_key: str
        public_key: str
        port: int
        peers: dict[str, Peer]  # by public key
        owners: dict[str, str]  # of allowed networks: the public keys of their peers

    class Host(TypedDict):
        links: dict[str, Link]
        routes: dict[str, dict[str, str]]  # by destination

    Shown = list["Shown"] | dict[str, "Shown"] | str | int  # what `ip -json` prints

SCOPES = {"host": "254", "link": "253", "global": "0"}


class Failure(Exception):
    """What the tool prints before it exits with status 1."""


def fakes(name: str) -> str:
    return f"{os.environ['FAKES']}/{name}"


def read(path: str, default: str = "") -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return default


def main() -> None:
    tool, *words = sys.argv[1:]
    if tool == "ip" and "monitor" in words:
        watch_in_silence()
    with open(os.environ.get("FAKES_CALLS") or fakes("calls"), "a") as calls:
        calls.write(" ".join([tool, *words]) + "\n")
    with open(fakes("environ"), "ab") as environ:
        environ.write(b"\0".join(b"=".join(one) for one in os.environb.items()) + b"\n")
    if os.path.exists(fakes(f"{tool}.hang")):
        os.environ["FAKES_HANGING"] = tool
        os.execv("/bin/sleep", ["sleep", "3600"])
    with locked_host() as host:
        try:
            obey(tool, words, host)
        except Failure as failure:
            print(failure, file=sys.stderr)
            sys.exit(1)


def watch_in_silence() -> None:
    """Be `ip monitor` on a host where nothing happens, until who started it is gone."""
    parent = posix.getppid()
    while posix.getppid() == parent:
        time.sleep(1)
    sys.exit(0)


def obey(tool: str, words: list[str], host: "Host") -> None:
    left = int(read(fakes(f"{tool}.fail"), "0"))
    if left > 0:
        with open(fakes(f"{tool}.fail"), "w") as file:
            file.write(str(left - 1))
        raise Failure("Unable to modify interface: Device or resource busy")
    {"wg": wg, "ip": ip, "wireguard-go": wireguard_go}[tool](words, host)


def refuse(tool: str, words: list[str]) -> None:
    """Fail when a test said that one of these words must."""
    refused = set(read(fakes(f"{tool}.refuse")).split())
    if refused.intersection(words):
        raise Failure("RTNETLINK answers: Invalid argument")


class locked_host:
    """The host's state, read and written by one process at a time."""

    host: "Host"

    def __enter__(self) -> "Host":
        self.lock = os.open(fakes("lock"), os.O_CREAT | os.O_RDWR, 0o600)
        posix.lockf(self.lock, posix.F_LOCK, 0)
        try:
            with open(fakes("host"), "rb") as file:
                self.before = file.read()
            self.host = marshal.loads(self.before)
        except FileNotFoundError:
            self.before, self.host = b"", new_host()
        return self.host

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        after = marshal.dumps(dict(self.host))
        if after != self.before:
            # Renamed, since a daemon may kill us at any moment.
            with open(fakes("host.new"), "wb") as file:
                file.write(after)
            os.replace(fakes("host.new"), fakes("host"))
        os.close(self.lock)


def new_host() -> "Host":
    links = {
        "lo": new_link("loopback", mtu=65536, up=True, addresses=("127.0.0.1/8", "::1/128")),
        "eth0": new_link("ether", mtu=1500, up=True, addresses=("192.0.2.10/24",)),
    }
    routes = [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "protocol": "3"},
        {"dst": "192.0.2.0/24", "dev": "eth0", "protocol": "2", "prefsrc": "192.0.2.10"},
    ]
    return {"links": links, "routes": {route["dst"]: route for route in routes}}


def new_link(
    kind: str, mtu: int = 1420, up: bool = False, addresses: tuple[str, ...] = ()
) -> "Link":
    return {
        "kind": kind,
        "mtu": mtu,
        "up": up,
        "alias": "",
        "addresses": list(addresses),
        "private_key": "",
        "public_key": "",
        "port": 40000,
        "peers": {},
        "owners": {},
    }


# --- wg ---------------------------------------------------------------------------------------


def wg(words: list[str], host: "Host") -> None:
    if words[:1] == ["show"] and words[2:] == ["dump"]:
        wg_show(wg_link(words[1], host, "access"))
    elif words[:1] == ["set"]:
        refuse("wg", words)
        link = wg_link(words[1], host, "modify")
        # All or nothing, like the true one, which parses everything first.
        changed: Link = marshal.loads(marshal.dumps(dict(link)))
        wg_set(changed, iter(words[2:]))
        link.update(changed)
    else:
        raise Failure(f"fake wg: not understood: {words}")


def wg_link(name: str, host: "Host", verb: str) -> "Link":
    link = host["links"].get(name)
    if link is None:
        raise Failure(f"Unable to {verb} interface: No such device")
    if link["kind"] != "wireguard":
        raise Failure(f"Unable to {verb} interface: Operation not supported")
    return link


def wg_show(link: "Link") -> None:
    keys = link["private_key"] or "(none)", link["public_key"] or "(none)"
    print(*keys, link["port"], "off", sep="\t")
    for key, peer in link["peers"].items():
        endpoint, allowed = peer["endpoint"] or "(none)", ",".join(peer["allowed"]) or "(none)"
        keepalive = peer["keepalive"] or "off"
        preshared = peer["preshared"] or "(none)"
        print(key, preshared, endpoint, allowed, peer["handshake"], 0, 0, keepalive, sep="\t")


def wg_set(link: "Link", words: "Iterator[str]") -> None:
    peer, key = new_peer(), ""
    for word in words:
        value = next(words) if word != "remove" else ""
        if word == "private-key":
            private = read_key_file(value)
            link["private_key"], link["public_key"] = private, private and public_key(private)
            with open(fakes("private-keys"), "a") as keys:
                keys.write(f"{private}\n")
        elif word == "listen-port":
            link["port"] = int(value)
        elif word == "peer":
            key = checked_key(value)
            peer = link["peers"].setdefault(key, new_peer())
        elif word == "preshared-key":
            peer["preshared"] = read_key_file(value)
            with open(fakes("preshared-keys"), "a") as keys:
                keys.write(f"{peer['preshared']}\n")
        elif word == "remove":
            give_allowed(link, key, [])
            link["peers"].pop(key)
        elif word == "endpoint":
            peer["endpoint"] = value
        elif word == "persistent-keepalive":
            peer["keepalive"] = int(value)
        elif word == "allowed-ips":
            give_allowed(link, key, [one for one in value.split(",") if one])
        else:
            raise Failure(f"Invalid argument: {word}")


def give_allowed(link: "Link", key: str, networks: list[str]) -> None:
    """Let the peer have exactly these, taking them from whoever has them."""
    owners, peers = link["owners"], link["peers"]
    for one in peers[key]["allowed"]:
        del owners[one]
    for one in networks:
        if one in owners:
            peers[owners[one]]["allowed"].remove(one)
        owners[one] = key
    peers[key]["allowed"] = networks


def new_peer() -> "Peer":
    return {"endpoint": "", "allowed": [], "keepalive": 0, "handshake": 0, "preshared": ""}


def checked_key(word: str) -> str:
    if len(word) != 44 or not word.endswith("="):
        raise Failure(f"Key is not the correct length or format: `{word}'")
    return word


def read_key_file(path: str) -> str:
    text = read(path)
    if path == "/dev/stdin":
        with open(fakes("wg.stdin"), "w") as file:
            file.write(text)
    return checked_key(text.strip()) if text.strip() else ""


def public_key(private: str) -> str:
    """X25519 with the base point (RFC 7748, section 5), so that hosts can know each other."""
    prime = 2**255 - 19
    scalar = int.from_bytes(binascii.a2b_base64(private), "little")
    scalar = scalar & ~7 & ~(128 << 8 * 31) | (64 << 8 * 31)
    x1, x2, z2, x3, z3 = 9, 1, 0, 9, 1
    for bit in range(254, -1, -1):
        if scalar >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % prime, c * b % prime, a * a % prime, b * b % prime
        x3, z3 = (da + cb) ** 2 % prime, x1 * (da - cb) ** 2 % prime
        x2, z2 = aa * bb % prime, (aa - bb) * (aa + 121665 * (aa - bb)) % prime
        if scalar >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
    shared = x2 * pow(z2, prime - 2, prime) % prime
    return binascii.b2a_base64(shared.to_bytes(32, "little"), newline=False).decode()


# --- ip ---------------------------------------------------------------------------------------


def ip(words: list[str], host: "Host") -> None:
    options = set()
    while words and words[0].startswith("-") and words[0] != "-batch":
        options.add(words.pop(0))
    if words[:2] != ["-batch", "-"]:
        refuse("ip", words)
        ip_command(words, host, options)
        return
    text = sys.stdin.read()
    with open(fakes("ip.stdin"), "w") as file:
        file.write(text)
    failed = False
    for number, line in enumerate(text.splitlines(), 1):
        try:
            refuse("ip", line.split())
            ip_command(line.replace('"', "").split(), host, options)
        except Failure as failure:
            print(failure, f"Command failed -:{number}", sep="\n", file=sys.stderr)
            failed = True
            if "-force" not in options:
                break
    if failed:
        sys.exit(1)


def ip_command(words: list[str], host: "Host", options: set[str]) -> None:
    noun = {"addr": "address"}.get(words[0], words[0])
    verb = {"delete": "del", "list": "show"}.get(words[1], words[1]) if words[1:] else "show"
    command = COMMANDS.get((noun, verb))
    if verb == "show" and noun in SHOWN:
        text = json(SHOWN[noun](host, words[2:]))
        print(text if "-json" in options else text.replace("},{", "}\n{"))
    elif command is not None:
        command(host, words[2:])
    else:
        raise Failure(f'Object "{words[0]}" is unknown, try "ip help".')


def json(value: "Shown") -> str:
    """Write lists, dicts, numbers, truths and plain words as JSON."""
    if isinstance(value, list):
        return f"[{','.join(map(json, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f'"{key}":{json(one)}' for key, one in value.items()) + "}"
    if isinstance(value, bool | int):
        return str(value).lower()
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def show_links(host: "Host", _words: list[str]) -> "Shown":
    return [show_link(number, name, link) for number, (name, link) in enumerate(all_links(host), 1)]


def show_addresses(host: "Host", _words: list[str]) -> "Shown":
    shown: list[Shown] = []
    for number, (name, link) in enumerate(all_links(host), 1):
        one = show_link(number, name, link)
        one.pop("ifalias", None)
        shown.append(one | {"addr_info": [show_address(address) for address in link["addresses"]]})
    return shown


def all_links(host: "Host") -> "ItemsView[str, Link]":
    return host["links"].items()


def show_link(number: int, name: str, link: "Link") -> dict[str, "Shown"]:
    shown: dict[str, Shown] = {
        "ifindex": number,
        "ifname": name,
        "flags": ["UP", "LOWER_UP"] if link["up"] else [],
        "mtu": link["mtu"],
    }
    if link["alias"]:
        shown["ifalias"] = link["alias"]
    return shown


def show_address(address: str) -> dict[str, "Shown"]:
    local, length = address.split("/")
    scope = "host" if local in ("127.0.0.1", "::1") else "link" if local[:4] == "fe80" else "global"
    return {
        "family": "inet6" if ":" in local else "inet",
        "local": local,
        "prefixlen": int(length),
        "scope": SCOPES[scope],
    }


def show_routes(host: "Host", words: list[str]) -> "Shown":
    """Show all routes, or those of a protocol, which is then left out."""
    routes = list(host["routes"].values())
    if "proto" in words:
        proto = words[words.index("proto") + 1]
        routes = [dict(route) for route in routes if route["protocol"] == proto]
        for route in routes:
            del route["protocol"]
    return [show_route(route) for route in routes]


def show_route(route: dict[str, str]) -> dict[str, "Shown"]:
    shown: dict[str, Shown] = {**route, "flags": []}
    if mtu := shown.pop("mtu", None):
        shown["metrics"] = [{"mtu": int(str(mtu))}]
    return shown


def find_link(host: "Host", name: str) -> "Link":
    if name not in host["links"]:
        raise Failure(f'Cannot find device "{name}"')
    return host["links"][name]


def pairs(words: list[str]) -> dict[str, str]:
    """Return the options of a command, a word and its value each."""
    return dict(zip(words[::2], words[1::2], strict=False))


def without_dev(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["dev"] else words


def keep_routes(host: "Host", wanted: "Callable[[dict[str, str]], bool]") -> None:
    host["routes"] = {dst: route for dst, route in host["routes"].items() if wanted(route)}


def link_add(host: "Host", words: list[str]) -> None:
    name, *rest = without_dev(words)
    kind = pairs(rest)["type"]
    if name in host["links"]:
        raise Failure("RTNETLINK answers: File exists")
    if kind == "wireguard" and os.path.exists(fakes("no-wireguard")):
        raise Failure("Error: Unknown device type.")
    host["links"][name] = new_link(kind)


def link_del(host: "Host", words: list[str]) -> None:
    name = without_dev(words)[0]
    find_link(host, name)
    del host["links"][name]
    keep_routes(host, lambda route: route["dev"] != name)


def link_set(host: "Host", words: list[str]) -> None:
    name, *rest = without_dev(words)
    link = find_link(host, name)
    options = iter(rest)
    for word in options:
        if word in ("up", "down"):
            link["up"] = word == "up"
            if word == "down":
                keep_routes(host, lambda route: route["dev"] != name)
        elif word == "mtu":
            link["mtu"] = int(next(options))
        elif word == "alias":
            link["alias"] = next(options, "")
        else:
            raise Failure(f"fake ip: not understood: link set {word}")


def address_put(host: "Host", words: list[str]) -> None:
    addresses = find_link(host, pairs(words[1:])["dev"])["addresses"]
    if words[0] not in addresses:
        addresses.append(words[0])


def address_add(host: "Host", words: list[str]) -> None:
    if words[0] in find_link(host, pairs(words[1:])["dev"])["addresses"]:
        raise Failure("RTNETLINK answers: File exists")
    address_put(host, words)


def address_del(host: "Host", words: list[str]) -> None:
    addresses = find_link(host, pairs(words[1:])["dev"])["addresses"]
    if words[0] not in addresses:
        raise Failure("RTNETLINK answers: Cannot assign requested address")
    addresses.remove(words[0])


def parse_route(words: list[str]) -> dict[str, str]:
    destination, options = words[0].removesuffix("/32").removesuffix("/128"), pairs(words[1:])
    route = {"dst": destination, "dev": options["dev"]}
    if "via" in options:
        route["gateway"] = options["via"]
    route["protocol"] = options.get("proto", "3")
    if "mtu" in options:
        route["mtu"] = options["mtu"]
    if "scope" in options:
        route["scope"] = SCOPES[options["scope"]]
    return route | ({"pref": "medium"} if ":" in words[0] else {})


def route_replace(host: "Host", words: list[str]) -> None:
    route = parse_route(words)
    if not find_link(host, route["dev"])["up"]:
        raise Failure("Error: Device for nexthop is not up.")
    host["routes"][route["dst"]] = route


def route_add(host: "Host", words: list[str]) -> None:
    if parse_route(words)["dst"] in host["routes"]:
        raise Failure("RTNETLINK answers: File exists")
    route_replace(host, words)


def route_del(host: "Host", words: list[str]) -> None:
    route = parse_route(words)
    find_link(host, route["dev"])
    if host["routes"].get(route["dst"], {}).get("dev") != route["dev"]:
        raise Failure("RTNETLINK answers: No such process")
    del host["routes"][route["dst"]]


def route_flush(host: "Host", words: list[str]) -> None:
    dev, proto = pairs(words)["dev"], pairs(words).get("proto")
    keep_routes(
        host, lambda one: one["dev"] != dev or (proto is not None and one["protocol"] != proto)
    )


SHOWN = {"link": show_links, "address": show_addresses, "route": show_routes}
COMMANDS = {
    ("link", "add"): link_add,
    ("link", "del"): link_del,
    ("link", "set"): link_set,
    ("address", "add"): address_add,
    ("address", "replace"): address_put,
    ("address", "del"): address_del,
    ("route", "add"): route_add,
    ("route", "replace"): route_replace,
    ("route", "del"): route_del,
    ("route", "flush"): route_flush,
}


# --- wireguard-go -----------------------------------------------------------------------------


def wireguard_go(words: list[str], host: "Host") -> None:
    name = words[0]
    if name in host["links"]:
        print("Failed to create TUN device: device or resource busy")
        raise Failure("")
    host["links"][name] = new_link("wireguard")


main()
