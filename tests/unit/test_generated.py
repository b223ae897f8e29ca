"""What is made from the tables of options and commands is up to date and complete."""

import subprocess
from pathlib import Path

import pytest
import tomli

from scripts.generating.__main__ import ROOT, generated
from scripts.generating.texts import usage
from wesher.cli import AGENT, COMMANDS
from wesher.config.options import Option

FILES = generated()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_older_than_the_tables(path: Path) -> None:
    assert path.read_text() == FILES[path], "run scripts/generate"


@pytest.mark.parametrize("option", AGENT.options, ids=lambda option: option.name)
def test_every_option_is_in_each_of_them(option: Option) -> None:
    flag = option.flag.replace("-", "\\-")

    assert flag in FILES[ROOT / "packaging/man/wesher.8"]
    assert f"`{option.env}`" in FILES[ROOT / "docs/options.md"]
    assert option.flag in FILES[ROOT / "packaging/completions/wesher"]
    assert option.flag in FILES[ROOT / "packaging/completions/_wesher"]
    assert not option.in_file or f"#{option.key} = " in FILES[ROOT / "packaging/wesher.toml"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_manual_and_the_completions(command: str) -> None:
    typed = command.replace("-", r"\-")
    assert f"wesher {typed}" in FILES[ROOT / "packaging/man/wesher.8"]
    assert command in FILES[ROOT / "packaging/completions/wesher"]
    assert command in FILES[ROOT / "packaging/completions/_wesher"]


@pytest.mark.parametrize(
    ("word", "option"),
    [(word, option) for word, command in COMMANDS.items() for option in command.options],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_every_option_of_a_command_is_in_the_manual_and_the_completions(
    word: str, option: Option
) -> None:
    flag = option.flag.replace("-", "\\-")

    assert f"\n.B {flag}" in FILES[ROOT / "packaging/man/wesher.8"]
    assert option.flag in completions_after(word, option.flag)
    assert option.flag in FILES[ROOT / "packaging/completions/_wesher"]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (("--clu",), "--cluster-key-file"),
        (("doc",), "doctor"),
        (("status", "--j"), "--json"),
        (("key", "s"), "show"),
    ],
)
def test_bash_completes_options_commands_and_their_words(
    typed: tuple[str, ...], wanted: str
) -> None:
    assert wanted in completions_after(*typed)


def completions_after(*typed: str) -> list[str]:
    """Return what bash offers at the end of this command line."""
    script = FILES[ROOT / "packaging/completions/wesher"]
    ask = (
        f"COMP_WORDS=(wesher {' '.join(typed)}) COMP_CWORD={len(typed)}; "
        '_shtab_wesher; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_the_readme_has_every_command() -> None:
    for word, command in COMMANDS.items():
        assert f"| `{usage(word, command)}` | {command.description} |" in FILES[ROOT / "README.md"]


def test_the_synopsis_has_what_a_command_needs() -> None:
    manual = FILES[ROOT / "packaging/man/wesher.8"]

    assert ".B wesher info\n[\\fIOPTION\\fR]... \\fINAME\\fR\n" in manual
    assert ".B wesher forget\n[\\fIOPTION\\fR]... \\fINAME\\fR\n" in manual


def test_every_line_of_the_sample_configuration_can_be_put_in_force() -> None:
    text = FILES[ROOT / "packaging/wesher.toml"]

    settings = [line[1:] for line in text.splitlines() if " = " in line and line[1] != " "]
    keys = tomli.loads("\n".join(settings)).keys()

    assert keys == {option.key for option in AGENT.options if option.in_file}
