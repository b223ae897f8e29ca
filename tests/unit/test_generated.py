"""What is made from the tables of options and commands is up to date and complete."""

import subprocess
from pathlib import Path

import pytest
import tomli

from scripts.generating.__main__ import ROOT, generated
from wesher.cli import AGENT, COMMANDS

FILES = generated()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_older_than_the_tables(path: Path):
    assert path.read_text() == FILES[path], "run scripts/generate"


@pytest.mark.parametrize("option", AGENT.options, ids=lambda option: option.name)
def test_every_option_is_in_each_of_them(option):
    flag = option.flag.replace("-", "\\-")

    assert flag in FILES[ROOT / "packaging/man/wesher.8"]
    assert f"`{option.env}`" in FILES[ROOT / "README.md"]
    assert option.flag in FILES[ROOT / "packaging/completions/wesher"]
    assert option.flag in FILES[ROOT / "packaging/completions/_wesher"]
    assert not option.in_file or f"#{option.key} = " in FILES[ROOT / "packaging/wesher.toml"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_manual_and_the_completions(command: str):
    assert f"wesher {command}" in FILES[ROOT / "packaging/man/wesher.8"]
    assert command in FILES[ROOT / "packaging/completions/wesher"]
    assert command in FILES[ROOT / "packaging/completions/_wesher"]


def test_bash_completes_options_and_commands():
    script = FILES[ROOT / "packaging/completions/wesher"]
    ask = 'COMP_WORDS=(wesher --clu) COMP_CWORD=1; _shtab_wesher; printf "%s\\n" "${COMPREPLY[@]}"'

    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], check=False, capture_output=True, text=True
    )

    assert "--cluster-key-file" in done.stdout.split(), done.stderr


def test_every_line_of_the_sample_configuration_can_be_put_in_force():
    text = FILES[ROOT / "packaging/wesher.toml"]

    settings = [line[1:] for line in text.splitlines() if " = " in line and line[1] != " "]
    keys = tomli.loads("\n".join(settings)).keys()

    assert keys == {option.key for option in AGENT.options if option.in_file}
