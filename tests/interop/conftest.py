"""Fixtures of the interop layer; what members said is in the report of a failed test."""

import base64
import itertools
import os
from collections.abc import Callable, Generator, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.interop.golang import PROGRAM, GoMember, GoOf, build, why_no_others
from tests.interop.ours import OurMember, OursOf
from tests.testbed.agents import NAME, Agent, Host
from tests.testbed.lab.netns import Lab, why_no_lab
from tests.testbed.networks import own_network

_HERE = Path(__file__).parent
_MEMBERS = pytest.StashKey[list[GoMember]]()
_AGENTS = pytest.StashKey[list[Agent]]()
_DIRECTORY = pytest.StashKey[TemporaryDirectory[str]]()
_FIRST_ADDRESS = IPv4Address("127.1.0.0")
_numbers = itertools.count(2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip this layer where it cannot run, but never in CI."""
    ours = [item for item in items if _HERE in item.path.parents]
    if not ours or (reason := why_no_others() or why_no_lab()) is None:
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(f"the interop layer must not be skipped in CI: it {reason}")
    for item in ours:
        item.add_marker(pytest.mark.skip(reason=f"interop {reason}"))


@pytest.fixture(scope="package", autouse=True)
def _own_network() -> Iterator[None]:
    with own_network():
        yield


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile the Go member before any test's time runs."""
    needy = (item for item in session.items if "program" in getattr(item, "fixturenames", ()))
    runs = not session.config.option.collectonly
    if runs and any(item.get_closest_marker("skip") is None for item in needy):
        session.stash[_DIRECTORY] = TemporaryDirectory(prefix="gomember-")
        build(Path(session.stash[_DIRECTORY].name))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if directory := session.stash.get(_DIRECTORY, None):
        directory.cleanup()


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Path:
    """The Go member, compiled."""
    return Path(request.session.stash[_DIRECTORY].name) / PROGRAM


@pytest.fixture
def key() -> str:
    """A cluster key as `--cluster-key` wants it."""
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def new_address() -> Callable[[], str]:
    """Give out loopback addresses that no other test has used lately."""
    return lambda: str(_FIRST_ADDRESS + next(_numbers) % 60_000)


@pytest.fixture
def go_of(
    request: pytest.FixtureRequest,
    program: Path,
    tmp_path: Path,
    key: str,
    new_address: Callable[[], str],
) -> Iterator[GoOf]:
    """Make Go members, running and quick unless told otherwise; none may have logged an error."""
    members: list[GoMember] = request.node.stash.setdefault(_MEMBERS, [])

    def make(name: str, ip: str | None = None, *, start: bool = True, **flags: Any) -> GoMember:
        flags = {"timing": "local", "key": key, **flags}
        members.append(GoMember(program, tmp_path, name, ip or new_address(), **flags))
        return members[-1].start() if start else members[-1]

    yield make
    for member in members:
        member.kill()
    assert {member.name: member.errors for member in members if member.errors} == {}


@pytest.fixture
def ours_of(key: str, new_address: Callable[[], str]) -> Iterator[OursOf]:
    """Make members of ours, silent so far and quick unless told otherwise."""
    members: list[OurMember] = []

    def make(name: str, ip: str | None = None, **settings: Any) -> OurMember:
        settings = {"key": key, **settings}
        members.append(OurMember(name, ip or new_address(), **settings))
        return members[-1]

    yield make
    for member in members:
        member.kill()


@pytest.fixture
def agent_of(
    request: pytest.FixtureRequest, tmp_path: Path, new_address: Callable[[], str]
) -> Iterator[Callable[[str], Agent]]:
    """Make whole agents, none of them started yet, each on a fake host of its own."""
    agents: list[Agent] = request.node.stash.setdefault(_AGENTS, [])

    def make(name: str) -> Agent:
        host = Host(tmp_path / f"{name}-{len(agents)}", new_address())
        agents.append(Agent(host, name, NAME))
        return agents[-1]

    yield make
    for agent in agents:
        agent.kill()


@pytest.fixture
def lab_of() -> Iterator[Callable[[int], Lab]]:
    """Make labs of so many hosts, closed when the test ends."""
    labs: list[Lab] = []

    def make(hosts: int) -> Lab:
        labs.append(Lab(hosts))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for member in item.stash.get(_MEMBERS, []):
            said = "\n".join(str(fact) for fact in member.facts[-30:])
            report.sections.append((f"{member.name} said", said))
            report.sections.append((f"{member.name} logged", member.log[-4000:]))
        for agent in item.stash.get(_AGENTS, []):
            report.sections.append((f"{agent.name} err", agent.errors[-4000:]))
    return report
