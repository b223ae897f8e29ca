"""Completions for bash, zsh and fish.

Members are asked of a running agent, and nothing is completed where none answers. Their names are
never expanded by a shell.
"""

import argparse
from collections.abc import Iterable

import shtab

from wesher.cli import AGENT, COMMANDS
from wesher.config import command_line
from wesher.config.options import NAME, Option

_Kind = dict[str, str]

_PATIENCE = 2  # seconds that a key press waits for the agent at most
_MEMBERS: _Kind = {
    "bash": "_wesher_members",
    "zsh": "_wesher_members",
    "fish": "(__wesher_members)",
}
_FAILED: _Kind = {
    "bash": "_wesher_failed",
    "zsh": "_wesher_failed",
    "fish": "(__wesher_members --state failed)",
}
_FUNCTIONS = {
    "bash": f"""\
_wesher_members() {{
  local name rest
  while read -r name rest; do
    [[ $name == "$1"* ]] && printf '%s\\n' "$name"
  done < <(timeout {_PATIENCE} wesher members "${{@:2}}" 2>/dev/null)
  return 0
}}

_wesher_failed() {{
  _wesher_members "$1" --state failed
}}""",
    "zsh": f"""\
_wesher_members() {{
  local -a lines
  lines=(${{(f)"$(timeout {_PATIENCE} wesher members $@ 2>/dev/null)"}})
  compadd -- ${{lines%% *}}
}}

_wesher_failed() {{
  _wesher_members --state failed
}}""",
    "fish": f"""\
function __wesher_members
  timeout {_PATIENCE} wesher members $argv 2>/dev/null | string replace -r ' .*' ''
end""",
}
_PATHS: tuple[tuple[_Kind, set[str]], ...] = (
    (shtab.FILE, {"config", "cluster_key_file", "hosts_file", "output", "token_file"}),
    (shtab.DIRECTORY, {"state_dir", "run_dir"}),
)


def completion(shell: str) -> str:
    """Return what `shell` (bash, zsh or fish) sources to complete wesher's command line."""
    whole = command_line.parser("wesher", AGENT.options)
    commands = whole.add_subparsers(dest="command", parser_class=argparse.ArgumentParser)
    for word, command in COMMANDS.items():
        part = command_line.parser(f"wesher {word}", command.options, command.operands)
        part.add_help = False
        commands.add_parser(
            word, help=command.description, parents=[part], conflict_handler="resolve"
        )
        members = _FAILED if word == "forget" else _MEMBERS
        _complete(commands.choices[word], command.options, members)
    _complete(whole, AGENT.options)
    text: str = shtab.complete(whole, shell, preamble=_FUNCTIONS)
    return text


def _complete(
    parser: argparse.ArgumentParser, known: Iterable[Option], members: _Kind = _MEMBERS
) -> None:
    """Say where shtab looks what follows the options, and which members an operand can name."""
    words = {option.name: option.words for option in known}
    for action in parser._actions:
        action.choices = words.get(action.dest) or action.choices
        kinds = [
            kind for kind, options in (*_PATHS, (members, {NAME.name})) if action.dest in options
        ]
        if kinds:
            action.complete = kinds[0]  # type: ignore[attr-defined] # where shtab looks
