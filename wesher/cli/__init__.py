"""What a person types: commands, their options, and how every run ends.

Light on purpose, see options.py: a command's module is imported once its options are understood.
"""

import gc
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from wesher.agent import phases
from wesher.base.errors import ConfigError, NoAgentError, StartError, WesherError
from wesher.cli.commands import AGENT, COMMANDS, Command
from wesher.config import command_line

__all__ = ["AGENT", "COMMANDS", "Command", "main"]

DONE, FAILED, WRONG, NO_AGENT = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, without the program's name; returns the exit code.

    0 is an orderly end, 2 a wrong option or configuration, 1 what could not be done, 3 says that
    no agent runs that could have done it.
    """
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE
    except ConfigError as error:
        return _complain(error, WRONG)
    except NoAgentError as error:
        return _complain(error, NO_AGENT)
    except WesherError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", FAILED)
    except MemoryError:
        return _complain("out of memory: raise the limit (ulimit -v, MemoryMax=)", FAILED)
    except Exception:
        traceback.print_exc()
        return _complain("this is a bug in wesher, please report it", FAILED)


def _run(arguments: Sequence[str]) -> int:
    word, command, arguments = _select(arguments)
    parser = command_line.parser(
        f"wesher {word}".rstrip(),
        command.options,
        command.operands,
        command.ignored,
        help=lambda: _help(word, command),
    )
    given = command_line.parse_arguments(parser, arguments)
    try:
        return _load(command)(given)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("wesher"):
            raise
        raise StartError(
            f"the Python package {error.name} is missing: start with scripts/run from a checkout, "
            "or install wesher with its packages: pip install ."
        ) from error


def _load(command: Command) -> Callable[[Mapping[str, str]], int]:
    """Import what runs a command, without looking through it for garbage: it all stays."""
    if command is AGENT:
        phases.end_at_signals()
    os.environ.setdefault("LOGURU_AUTOINIT", "False")  # 3 ms for a sink that ours would replace
    gc.disable()
    module, function = command.runs.split(".")
    run: Callable[[Mapping[str, str]], int]
    run = getattr(import_module(f"wesher.cli.{module}"), function)
    gc.freeze()
    gc.enable()
    return run


def _select(arguments: Sequence[str]) -> tuple[str, Command, Sequence[str]]:
    """Return the command's word, empty for the agent's, the command, and the arguments after it."""
    before = _options_before(arguments)
    if before == len(arguments):
        return "", AGENT, arguments
    word, after = arguments[before], arguments[before + 1 :]
    if word in ("help", "version"):
        return _select([*(after[:1] if word == "help" else ()), f"--{word}"])
    if word not in COMMANDS:
        raise ConfigError(import_module("wesher.cli.help").unknown(word))
    return word, COMMANDS[word], [*arguments[:before], *after]


def _options_before(arguments: Sequence[str]) -> int:
    """Return how many arguments stand before the command: options of the agent and their values.

    After an option that nobody knows it is all of them, so that the complaint is about that one.
    """
    flags = {flag: one for one in AGENT.options for flag in (one.flag, *one.aliases)}
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        flag, equals, _ = arguments[at].partition("=")
        if flag not in flags:
            return len(arguments)
        at += 1 if equals or flags[flag].metavar is None else 2
    return min(at, len(arguments))


def _help(word: str, command: Command) -> str:
    text: str = import_module("wesher.cli.help").fitting(word, command)
    return text


def _complain(reason: object, code: int) -> int:
    line = " ".join(str(reason).split())
    print(f"wesher: {line}", file=sys.stderr)
    return code
