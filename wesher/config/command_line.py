"""A command line, read by the table of options."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from wesher import __version__
from wesher.base.errors import ConfigError, nearest
from wesher.config.options import CONFIG_FILE, Operand, Option


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are ours: one line, no usage dump. `flags` are those it tells of."""

    flags: tuple[str, ...] = ()
    help: Callable[[], str] | None = None

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help")

    def format_help(self) -> str:
        return self.help() if self.help else super().format_help()


def parser(
    prog: str,
    options: Iterable[Option],
    operands: Iterable[Operand] = (),
    ignored: Iterable[Option] = (),
    help: Callable[[], str] | None = None,
) -> _Parser:
    """Return a command-line parser that takes all this as text, unset options as None.

    It tells nobody of what is `ignored`, and prints what `help` returns when asked for help.
    """
    made = _Parser(prog, allow_abbrev=False)
    made.help = help
    made.add_argument("--version", action="version", version=f"wesher {__version__}")
    for operand in operands:
        made.add_argument(
            operand.name,
            metavar=operand.metavar,
            help=operand.help,
            choices=operand.choices,
            nargs="?" if operand.optional else None,
        )
    told = (CONFIG_FILE, *options)
    made.flags = tuple(option.flag for option in told)
    for option in told:
        _add_option(made, option, option.description.replace("%", "%%"))
    for option in ignored:
        _add_option(made, option, argparse.SUPPRESS)
    return made


def _add_option(made: _Parser, option: Option, description: str) -> None:
    names = (option.flag, *option.aliases)
    if option.metavar is None:
        made.add_argument(
            *names, dest=option.name, action="store_const", const="true", help=description
        )
        return
    made.add_argument(
        *names,
        dest=option.name,
        metavar=option.metavar,
        action="append" if option.listed else "store",
        help=description,
        nargs="?" if option.bare else None,
        const=option.bare,
    )


def parse_arguments(made: _Parser, arguments: Sequence[str]) -> dict[str, str]:
    """Return the options given on the command line as text, by name; raises ConfigError.

    What is not understood is named without its value, which may be a key.
    """
    known, unknown = made.parse_known_args(list(arguments))
    if unknown:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        if flags:
            near = nearest(flags[0], made.flags)
            hint = f"the nearest is {near}" if near else f"see {made.prog} --help"
            raise ConfigError(f"unknown option {flags[0]}; {hint}")
        many = f"is one word too many; see {made.prog} --help"
        late = "is not an option; a command comes before all options"
        raise ConfigError(f"{unknown[0]!r} {late if made.prog == 'wesher' else many}")
    return {
        name: ",".join(given) if isinstance(given, list) else given
        for name, given in vars(known).items()
        if given is not None
    }
