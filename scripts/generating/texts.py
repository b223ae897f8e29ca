"""The commented configuration file, the pages' tables, and what --help prints."""

import textwrap

from wesher.cli import AGENT, COMMANDS, Command, help
from wesher.config.options import CONFIG_FILE, Option

_HEAD = """\
# Configuration of wesher, see wesher.toml(5). Nothing has to be set: each line that is commented
# out shows the default, or an example.
#
# With a cluster key in it this file must be readable by root alone (chmod 600).
"""
_EXAMPLES = {
    "cluster_key": '"…=="',
    "cluster_key_file": '"/etc/wesher/cluster.key"',
    "join": '["node1.example.org", "192.0.2.7:7946"]',
    "bind_iface": '"eth0"',
    "advertise_addr": '"203.0.113.7"',
    "overlay_addr": '"10.1.2.3"',
    "node_name": '"node1"',
}


def wesher_toml() -> str:
    """Return the configuration file that comes with the package."""
    return _HEAD + "".join(_setting(option) for option in AGENT.options if option.in_file)


def helps() -> str:
    """Return what --help prints, of the agent and of each command."""
    return "\n".join(help.text(word, one) for word, one in {"": AGENT, **COMMANDS}.items())


def with_commands(page: str) -> str:
    """Return a page with its table of commands made anew."""
    return with_section(page, "commands", _commands())


def with_options(page: str) -> str:
    """Return a page with its table of options made anew."""
    return with_section(page, "options", _options())


def with_section(page: str, name: str, text: str) -> str:
    """Return a page with what is between the marks of this name made anew.

    Raises ValueError when it has lost one of the two.
    """
    begin, end = f"<!-- {name}: made by scripts/generate -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"a page has lost its line {begin!r} or {end!r}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def _commands() -> str:
    head = "| command | what it does |\n|---|---|\n"
    return head + "".join(
        f"| `{usage(word, command)}` | {command.description} |\n"
        for word, command in COMMANDS.items()
    )


def usage(word: str, command: Command) -> str:
    """Return how a command is typed, with what it needs."""
    return " ".join(("wesher", word, *(one.metavar for one in command.operands if one.needed)))


def _options() -> str:
    head = "| flag | environment | what it is |\n|---|---|---|\n"
    return head + "".join(map(_row, (CONFIG_FILE, *AGENT.options)))


def _row(option: Option) -> str:
    note = "" if option.in_file or option is CONFIG_FILE else "; not a TOML key"
    what = option.description.replace("|", "\\|") + note
    return f"| `{option.flag}{option.value}` | `{option.env}` | {what} |\n"


def _setting(option: Option) -> str:
    help_lines = textwrap.wrap(option.help[:1].upper() + option.help[1:] + ".", 97)
    comment = "".join(f"# {line}\n" for line in help_lines)
    return f"\n{comment}#{option.key} = {_value(option)}\n"


def _value(option: Option) -> str:
    if option.name in _EXAMPLES:
        return _EXAMPLES[option.name]
    if option.metavar is None:
        return "false"
    default = option.default or ""
    return default if default.isdigit() else f'"{default}"'
