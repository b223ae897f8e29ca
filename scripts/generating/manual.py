"""The man pages wesher(8) and wesher.toml(5), in the man macros of troff."""

from collections.abc import Iterable

from scripts.generating.texts import usage
from wesher import __version__
from wesher.cli import AGENT, COMMANDS, Command
from wesher.config.options import CONFIG_FILE, DEFAULT_FILE, Option

_STOPPING = {
    "SIGTERM, SIGINT": (
        "Leave the cluster and take interface, routes and /etc/hosts entries down. "
        "So does SIGHUP, when wesher runs on a terminal."
    ),
    "SIGUSR1": (
        "Stop and leave everything in place; the next start takes it over without losing a packet."
    ),
    "SIGHUP": "Without a terminal: read the configuration again, as wesher reload does.",
}
_CODES = {
    "0": "An orderly end.",
    "1": "What was asked for could not be done.",
    "2": "A wrong option or configuration.",
    "3": "A command for a running agent, and none runs.",
}
_FILES = {
    DEFAULT_FILE: "The configuration, see wesher.toml(5).",
    "/var/lib/wesher/INTERFACE.json": "Cluster key, own address and last members.",
    "/var/lib/wesher/INTERFACE.invitations": "Invitations that this host has made.",
    "/run/wesher": "Locks and control sockets.",
    "/etc/hosts": "Lines with the names of the members, marked as ours.",
}


def wesher_8() -> str:
    """Return the manual page of the command."""
    return "".join(
        (
            _title("wesher", 8),
            _section("NAME", "wesher \\- encrypted WireGuard mesh of all your hosts"),
            _section("SYNOPSIS"),
            ".B wesher\n[\\fIOPTION\\fR]...\n",
            *(_synopsis(word, command) for word, command in COMMANDS.items()),
            _section("DESCRIPTION", _escape(f"{AGENT.description} {AGENT.details}")),
            _paragraph(
                "The first host prints a new cluster key; the others are given it with "
                "--cluster-key and the name of any member with --join. From the second start on "
                "neither is needed."
            ),
            _section("OPTIONS"),
            *map(_option, (CONFIG_FILE, *AGENT.options)),
            _section(
                "COMMANDS",
                _escape(
                    "Of the options above each takes those that matter to it, "
                    "as its --help tells; the others are here."
                ),
            ),
            *(_command(word, command) for word, command in COMMANDS.items()),
            *_table("SIGNALS", _STOPPING),
            *_table("EXIT STATUS", _CODES),
            *_table("FILES", _FILES),
            _section("ENVIRONMENT"),
            _paragraph(
                "Every option is also read from the variable WESHER_ and its name in capitals, "
                "with _ for -: WESHER_CLUSTER_KEY. A flag comes before the variable, the variable "
                "before the configuration file."
            ),
            _section("SEE ALSO", ".BR wesher.toml (5),\n.BR wg (8),\n.BR ip (8)", raw=True),
        )
    )


def wesher_toml_5() -> str:
    """Return the manual page of the configuration file."""
    options = [option for option in AGENT.options if option.in_file]
    return "".join(
        (
            _title("wesher.toml", 5),
            _section("NAME", "wesher.toml \\- configuration of wesher"),
            _section(
                "DESCRIPTION",
                _escape(
                    f"wesher(8) reads {DEFAULT_FILE}, or the file named with --config. It is TOML: "
                    "one `key = value` a line. Nothing has to be set. A file that holds the "
                    "cluster key must be readable by root alone."
                ),
            ),
            _section("KEYS"),
            *(_tagged(_key(option), _help(option)) for option in options),
            _section("EXAMPLE"),
            '.nf\njoin = ["node1.example.org", "192.0.2.7"]\noverlay-net = "10.59.0.0/16"\n.fi\n',
            _section("SEE ALSO", ".BR wesher (8)", raw=True),
        )
    )


def _title(name: str, section: int) -> str:
    return (
        '.\\" Made by scripts/generate; change the table of options instead.\n'
        f'.TH {name.upper()} {section} "" "wesher {__version__}" "wesher"\n'
    )


def _section(name: str, text: str = "", *, raw: bool = False) -> str:
    heading = f".SH {name}\n" if " " not in name else f'.SH "{name}"\n'
    return heading + (f"{text}\n" if text or raw else "")


def _paragraph(text: str) -> str:
    return f".PP\n{_escape(text)}\n"


def _table(section: str, rows: dict[str, str]) -> Iterable[str]:
    yield _section(section)
    for term, text in rows.items():
        yield _tagged(term, text)


def _tagged(term: str, text: str) -> str:
    return f".TP\n.B {_escape(term)}\n{_escape(text)}\n"


def _option(option: Option) -> str:
    names = ", ".join((f"{option.flag}{option.value}", *option.aliases))
    return _tagged(names, _help(option))


def _key(option: Option) -> str:
    return f"{option.key} = {option.metavar or 'true'}"


def _help(option: Option) -> str:
    return option.description + "."


def _synopsis(word: str, command: Command) -> str:
    typed = " ".join((word, *(one.metavar for one in command.operands if one.choices)))
    values = [f" \\fI{_escape(one.metavar)}\\fR" for one in command.operands if not one.choices]
    return f".br\n.B wesher {_escape(typed)}\n[\\fIOPTION\\fR]...{''.join(values)}\n"


def _command(word: str, command: Command) -> str:
    own = [_option(option) for option in command.options if option not in AGENT.options]
    listed = f".RS\n{''.join(own)}.RE\n" if own else ""
    told = f"{command.description} {command.details}".rstrip()
    return _tagged(usage(word, command), told) + listed


def _escape(text: str) -> str:
    """Keep troff from reading our words as its own."""
    escaped = text.replace("\\-", "\0").replace("\\", "\\e").replace("-", "\\-")
    escaped = escaped.replace("\0", "\\-").replace("…", "...")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
