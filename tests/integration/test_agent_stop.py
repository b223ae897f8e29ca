"""How an agent ends: at every moment, with nothing left, or with everything left in place."""

import random
import signal
import socket
import sys
import time

import pytest

from tests.testbed.agents import (
    NAME,
    STOP_LIMIT,
    WESHER,
    Agent,
    AgentOf,
    hanging_tools,
    new_key,
    wait_for,
    wait_until_met,
    wait_until_saved,
)
from wesher.system.control_client import ask, short_name, socket_path

SIGNALS = [signal.SIGTERM, signal.SIGINT]

# Runs wesher.py, and sends itself a signal at the moment a module is to be imported.
INTERRUPTED = """
import os, runpy, sys
number, module, script = int(sys.argv[1]), sys.argv[2], sys.argv[3]
class Finder:
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), number)
            for _ in range(1000): pass
sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[3:]
runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_leaves_the_cluster_and_nothing_behind(
    agent_of: AgentOf, number: signal.Signals
) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    other.start(key, f"--join={one.host.address}", "--log-level=info")
    wait_until_met(one, other)

    code = one.stop(number)

    assert code == 0
    assert one.host.is_clean()
    assert one.complaints == ""
    wait_for(lambda: other.knows() and other.host.peers() == {}, "the peer is gone")
    other.says("member alpha left")
    assert other.host.routes() == []


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["argparse", "asyncio", "msgpack"])
def test_a_signal_during_the_imports_ends_it_without_a_word(
    agent: Agent, number: signal.Signals, module: str
) -> None:
    argv = [sys.executable, "-c", INTERRUPTED, str(int(number)), module, WESHER[1], *agent.flags]

    agent.launch(argv)

    code = agent.wait()
    assert agent.complaints == ""
    assert code == (-number if module == "argparse" else 0)
    assert agent.host.tools.calls == []


@pytest.mark.parametrize("seed", range(6))
def test_a_signal_at_any_moment_of_a_start_leaves_nothing(agent_of: AgentOf, seed: int) -> None:
    rng = random.Random(seed)
    agent = agent_of("alpha").start("--join=127.0.0.1:9", f"--cluster-key={new_key()}")
    wait_for(lambda: agent.host.tools.calls != [], "the first tool")
    time.sleep(rng.uniform(0, 0.3))

    code = agent.stop(rng.choice(SIGNALS))

    assert code == 0, agent.errors
    assert agent.host.is_clean()
    assert "Traceback" not in agent.errors


def test_a_signal_at_any_moment_of_a_join_leaves_nothing_here_and_there(
    agent_of: AgentOf,
) -> None:
    rng = random.Random(1)
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    wait_for(one.is_up, "the first agent")

    for _ in range(6):
        other.host.tools.forget()
        other.start(key, f"--join={one.host.address}")
        wait_for(lambda: other.host.tools.calls != [], "the first tool")
        time.sleep(rng.uniform(0.1, 0.5))
        code = other.stop(rng.choice(SIGNALS))

        assert code == 0, other.errors
        assert other.host.is_clean()
        assert other.complaints == ""
    wait_for(lambda: one.knows() and one.host.peers() == {}, "nobody is left")


def test_more_of_the_same_signal_changes_nothing(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)

    began = time.monotonic()
    while one.process.poll() is None and time.monotonic() - began < STOP_LIMIT:
        one.tell(signal.SIGINT)
        one.tell(signal.SIGTERM)
        time.sleep(0.003)

    assert one.wait(0) == 0
    assert one.complaints == ""
    assert one.host.is_clean()


def test_a_stop_while_a_seed_is_silent(agent: Agent) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as seed:
        seed.bind((agent.host.address, 9999))
        seed.listen()
        agent.start(f"--join={agent.host.address}:9999", f"--cluster-key={new_key()}")
        wait_for(lambda: bool(agent.host.has_interface()), "the interface")
        connection, _ = seed.accept()

        code = agent.stop()
        connection.close()

    assert code == 0
    assert agent.host.is_clean()
    assert agent.complaints == ""


def test_a_stop_while_names_are_looked_up(agent: Agent) -> None:
    """A resolver that never answers holds a thread, which must not hold the exit."""
    slow = (
        "import socket, sys, time; socket.getaddrinfo = lambda *_: time.sleep(60); "
        "from wesher.cli import main; sys.exit(main())"
    )
    flags = [*agent.flags, "--join=seed.example", f"--cluster-key={new_key()}"]
    agent.launch([sys.executable, "-c", slow, *flags])
    wait_for(agent.host.has_interface, "the interface")

    code = agent.stop()

    assert code == 0
    assert agent.host.is_clean()


def test_a_stop_while_wg_hangs_takes_everything_down(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    wait_for(one.is_up, "the first agent")
    one.host.tools.hang("wg")
    other.start(key, f"--join={one.host.address}")
    wait_for(lambda: "wg" in hanging_tools(one), "wg hangs")

    code = one.stop()

    assert code == 0
    assert one.host.is_clean()
    wait_for(lambda: hanging_tools(one) == [], "nothing that hangs")


def test_what_a_hanging_ip_keeps_from_being_undone_is_named_with_its_command(agent: Agent) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")
    agent.host.tools.hang("ip")

    code = agent.stop()

    assert code == 1
    assert agent.complaints == f"wesher: interface {NAME} is left; run: ip link del {NAME}\n"
    wait_for(lambda: hanging_tools(agent) == [], "nothing that hangs")


def test_a_stop_while_ip_hangs_at_the_very_first_look(agent: Agent) -> None:
    agent.host.tools.hang("ip")
    agent.start()
    wait_for(lambda: "ip" in hanging_tools(agent), "ip hangs")

    code = agent.stop()

    assert code == 0
    assert agent.complaints == ""
    wait_for(lambda: hanging_tools(agent) == [], "nothing that hangs")


def test_a_stop_while_the_interface_is_being_made_leaves_none(agent: Agent) -> None:
    agent.host.tools.without_kernel_wireguard()
    agent.host.tools.hang("wireguard-go")
    agent.start()
    wait_for(lambda: "wireguard-go" in hanging_tools(agent), "wireguard-go hangs")

    code = agent.stop()

    assert code == 0
    assert agent.complaints == ""
    assert agent.host.is_clean()
    wait_for(lambda: hanging_tools(agent) == [], "nothing that hangs")


def test_a_stop_while_an_interface_is_adopted_by_a_hanging_ip_names_what_is_left(
    agent: Agent,
) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")
    agent.stop(signal.SIGKILL)
    agent.host.tools.hang("wg")
    agent.start()
    wait_for(lambda: "wg" in hanging_tools(agent), "wg hangs")
    agent.host.tools.hang("ip")

    code = agent.stop()

    assert code == 1
    assert agent.complaints == (
        f"wesher: perhaps interface {NAME} is left; run: wesher cleanup --interface {NAME}\n"
    )
    wait_for(lambda: hanging_tools(agent) == [], "nothing that hangs")


def test_hosts_lines_that_cannot_be_removed_are_named_with_the_command(
    agent_of: AgentOf,
) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)
    content = one.host.hosts_file.read_bytes()
    one.host.hosts_file.unlink()
    one.host.hosts_file.mkdir()

    code = one.stop()

    assert b"beta" in content
    assert code == 1
    assert one.errors.startswith(f"wesher: what we wrote to {one.host.hosts_file} (")
    assert one.errors.endswith(f" is left; run: wesher cleanup --interface {NAME}\n")
    assert not one.host.has_interface()


def test_a_terminal_that_closes_stops_it(agent: Agent) -> None:
    agent.start(terminal=True)
    wait_for(lambda: "waiting for members" in agent.screen(), "the agent")

    began = time.monotonic()
    agent.close_terminal()

    assert agent.wait(STOP_LIMIT) == 0
    print(f"ended {time.monotonic() - began:.2f} s after the hangup")
    assert agent.host.is_clean()


def test_a_hangup_without_a_terminal_does_not_end_it(agent: Agent) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")

    agent.tell(signal.SIGHUP)
    agent.tell(signal.SIGHUP)

    with pytest.raises(AssertionError, match="did not end"):
        agent.wait(0.3)
    assert agent.complaints == ""


def test_a_hangup_means_nothing_under_nohup(agent: Agent) -> None:
    agent.start(terminal=True, wrapper=("nohup",))
    wait_for(agent.is_up, "the agent")

    agent.close_terminal()

    with pytest.raises(AssertionError, match="did not end"):
        agent.wait(0.3)
    assert agent.stop() == 0


def test_a_hand_over_leaves_everything_for_the_next_agent(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    other.start(key, f"--join={one.host.address}", "--log-level=info")
    wait_until_saved(one, other)
    before = one.host.tools.dump(), one.host.routes(), one.host.hosts_lines()
    one.host.tools.forget()

    code = one.stop(signal.SIGUSR1)

    assert code == 0
    assert (one.host.tools.dump(), one.host.routes(), one.host.hosts_lines()) == before
    assert one.host.tools.changing_calls == []
    assert "left" not in other.errors

    one.start()
    wait_for(lambda: one.knows(other) and other.knows(one), "the others")
    wait_for(lambda: one.reconciles >= 1, "a reconcile")

    assert (one.host.tools.dump(), one.host.routes(), one.host.hosts_lines()) == before
    assert one.host.tools.changing_calls == []


def test_what_a_killed_agent_left_is_cleaned_up(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)
    one.stop(signal.SIGKILL)
    assert one.host.hosts_lines() == {"beta": other.overlay_address}

    one.launch([*WESHER, "cleanup", *one.host.paths])

    assert one.wait() == 0, one.errors
    assert one.host.is_clean()
    assert one.output.splitlines() == [
        "removed our lines of the hosts file",
        f"removed interface {NAME}",
    ]
    assert other.knows(one)


# Fills a pipe that nobody reads, and becomes the agent with it for standard output and error.
CLOGGED = """
import fcntl, os, sys
reading, writing = os.pipe()
fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
os.write(writing, bytes(4096))
os.set_inheritable(reading, True)
os.dup2(writing, 1), os.dup2(writing, 2)
os.execvp(sys.argv[1], sys.argv[1:])
"""


# Runs wesher.py, and writes into a file by how many seconds each 10 ms of its loop were late.
TIMED = """
import asyncio, sys, time
from wesher.agent.agent import Agent
from wesher.cli import main
late, run = open(sys.argv.pop(1), "w", buffering=1), Agent.run
async def look():
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        print(time.monotonic() - began - 0.01, file=late)
async def timed(self):
    looking = asyncio.create_task(look())
    return await run(self)
Agent.run = timed
sys.exit(main())
"""


def test_output_and_events_that_nobody_reads_hold_nothing_up(
    agent_of: AgentOf,
) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key, late = f"--cluster-key={new_key()}", one.host.directory / "late"
    flags = [*one.flags, key, "--log-level=debug"]
    python = [sys.executable, "-c"]
    one.launch([*python, CLOGGED, *python, TIMED, str(late), *flags])
    wait_for(one.is_up, "the agent")
    deaf = [unread_monitor(one) for _ in range(3)]
    before = len(late.read_text().splitlines())
    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)
    for _ in range(20):
        assert ask(one.host.run, one.interface, "status")["node"]["name"] == one.name
        time.sleep(0.1)

    seconds = [float(line) for line in late.read_text().splitlines()[before:]]
    print(f"of {len(seconds)} looks the latest came {max(seconds) * 1000:.1f} ms late")
    assert max(seconds) < 2  # a machine with other work to do; a write that waits never ends
    assert one.stop() == 0
    assert NAME not in one.host.tools.host["links"]
    for client in deaf:
        client.close()


def unread_monitor(agent: Agent) -> socket.socket:
    """Follow the events of an agent, and never read one."""
    client = socket.socket(socket.AF_UNIX)
    with short_name(socket_path(agent.host.run, agent.interface)) as name:
        client.connect(name)
    client.sendall(b'{"version": 1, "command": "monitor"}\n')
    return client
