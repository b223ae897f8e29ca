"""What `--help` prints, and what is said to a word that is no command.

Our own instead of argparse's: commands first, options in groups, and the same with every Python.
"""

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from wesher.base.errors import nearest
from wesher.cli.commands import AGENT, COMMANDS, Command
from wesher.config.options import CONFIG_FILE, GROUPS, Operand, Option

WIDTH = 80  # columns; a wider terminal does not make longer lines easier to read
_LEAST = 40  # columns
_GAP = 2  # columns before and after what is explained
_EXPLAINED = 24  # columns of it at most; what is longer has its explanation below

_Row = tuple[str, str]

_HELP = ("-h, --help", "show this help")
_VERSION = ("--version", "show the version")

_COMMAND_MEANT = {
    "list": "members",
    "ls": "members",
    "nodes": "members",
    "show": "status",
    "token": "invite",
    "add": "invite",
    "rm": "forget",
    "remove": "forget",
    "kick": "forget",
    "pin": "trust",
    "check": "doctor",
    "diagnose": "doctor",
    "watch": "monitor",
    "events": "monitor",
    "install": "install-unit",
    "unit": "install-unit",
    "systemd": "install-unit",
}
_START = "the agent starts without a command: `wesher [OPTION]...`, or `systemctl start wesher`"
_STOP = "Ctrl-C or SIGTERM stops the agent, `systemctl stop wesher` the service"
_DONE_OTHERWISE = {
    **dict.fromkeys(("start", "run", "up", "agent", "daemon"), _START),
    **dict.fromkeys(("stop", "down", "leave", "kill"), _STOP),
    "restart": "stop the agent and start it again, or `systemctl restart wesher`",
    "init": "the agent starts anew by an option: `wesher --init`",
    "logs": "the agent logs to standard error, as a service to the journal: `journalctl -u wesher`",
}


def fitting(word: str, command: Command) -> str:
    """Return the help of a command as wide as the terminal, 80 columns at most."""
    return text(word, command, max(_LEAST, min(WIDTH, shutil.get_terminal_size().columns)))


def text(word: str, command: Command, width: int = WIDTH) -> str:
    """Return the help of a command, in lines of at most `width` columns."""
    return "\n".join((*_usage(word, command, width), "", *_body(command, width), ""))


def _usage(word: str, command: Command, width: int) -> Iterator[str]:
    words = [one.metavar for one in command.operands if one.choices]
    values = [one.metavar for one in command.operands if not one.choices]
    typed = " ".join(filter(None, ("usage: wesher", word, *words, "[OPTION]...", *values)))
    yield from textwrap.wrap(typed, width, subsequent_indent=" " * 7, break_on_hyphens=False)
    if command is AGENT:
        yield "       wesher COMMAND [OPTION]..."


def _needed(command: Command) -> tuple[str, ...]:
    return tuple(one.metavar for one in command.operands if one.needed)


def _body(command: Command, width: int) -> Iterator[str]:
    yield from textwrap.wrap(f"{command.description} {command.details}", width)
    for title, rows in _sections(command).items():
        yield from ("", f"{title}:", *_table(rows, width))
    yield from ("", *textwrap.wrap(_sources(command), width, break_on_hyphens=False))


def _sources(command: Command) -> str:
    """Return where else options can be set."""
    variable, file = "can also be set as WESHER_OPTION_NAME", "in the configuration file"
    if command is not AGENT:
        return f"Options of the agent {variable} or {file}."
    *most, last = [one.flag for one in (CONFIG_FILE, *AGENT.options) if not one.in_file]
    return f"Every option {variable}, and all but {', '.join(most)} and {last} {file}."


def _sections(command: Command) -> Mapping[str, Iterable[_Row]]:
    """Return what is explained, by headings."""
    if command is not AGENT:
        own = [option for option in command.options if option not in AGENT.options]
        shared = [option for option in command.options if option in AGENT.options]
        rows = [*map(_option, (*own, *shared, CONFIG_FILE)), _HELP]
        what = [_operand(one) for one in command.operands if not one.choices]
        return ({"operand": what} if what else {}) | {"options": rows}
    by_name = {option.name: option for option in (CONFIG_FILE, *AGENT.options)}
    groups = {title: [_option(by_name[name]) for name in names] for title, names in GROUPS.items()}
    groups["other"] += [_HELP, _VERSION]
    commands = [
        (" ".join((word, *_needed(one))), one.description) for word, one in COMMANDS.items()
    ]
    return {"commands, each with --help": commands} | groups


def _option(option: Option) -> _Row:
    also = f"; also {', '.join(option.aliases)}" if option.aliases else ""
    return option.flag + option.value, option.description + also


def _operand(operand: Operand) -> _Row:
    return operand.metavar.strip("[]"), operand.help


def _table(rows: Iterable[_Row], width: int) -> Iterator[str]:
    """Yield rows of two columns, explanations wrapped and below what leaves them no room."""
    rows = list(rows)
    column = min(max(len(name) for name, _ in rows), _EXPLAINED) + 2 * _GAP
    for name, explanation in rows:
        head = f"{'':{_GAP}}{name:<{column - _GAP}}"
        if len(head) > column:
            yield head
            head = ""
        yield textwrap.fill(
            explanation,
            width,
            initial_indent=f"{head:<{column}}",
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )


def unknown(word: str) -> str:
    """Return what to say to a word that is no command: what was meant, as far as can be told."""
    told = f"unknown command {word!r}"
    if otherwise := _DONE_OTHERWISE.get(word):
        return f"{told}; {otherwise}"
    meant = _COMMAND_MEANT.get(word) or nearest(word, COMMANDS)
    hint = f"did you mean {meant}? " if meant else ""
    return f"{told}; {hint}commands: {', '.join(COMMANDS)}; without one the agent starts"
