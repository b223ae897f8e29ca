"""What is asked of an agent in one request: ping, forget, trust, reload, export."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from wesher.base.errors import AgentError, ConfigError
from wesher.cli.client import choose_agent, facts, milliseconds, show, show_json
from wesher.config.options import FORMAT, JSON, PRIVATE_KEY
from wesher.system.terminal import ANYWHERE, screen_of, waiting

PATIENCE = 30.0  # seconds: every way is tried more than once before it counts as broken
_TAKES = "up to 9 s"  # until all three have been given up

_METHODS = {"gossip": "by its gossip", "icmp": "by ICMP echo, as ping does"}


def run_ping(given: Mapping[str, str]) -> int:
    """Reach a member in every way; returns 1 when one of them fails."""
    agent, screen = choose_agent(given), screen_of(sys.stdout)
    with waiting(ANYWHERE if "json" in given else screen) as wait:
        wait.begins(f"{given['name']} by gossip, UDP and TCP, and in the overlay, {_TAKES}")
        result = agent.ask("ping", name=given["name"], patience=PATIENCE)
    if "json" in given:
        show_json(result)
    else:
        show([*facts(_ways(result), screen), *_verdict(result)])
    return 0 if all(_answered(result)) else 1


def _ways(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("gossip by UDP", _answer(result["gossip_udp"], result["address"])),
        ("gossip by TCP", _by_tcp(result)),
        ("overlay", _overlay(result["overlay"])),
    ]


def _by_tcp(result: Mapping[str, Any]) -> str:
    if _is_refused(result):
        return f"refused by {result['address']}"
    return _answer(result["gossip_tcp"], result["address"])


def _is_refused(result: Mapping[str, Any]) -> bool:
    """Tell whether the host says that nothing listens there; an agent of before does not tell."""
    return result.get("refused") is True


def _answer(seconds: float | None, address: str) -> str:
    told = "no answer" if seconds is None else milliseconds(seconds)
    return f"{told} from {address}"


def _overlay(overlay: Mapping[str, Any]) -> str:
    if overlay["address"] is None:
        return f"not tried: it {overlay['reason'] or 'has no overlay address'}"
    return f"{_answer(overlay['seconds'], overlay['address'])}, {_METHODS[overlay['method']]}"


def _answered(result: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    ways = (result["gossip_udp"], result["gossip_tcp"], result["overlay"]["seconds"])
    udp, tcp, overlay = (seconds is not None for seconds in ways)
    return udp, tcp, overlay


def _verdict(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to do about what is broken."""
    udp, tcp, overlay = _answered(result)
    name, port = result["name"], result["address"].rpartition(":")[2]
    if _is_refused(result) and not udp:
        yield f"nothing listens at {result['address']}: is wesher running there?"
        return
    if not (udp or tcp or overlay):
        yield f"{name} cannot be reached at all: is the host up, and is there a way to it?"
        return
    if not udp:
        yield f"gossip is broken by UDP: let UDP port {port} through, both ways"
    if not tcp:
        yield f"gossip is broken by TCP: let TCP port {port} through, both ways"
    if not overlay and result["overlay"]["address"]:
        yield "the overlay is broken: `wesher doctor` looks for the reason"


def run_forget(given: Mapping[str, str]) -> int:
    """Have a member forgotten; AgentError when it is alive or not known."""
    result = choose_agent(given).ask("forget", name=given["name"])
    if "json" in given:
        show_json(result)
    else:
        show([f"{result['name']} is forgotten"])
    return 0


def run_trust(given: Mapping[str, str]) -> int:
    """Let a name go to the identity that claims it; AgentError says why that cannot be."""
    name, identity = given["name"], given.get("identity")
    result = choose_agent(given).ask("trust", name=name, identity=identity)
    if "json" in given:
        show_json(result)
    else:
        show([f"{result['name']} is for identity {result['identity']} from now on"])
    return 0


def run_reload(given: Mapping[str, str]) -> int:
    """Reload; AgentError when the configuration is wrong, and nothing was changed."""
    report = choose_agent(given, configured=True).ask("reload")
    if "json" in given:
        show_json(report)
    else:
        show(_reloaded(report))
    return 0


def _reloaded(report: Mapping[str, Any]) -> Iterator[str]:
    if report["applied"]:
        yield f"changed at once: {', '.join(report['applied'])}"
    if report["restart_needed"]:
        yield f"needs a restart: {', '.join(report['restart_needed'])}"
    yield from report.get("warnings", ())
    if not any(report.values()):
        yield "nothing has changed"


def run_export(given: Mapping[str, str]) -> int:
    """Print the export; returns the exit code."""
    chosen = _format(given)
    wanted = PRIVATE_KEY.name in given
    export = choose_agent(given).ask("export", with_private_key=wanted)
    if chosen == "json":
        show_json(export)
    else:
        show(_wg_quick(export))
    return 0


def _format(given: Mapping[str, str]) -> str:
    default = "json" if JSON.name in given else FORMAT.default or ""
    try:
        chosen: str = FORMAT.parse(given.get(FORMAT.name, default))
    except ValueError as error:
        raise ConfigError(f"{FORMAT.flag}: {error}") from error
    if JSON.name in given and chosen != "json":
        raise ConfigError(f"{FORMAT.flag} {chosen} and {JSON.flag} contradict each other")
    return chosen


def _wg_quick(export: Mapping[str, Any]) -> Iterator[str]:
    """Yield a file for wg-quick, which makes the routes from the allowed-ips as we do."""
    interface = export["interface"]
    if interface["address"] is None:
        raise AgentError("there is no overlay address yet, try again in a moment")
    yield f"# {export['node']['name']} in {export['node']['overlay_network']}, by wesher export"
    yield "[Interface]"
    yield f"Address = {_single(interface['address'])}"
    yield f"ListenPort = {interface['listen_port']}"
    yield f"MTU = {interface['mtu']}"
    if "private_key" in interface:
        yield f"PrivateKey = {interface['private_key']}"
    else:
        yield "# PrivateKey is left out, and PresharedKey of peers, see --with-private-key"
    for peer in export["peers"]:
        yield from ("", "[Peer]", f"# {peer['name']}", f"PublicKey = {peer['public_key']}")
        if "preshared_key" in peer:
            yield f"PresharedKey = {peer['preshared_key']}"
        yield f"Endpoint = {peer['endpoint']}"
        if peer["allowed_ips"]:
            yield f"AllowedIPs = {', '.join(peer['allowed_ips'])}"
        if peer["keepalive"]:
            yield f"PersistentKeepalive = {peer['keepalive']}"


def _single(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"
