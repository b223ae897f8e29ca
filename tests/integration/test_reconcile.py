"""The host follows the plan: one reconcile at a time, patiently, and without much talk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest
from loguru import logger

from tests.testbed.keys import key
from tests.testbed.tools import Tools
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.mesh.base.plan import HostsEntry, InterfaceSettings, Peer, Plan
from wesher.mesh.base.saved import Saved
from wesher.system import reconciler
from wesher.system.device import Device
from wesher.system.hosts import HostsFile
from wesher.system.network import Network
from wesher.system.reconciler import Reconciler
from wesher.system.state_file import State, StateFile

SETTINGS = InterfaceSettings(ip_address("10.1.2.3"), 51820)
READING = "wg show wgoverlay dump"


def plan(*numbers: int, complete: bool = True) -> Plan:
    """Return a plan with these peers, each with its line in the hosts file."""
    peers = {}
    for number in numbers:
        endpoint = Address(f"198.51.100.{number}", 51820)
        peers[key(number)] = Peer(endpoint, (ip_network(f"10.9.9.{number}"),))
    hosts = tuple(HostsEntry(ip_address(f"10.9.9.{n}"), f"n{n}") for n in numbers)
    return Plan(SETTINGS, peers, hosts, complete)


class Node:
    """What a reconciler works for, and everything around it, on the fake host of `tools`."""

    def __init__(self, tools: Tools, tmp_path: Path, hosts: bool = True) -> None:
        self.tools = tools
        self.hosts_path = tmp_path / "hosts"
        self.hosts_path.write_text("127.0.0.1 localhost\n")
        self.state_path = tmp_path / "state"
        self.plan: Plan | None = None
        self.state: State | None = None
        self.asked_at: list[float] = []
        self.observed: list[Network] = []
        self.observing_takes = 0.0
        self.at_once = self.most_at_once = 0
        self.logged: list[str] = []
        self._run_dir = tmp_path / "run"
        self._with_hosts = hosts

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Open the device and run the reconciler."""
        self.device = await Device.open("wgoverlay")
        hosts = HostsFile(self.hosts_path, "wgoverlay", self._run_dir)
        self.reconciler = Reconciler(
            self.device,
            hosts if self._with_hosts else None,
            StateFile(self.state_path, "wgoverlay"),
            plan=self._asked,
            state=lambda: self.state,
            observed=self._observe,
        )
        number = logger.add(lambda line: self.logged.append(line.rstrip()), level="INFO")
        task = asyncio.create_task(self.reconciler.run())
        self.tools.forget()
        try:
            yield self
        finally:
            logger.remove(number)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()

    def _asked(self) -> Plan | None:
        self.asked_at.append(asyncio.get_running_loop().time())
        return self.plan

    def was_asked(self, times: int) -> bool:
        return len(self.asked_at) >= times

    async def _observe(self, network: Network) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.observing_takes)
        self.at_once -= 1
        self.observed.append(network)

    async def want(self, wanted: Plan) -> None:
        """Want a plan and wait until it is in place."""
        self.plan = wanted
        self.reconciler.wake()
        await until(lambda: self.peers() == set(wanted.peers))
        await until(lambda: len(self.tools.routes()) == len(wanted.peers))

    def peers(self) -> set[str]:
        """Return the public keys the interface has."""
        return {fields[0] for fields in self.tools.dump()[1:]}

    def named(self) -> list[str]:
        """Return the names on our lines of the hosts file."""
        lines = self.hosts_path.read_text().splitlines()
        return [line.split()[1] for line in lines if "wesher" in line]

    def reads(self) -> int:
        return self.tools.calls.count(READING)

    def warnings(self) -> list[str]:
        return [line.split(" - ", 1)[1] for line in self.logged if "WARNING" in line]


async def until(condition: Callable[[], object], limit: int = 40) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.02)


def put_away(hosts: Path) -> None:
    """Make the hosts file one that nobody can write."""
    hosts.unlink()
    hosts.mkdir()


def put_back(hosts: Path, content: str) -> None:
    if hosts.is_dir():
        hosts.rmdir()
    hosts.write_text(content)


@pytest.fixture
def node(tools: Tools, tmp_path: Path) -> Node:
    return Node(tools, tmp_path)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass in a second."""
    monkeypatch.setattr(reconciler, "INTERVAL", 0.2)
    monkeypatch.setattr(reconciler, "RETRY_FIRST", 0.05)
    monkeypatch.setattr(reconciler, "RETRY_LONGEST", 0.2)
    monkeypatch.setattr(reconciler, "LONGEST_REST", 0.02)


def run(scenario: Coroutine[Any, Any, object]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 100))


# Applying


def test_a_plan_becomes_peers_routes_and_hosts_lines(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2, 3))
            await until(lambda: node.named() == ["n2", "n3"])

            assert node.tools.routes() == ["10.9.9.2", "10.9.9.3"]
            assert node.reconciler.up.is_set()
            assert node.observed
            assert node.warnings() == []

    run(scenario())


def test_without_a_plan_nothing_happens(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            node.reconciler.wake()
            await asyncio.sleep(0.3)

            assert node.tools.calls == []
            assert not node.reconciler.up.is_set()

    run(scenario())


def test_without_a_hosts_file_the_rest_is_done(tools: Tools, tmp_path: Path) -> None:
    node = Node(tools, tmp_path, hosts=False)

    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))

            assert node.named() == []

    run(scenario())


def test_a_burst_of_changes_takes_few_reconciles(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            node.tools.forget()
            for last in range(3, 23):
                node.plan = plan(*range(2, last + 1))
                node.reconciler.wake()
                await asyncio.sleep(0)
            await until(lambda: len(node.peers()) == 21)

            assert len(node.tools.changing_calls) <= 2 * node.reads() <= 8

    run(scenario())


def test_one_reconcile_runs_at_a_time_and_the_newest_plan_wins(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            node.observing_takes = 0.1
            for last in (3, 4, 5):
                node.plan = plan(last)
                node.reconciler.wake()
                await asyncio.sleep(0.05)
            await until(lambda: node.peers() == {key(5)})
            await until(lambda: len(node.observed) >= 2 and not node.at_once)

            assert node.most_at_once == 1

    run(scenario())


# Looking after it


@pytest.mark.usefixtures("brisk")
def test_without_being_woken_it_looks_again_after_a_while(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            await until(node.named)
            node.tools.do(f"wg set wgoverlay peer {key(2)} remove")
            put_back(node.hosts_path, "127.0.0.1 localhost\n")
            await until(lambda: len(node.warnings()) == 2)

            assert "1 peer" in node.warnings()[0]
            assert "hosts file" in node.warnings()[1]
            assert node.peers() == {key(2)}
            assert node.named() == ["n2"]

    run(scenario())


def test_what_others_break_is_repaired_within_thirty_seconds() -> None:
    assert reconciler.INTERVAL + reconciler.LONGEST_REST + reconciler.RETRY_LONGEST / 2 < 30


@pytest.mark.usefixtures("brisk")
def test_with_nothing_to_do_it_only_reads(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            await until(node.named)
            node.tools.forget()
            await until(lambda: node.reads() >= 3)

            assert node.tools.changing_calls == []
            assert node.warnings() == []

    run(scenario())


# Trouble


@pytest.mark.usefixtures("brisk")
def test_a_tool_that_keeps_failing_is_retried_until_it_works_with_two_warnings(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            node.tools.fail("wg", 10)
            node.plan = plan(2, 3)
            node.reconciler.wake()
            await until(node.warnings)
            await until(lambda: "up to date again" in node.warnings()[-1])

            assert node.peers() == {key(2), key(3)}
            first, second = node.warnings()
            assert "wg" in first
            assert "trying again" in first
            assert "interface" in second

    run(scenario())


@pytest.mark.usefixtures("brisk")
def test_reconciles_failures_and_repairs_are_counted(node: Node, brisk: None) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            node.tools.do("ip link del wgoverlay")
            await until(lambda: node.reconciler.counts.repairs >= 1)
            put_away(node.hosts_path)
            await until(lambda: node.reconciler.counts.failures["hosts file"] >= 2)

            assert node.reconciler.counts.count >= 3
            assert node.reconciler.counts.seconds > 0
            assert "cannot update" in node.reconciler.problems["hosts file"]
            put_back(node.hosts_path, "127.0.0.1 localhost\n")
            await until(lambda: not node.reconciler.problems)

    run(scenario())


def test_one_bad_peer_keeps_no_other_out_and_is_named_once(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            node.tools.refuse("wg", key(3))
            node.plan = plan(2, 3, 4)
            node.reconciler.wake()
            await until(lambda: node.peers() >= {key(2), key(4)} and node.reads() >= 4)

            (told,) = node.warnings()
            assert key(3) in told
            assert key(2) not in told

    run(scenario())


@pytest.mark.usefixtures("brisk")
def test_an_interface_in_trouble_does_not_keep_the_hosts_file_and_the_state_waiting(
    node: Node,
) -> None:
    async def scenario() -> None:
        async with node.running():
            node.tools.fail("wg", 1000)
            node.plan, node.state = plan(2), State(bytes(32))
            node.reconciler.wake()
            await until(lambda: node.named() == ["n2"])
            await until((node.state_path / "wgoverlay.json").exists)

            assert not node.reconciler.up.is_set()

    run(scenario())


@pytest.mark.usefixtures("brisk")
def test_a_hosts_file_that_cannot_be_written_is_one_warning_and_its_return_another(
    node: Node,
) -> None:
    async def scenario() -> None:
        async with node.running():
            put_away(node.hosts_path)
            await node.want(plan(2))
            await until(node.warnings)
            node.tools.forget()
            await until(lambda: node.reads() >= 3)
            while_missing = len(node.warnings())
            put_back(node.hosts_path, "127.0.0.1 localhost\n")
            await until(lambda: node.named() == ["n2"])
            await until(lambda: len(node.warnings()) == 2)

            assert while_missing == 1
            assert "hosts file is up to date again" in node.warnings()[1]

    run(scenario())


@pytest.mark.usefixtures("brisk")
def test_a_state_that_cannot_be_saved_is_tried_again_with_the_newest(node: Node) -> None:
    async def scenario() -> None:
        blocked = node.state_path / "wgoverlay.json.tmp"
        blocked.mkdir(parents=True)
        async with node.running():
            node.state = State(bytes(32))
            await node.want(plan(2))
            await until(node.warnings)
            node.state = replace(node.state, mesh=Saved(incarnation=7))
            blocked.rmdir()
            await until(lambda: len(node.warnings()) == 2)

            assert StateFile(node.state_path, "wgoverlay").load() == node.state

    run(scenario())


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses between tries be a tenth of a second first, four at most."""
    monkeypatch.setattr(reconciler, "RETRY_FIRST", 0.1)
    monkeypatch.setattr(reconciler, "RETRY_LONGEST", 0.4)
    monkeypatch.setattr(reconciler, "LONGEST_REST", 0)


@pytest.mark.usefixtures("stubborn")
def test_the_pauses_between_tries_grow_to_a_limit(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            put_away(node.hosts_path)
            await node.want(plan(2))
            await until(lambda: len(node.asked_at) >= 9)
            pauses = [b - a for a, b in pairwise(node.asked_at)]

            for pause, least in zip(pauses, (0.1, 0.2, *6 * [0.4]), strict=False):
                assert least <= pause < least + 5, "without a limit the last is 12.8"

    run(scenario())


@pytest.mark.usefixtures("stubborn")
def test_the_pauses_between_tries_start_anew(node: Node) -> None:
    """After the first trouble at least one must show it: on a busy machine pauses seem longer."""

    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2))
            pauses: list[float] = []
            while len(pauses) < 10 and min(pauses[1:], default=1) >= 0.4:
                put_away(node.hosts_path)
                before = len(node.asked_at)
                node.reconciler.wake()
                await until(partial(node.was_asked, before + 4))
                pauses.append(node.asked_at[before + 1] - node.asked_at[before])
                put_back(node.hosts_path, "")
                await until(lambda: not node.reconciler.problems)

            assert min(pauses[1:]) < 0.4

    run(scenario())


# After an earlier agent


def test_lines_of_an_earlier_agent_wait_until_the_plan_is_complete(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2, 3))
            await until(lambda: node.named() == ["n2", "n3"])
        async with node.running():
            assert node.device.adopted
            node.plan = plan(2, complete=False)
            node.reconciler.wake()
            await until(lambda: node.reads() >= 1)
            await asyncio.sleep(0.2)
            early = node.named(), node.peers()
            await node.want(plan(2))
            await until(lambda: node.named() == ["n2"])

            assert early == (["n2", "n3"], {key(2), key(3)})

    run(scenario())


def test_lines_on_a_device_of_our_own_do_not_wait(node: Node) -> None:
    async def scenario() -> None:
        async with node.running():
            await node.want(plan(2, complete=False))
            await until(lambda: node.named() == ["n2"])

    run(scenario())
