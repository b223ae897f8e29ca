"""`wesher export`: the interface for wg-quick, or the mesh as JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from wesher.base.errors import AgentError, ConfigError
from wesher.cli.client import choose_agent, show, show_json
from wesher.config.options import FORMAT, JSON, PRIVATE_KEY


def run(given: Mapping[str, str]) -> int:
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
        yield "# PrivateKey is left out, see --with-private-key"
    for peer in export["peers"]:
        yield from ("", "[Peer]", f"# {peer['name']}", f"PublicKey = {peer['public_key']}")
        yield f"Endpoint = {peer['endpoint']}"
        if peer["allowed_ips"]:
            yield f"AllowedIPs = {', '.join(peer['allowed_ips'])}"
        if peer["keepalive"]:
            yield f"PersistentKeepalive = {peer['keepalive']}"


def _single(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"
