"""Completions for bash and zsh."""

import argparse

import shtab

from wesher.cli import AGENT, COMMANDS
from wesher.config import options

_PATHS = (
    (shtab.FILE, {"config", "cluster_key_file", "hosts_file", "output"}),
    (shtab.DIRECTORY, {"state_dir", "run_dir"}),
)


def completion(shell: str) -> str:
    """Return what `shell` (bash or zsh) sources to complete wesher's command line."""
    whole = options.parser("wesher", AGENT.options)
    commands = whole.add_subparsers(dest="command", parser_class=argparse.ArgumentParser)
    for word, command in COMMANDS.items():
        part = options.parser(f"wesher {word}", command.options, command.operands)
        part.add_help = False
        commands.add_parser(
            word, help=command.description, parents=[part], conflict_handler="resolve"
        )
        _complete_paths(commands.choices[word])
    _complete_paths(whole)
    text: str = shtab.complete(whole, shell)
    return text


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        kinds = [kind for kind, options in _PATHS if action.dest in options]
        if kinds:
            action.complete = kinds[0]  # type: ignore[attr-defined] # where shtab looks
