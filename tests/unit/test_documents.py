"""What the documentation shows is understood by whom it is meant for."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.documents import PAGES, ROOT, Shown, blocks, commands, words
from wesher.cli import AGENT, COMMANDS
from wesher.config.command_line import parse_arguments, parser
from wesher.config.config import load

UNITS = {
    file.name: file
    for kind in ("debian", "systemd")
    for file in (ROOT / "packaging" / kind).glob("wesher*.*")
}
KEY = b64encode(bytes(32)).decode()
PLACEHOLDERS = {"KEY": KEY, "HOST": "node1.example.org", "NAME": "node1", "FILE": "/etc/file"}
OURS = {"wesher", "scripts/run"}
VERBS = {"start", "stop", "restart", "reload", "status", "edit", "enable", "daemon-reload"}
OTHERS = {
    "/opt/wesher/bin/pip",
    "apt",
    "cp",
    "curl",
    "docker",
    "echo",
    "kill",
    "ln",
    "ping",
    "pipx",
}
OTHERS |= {"nft", "python3", "sed", "sysctl", "systemd-tmpfiles"}
"""Programs that the pages may show besides; what they do there needs a look by a person."""


@pytest.mark.parametrize("shown", commands(), ids=str)
def test_every_command_is_understood(shown: Shown) -> None:
    program, *arguments = words(shown.text)

    if program in OURS:
        understand([PLACEHOLDERS.get(word, word) for word in arguments])
    elif program.startswith("scripts/"):
        assert os.access(ROOT / program, os.X_OK)
        usage, _, _ = (ROOT / program).read_text().partition("\n\n")
        assert set(flags(arguments)) <= set(re.findall(r"-[\w-]+", usage))
    elif program == "systemctl":
        verb, *units = [word for word in arguments if not word.startswith("-")]
        assert verb in VERBS
        assert {unit_file(unit) for unit in units} <= set(UNITS)
    else:
        assert program in OTHERS


def unit_file(unit: str) -> str:
    unit = unit.replace("NAME", "")
    return unit if unit.endswith((".service", ".socket")) else f"{unit}.service"


def flags(arguments: list[str]) -> list[str]:
    return [word for word in arguments if word.startswith("-")]


def understand(arguments: list[str]) -> None:
    """Parse a command line of wesher down to each value."""
    command = COMMANDS[arguments.pop(0)] if arguments and arguments[0][0] != "-" else AGENT
    if arguments in (["--version"], ["--help"]):
        return
    made = parser("wesher", command.options, command.operands)
    given = parse_arguments(made, arguments)
    for option in command.options:
        if option.name in given:
            option.parse(given[option.name])


def test_there_are_commands_to_be_understood() -> None:
    assert len(commands()) > 80
    assert {words(shown.text)[0] for shown in commands()} >= {"wesher", "systemctl", "scripts/test"}


def cloud_init_file() -> Shown:
    """Return the configuration file that the example for cloud-init writes."""
    page = ROOT / "packaging/cloud-init/wesher.yaml"
    _, _, after = page.read_text().partition("/etc/wesher/wesher.toml\n")
    kept = re.search(r"content: \|\n((?:      .*\n)+)", after)
    assert kept
    return Shown(page, "toml", textwrap.dedent(kept[1]))


@pytest.mark.parametrize("shown", [*blocks("toml"), cloud_init_file()], ids=str)
def test_every_configuration_can_be_loaded(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "wesher.toml"
    key_file = tmp_path / "cluster.key"
    key_file.write_text(f"{KEY}\n")
    text = shown.text.replace("…", KEY).replace("/etc/wesher/cluster.key", str(key_file))
    file.write_text(text)
    for one in (file, key_file):
        one.chmod(0o600)

    config = load({"config": str(file)}, {})

    assert any(source != "default" for source in config.sources.values())


@pytest.mark.parametrize("shown", blocks("ini"), ids=str)
def test_every_drop_in_fits_to_the_unit(shown: Shown, tmp_path: Path) -> None:
    unit = meant_by(shown.text)
    drop_in = tmp_path / f"{unit}.d/override.conf"
    drop_in.parent.mkdir()
    texts = {tmp_path / name: file.read_text() for name, file in UNITS.items()}
    for file, text in (texts | {drop_in: shown.text}).items():
        file.write_text(text.replace("/usr/bin/wesher", "/bin/true"))

    parsed = configparser.RawConfigParser(strict=False)
    vars(parsed)["optionxform"] = str  # its documented way to keep capitals
    parsed.read(drop_in)

    assert parsed.sections() in (["Service"], ["Socket"])
    assert complaints(tmp_path / unit) == ""
    if started := parsed.get("Service", "ExecStart", fallback=""):
        understand(shlex.split(started)[1:])


def meant_by(drop_in: str) -> str:
    """Return the unit that a drop-in is for."""
    if "[Socket]" in drop_in:
        return "wesher-metrics.socket"
    return "wesher-metrics@.service" if "wesher metrics" in drop_in else "wesher.service"


def complaints(unit: Path) -> str:
    """Return what systemd has to say against a unit; nothing where there is no systemd."""
    if shutil.which("systemd-analyze") is None:
        return ""
    argv = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nftables"
)
@pytest.mark.parametrize("shown", blocks("nft"), ids=str)
def test_every_firewall_rule_is_one(shown: Shown) -> None:
    chain = f"chain input {{\ntype filter hook input priority 0\n{shown.text}}}\n"

    done = subprocess.run(
        ["unshare", "--net", "nft", "--check", "--file", "-"],
        check=False,
        input=f"table inet filter {{\n{chain}}}\n",
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_troubleshooting_page_has_every_trouble_of_the_doctor() -> None:
    troubles = set(re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/doctor.md").read_text(), re.M))

    explained = set(re.findall(r"`([a-z-]+)`", (ROOT / "docs/troubleshooting.md").read_text()))

    assert len(troubles) > 30
    assert troubles - explained == set()


def test_the_architecture_page_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    names = set(re.findall(r"[\w/]+\.py\b", text))

    files = [str(path.relative_to(ROOT)) for path in (ROOT / "wesher").rglob("*.py")]
    files.append("wesher.py")

    assert len(names) > 15
    assert [one for one in names if not any(f"/{file}".endswith(f"/{one}") for file in files)] == []


def where_is() -> list[tuple[str, str, str]]:
    """Return the questions of the architecture page, with the file and the name that answer."""
    page = (ROOT / "docs/architecture.md").read_text()
    return re.findall(r"^\| ([^|]+) \| `([\w/]+\.py)` \| `(\w+)` \|$", page, re.MULTILINE)


@pytest.mark.parametrize(("question", "file", "name"), where_is())
def test_the_architecture_page_says_where_things_are(question: str, file: str, name: str) -> None:
    code = (ROOT / "wesher" / file).read_text()

    assert re.search(rf"^\s*(async def|def|class) {name}\b|^{name}\b.* = ", code, re.MULTILINE)


def test_the_architecture_page_answers_the_first_questions() -> None:
    assert len(where_is()) >= 15


def test_what_the_glossary_says_in_place_of_a_name_is_in_the_code() -> None:
    page = (ROOT / "docs/glossary.md").read_text().partition("## Rejected names")[2]
    rows = re.findall(r"^\| `\w+` \| ([\w, ]+) \|$", page, re.MULTILINE)
    code = "\n".join(file.read_text() for file in (ROOT / "wesher").rglob("*.py"))

    used = set(re.findall(r"\w+", code))

    instead = {name for row in rows for name in row.split(", ")}
    assert len(instead) > 20
    assert instead <= used


def test_the_pages_name_tests_and_files_of_tests_that_exist() -> None:
    named = [(page, name) for page in PAGES for name in _TEST_NAME.findall(page.read_text())]

    assert len(named) > 5
    assert [(page, name) for page, name in named if not _exists(*name)] == []


def test_the_interop_page_names_tests_that_exist_and_every_file() -> None:
    named = list(_interop_tests())

    missing = [(file, test) for file, test in named if not _exists(f"{file}.py", test)]
    files = {str(path.relative_to(ROOT).with_suffix("")) for path in INTEROP.glob("test_*.py")}

    assert len(named) > 80
    assert missing == []
    assert {file for file, _ in named} == files


INTEROP = ROOT / "tests/interop"
_TEST_NAME = re.compile(r"\b(tests/[\w/.]+\w)(?:::(test_\w+))?")


def _interop_tests() -> Iterator[tuple[str, str]]:
    """Yield file and function of every test that the tables of the interop page name."""
    file = ""
    tables, _, _ = (ROOT / "docs/interop.md").read_text().partition("## What this does")
    for line in tables.splitlines():
        for name in re.findall(r"`([a-z_]\w*(?:: \w+)?)(?:\[\w+\])?`", line.partition(" | ")[2]):
            named, _, test = name.rpartition(": ")
            file = named or file
            yield f"tests/interop/test_{file}", f"test_{test}"


def _exists(path: str, test: str) -> bool:
    file = ROOT / path
    return file.exists() and (not test or f"def {test}(" in file.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text())

    missing = [
        (target, anchor)
        for target, anchor in links
        if anchor not in anchors(page.parent / target if target else page)
    ]

    assert missing == []


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are linked by, as common renderers make it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


QUESTIONS = (
    *("rotate", "subnet", "NAT", "Docker", "Kubernetes", "laptop", "ACL", "IPv6", "Windows"),
    *("macOS", "firewall", "MTU", "DNS", "systemd-resolved"),
)
"""Words that people in a hurry look for."""


@pytest.mark.parametrize("word", QUESTIONS)
def test_what_people_look_for_is_the_heading_of_an_answer(word: str) -> None:
    page = ROOT / "docs/faq.md"

    done = subprocess.run(["grep", "-iw", f"^## .*{word}s\\?", page], check=False)

    assert done.returncode == 0


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200
