"""`wesher metrics`: what Prometheus wants to know, for the textfile directory of node_exporter."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile

from wesher.base.errors import StartError
from wesher.cli.client import as_json, choose_agent, show

_PACKAGE = "prometheus_client"
_READABLE = 0o644  # for node_exporter, which is not root


def run(given: Mapping[str, str]) -> int:
    """Print the metrics, or write them to a file; returns the exit code."""
    agent = choose_agent(given)
    account = agent.ask("account")
    if "json" in given:
        text = as_json(account, indent=2) + "\n"
    else:
        text = _load_exposition()(agent.ask("status"), account)
    if file := given.get("output"):
        _write(Path(file), text)
    else:
        show(text.splitlines())
    return 0


def _load_exposition() -> Callable[..., str]:
    """Import what renders metrics; StartError when the library it needs is missing."""
    try:
        render: Callable[..., str] = import_module("wesher.cli.prometheus").render
    except ModuleNotFoundError as error:
        if error.name != _PACKAGE:
            raise
        raise StartError(
            "metrics need the Python package prometheus-client: "
            "run `apt install python3-prometheus-client`, or `pip install 'wesher[metrics]'`"
        ) from error
    return render


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
