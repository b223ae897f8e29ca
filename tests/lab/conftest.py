"""Fixtures of the lab layer; what a failed test's agents printed is added to its report."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.testbed.lab.daemons import Mesh, MeshOf, RecordSeconds
from tests.testbed.lab.netns import Lab, LabOf, why_no_lab

_TIMINGS = pytest.StashKey[list[tuple[str, float, float]]]()
_LABS = pytest.StashKey[list[Lab]]()
_HERE = Path(__file__).parent

_SLACK = 3  # times the limit that a machine with other work to do may take; the table shows both


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TIMINGS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip this layer where it cannot run, but never in CI."""
    ours = [item for item in items if _HERE in item.path.parents]
    if not ours or (reason := why_no_lab()) is None:
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(f"the lab layer must not be skipped in CI: it {reason}")
    for item in ours:
        item.add_marker(pytest.mark.skip(reason=f"the lab {reason}"))


@pytest.fixture
def lab_of(request: pytest.FixtureRequest) -> Iterator[LabOf]:
    """Make labs of so many hosts, closed when the test ends."""
    labs: list[Lab] = request.node.stash.setdefault(_LABS, [])

    def make(hosts: int) -> Lab:
        labs.append(Lab(hosts))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def mesh_of(lab_of: LabOf) -> MeshOf:
    """Make meshes of so many agents, none of them started yet."""
    return lambda hosts: Mesh(lab_of(hosts))


@pytest.fixture
def record_seconds(request: pytest.FixtureRequest) -> RecordSeconds:
    """Note how long something took, and its limit, for the table at the end; check it loosely."""

    def record(what: str, seconds: float, limit: float) -> None:
        request.config.stash[_TIMINGS].append((what, seconds, limit))
        assert seconds <= _SLACK * limit, f"{what} took {seconds:.1f} s"

    return record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for lab in item.stash.get(_LABS, []):
            for log in sorted(lab.directory.glob("*/*.log")):
                text = log.read_text(errors="replace")[-4000:]
                report.sections.append((f"{log.parent.name} {log.name}", text))
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    timings = config.stash[_TIMINGS]
    if not timings:
        return
    terminalreporter.section("seconds in the lab")
    for what, seconds, limit in timings:
        terminalreporter.line(f"{seconds:6.1f} of {limit:4.0f}  {what}")
