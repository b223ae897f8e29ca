"""`wesher metrics`: what Prometheus wants to know, for node_exporter's files or for one scrape."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from wesher.base.errors import ConfigError, StartError, WesherError
from wesher.cli import scrape
from wesher.cli.client import Agent, as_json, choose_agent, show
from wesher.cli.prometheus import CONTENT_TYPE, render

_READABLE = 0o644  # for node_exporter, which is not root
_CONTRARY = ("output", "json")


def run(given: Mapping[str, str]) -> int:
    """Print the metrics, write them to a file, or answer a scrape; returns the exit code."""
    if "http" in given:
        return _answer(given)
    agent = choose_agent(given)
    text = as_json(agent.ask("account"), indent=2) + "\n" if "json" in given else _text(agent)
    if file := given.get("output"):
        _write(Path(file), text)
    else:
        show(text.splitlines())
    return 0


def _text(agent: Agent) -> str:
    account = agent.ask("account")
    return render(agent.ask("status"), account)


def _answer(given: Mapping[str, str]) -> int:
    """Answer the request on standard input; what cannot be asked is answered with the reason."""
    if contrary := [name for name in _CONTRARY if name in given]:
        raise ConfigError(f"--http and --{contrary[0]} contradict each other")
    with scrape.connection(sys.stdin.fileno()) as client:
        try:
            text = _text(choose_agent(given))
        except WesherError as error:
            scrape.answer(client, "503 Service Unavailable", "text/plain", f"{error}\n")
            raise
        scrape.answer(client, "200 OK", CONTENT_TYPE, text)
    return 0


def _write(path: Path, text: str) -> None:
    """Put `text` into place at once, so that nobody reads half of it."""
    try:
        with NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as temporary:
            os.fchmod(temporary.fileno(), _READABLE)
            temporary.write(text)
        _rename(Path(temporary.name), path)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error


def _rename(made: Path, path: Path) -> None:
    try:
        made.replace(path)
    except OSError:
        made.unlink()
        raise
