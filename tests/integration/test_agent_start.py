"""What keeps an agent from starting: one line that says what to do, and the exit code."""

import json
import os
import re
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.testbed.agents import NAME, WESHER, Agent, AgentOf, new_key, wait_for
from wesher.agent.own_address import ADDRESS_PATIENCE

WITHOUT_NET_ADMIN = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
# A network namespace of its own, where no port below 1024 has been made free to all.
WITHOUT_LOW_PORTS = (
    *("unshare", "--net", "setpriv"),
    *("--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"),
)


def complaint(agent: Agent, code: int) -> str:
    """Wait for an agent that gives up; returns its one line."""
    assert agent.wait() == code, agent.errors
    lines = agent.errors.splitlines()
    assert len(lines) == 1, agent.errors
    assert lines[0].startswith("wesher: ")
    return lines[0].removeprefix("wesher: ")


def test_without_the_right_to_change_the_network_it_says_which_is_missing(agent: Agent) -> None:
    agent.start(wrapper=WITHOUT_NET_ADMIN)

    reason = complaint(agent, 1)

    assert "CAP_NET_ADMIN" in reason
    assert "run wesher as root" in reason
    assert not agent.host.state.exists()


def test_without_wg_it_names_the_package(agent: Agent) -> None:
    programs = Path(agent.host.tools.without("wg"))
    if any((Path(directory) / "wg").exists() for directory in ("/usr/sbin", "/sbin")):
        pytest.fail("the true wg stands where root's tools are always looked for")

    agent.start(env={"PATH": str(programs)})

    assert complaint(agent, 1) == "`wg` is not installed: run `apt install wireguard-tools`"


def test_ip_is_looked_for_where_roots_tools_live(agent: Agent) -> None:
    """The true `ip` is in /usr/sbin or /sbin; it only reads before the port is found taken."""
    programs = Path(agent.host.tools.without("wireguard-go"))
    (programs / "ip").unlink()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((agent.host.address, 7946))
        agent.start(env={"PATH": str(programs)})

        assert "is taken" in complaint(agent, 1)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_port_that_somebody_has_is_named(agent: Agent, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((agent.host.address, 7946))
        if kind is socket.SOCK_STREAM:
            other.listen()
        agent.start()

        reason = complaint(agent, 1)

    assert re.fullmatch(
        rf"{agent.host.address}:7946 is taken by \S+ \(pid {os.getpid()}\): "
        "stop what listens there, or choose another --cluster-port",
        reason,
    )
    assert agent.host.is_clean()


def test_a_port_for_which_rights_are_missing_is_named(agent: Agent) -> None:
    agent.start("--bind-addr=0.0.0.0", "--cluster-port=700", wrapper=WITHOUT_LOW_PORTS)

    assert complaint(agent, 1) == (
        "not allowed to listen on 0.0.0.0:700: choose a --cluster-port above 1023"
    )


def test_an_address_that_is_not_of_this_host_is_named(agent: Agent) -> None:
    agent.start("--bind-addr=203.0.113.9")

    assert (
        complaint(agent, 1) == "203.0.113.9 is no address of this host: choose another --bind-addr"
    )


def test_a_second_agent_for_an_interface_names_the_first(agent_of: AgentOf) -> None:
    first = agent_of("alpha").start()
    wait_for(first.is_up, "the first agent")

    second = agent_of("beta", first.host).start("--cluster-port=7947")

    assert (
        complaint(second, 1)
        == f"another wesher (pid {first.process.pid}) runs on interface {NAME}: "
        "stop it first, or choose another with --interface"
    )
    assert first.is_up()


def test_an_interface_that_is_not_ours_is_refused_and_left_alone(agent: Agent) -> None:
    tools = agent.host.tools
    tools.do(f"ip link add {NAME} type dummy")
    tools.forget()

    agent.start()

    assert f"interface {NAME} exists and wesher did not make it" in complaint(agent, 1)
    assert tools.changing_calls == []


def test_the_interface_of_the_default_route_is_refused_at_once(agent: Agent) -> None:
    began = time.monotonic()

    agent.start("--interface=eth0")

    assert "interface eth0 exists and wesher did not make it" in complaint(agent, 1)
    assert time.monotonic() - began < ADDRESS_PATIENCE / 2


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--overlay-net=192.0.2.0/25"], "192.0.2.0/25 lies inside 192.0.2.0/24, which this host"),
        (["--overlay-net=192.0.2.0/24"], "192.0.2.0/24 lies inside 192.0.2.0/24, which this host"),
        (["--state-dir=/proc/nowhere"], "cannot save /proc/nowhere/"),
    ],
)
def test_what_cannot_be_done_ends_with_1(agent: Agent, flags: list[str], reason: str) -> None:
    agent.start(*flags)

    assert reason in complaint(agent, 1)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--join=192.0.2.77"], "--join needs the cluster's key"),
        (["--interface=a b"], "--interface: 'a b' is not an interface name"),
        (["stray"], "unknown command 'stray'"),
        (["--clusterport=1"], "unknown option --clusterport"),
        (["--cluster-key=c2hvcnQ="], "the cluster key is 5 bytes long; it must be 32 bytes"),
        (["--node-name=a/b"], "--node-name: 'a/b' is not usable"),
    ],
)
def test_a_wrong_option_ends_with_2_and_does_nothing(
    agent: Agent, flags: list[str], reason: str
) -> None:
    agent.start(*flags)

    assert reason in complaint(agent, 2)
    assert agent.host.tools.calls == []


def test_an_unknown_word_ends_with_2(agent: Agent) -> None:
    agent.launch([*WESHER, "stat"])

    assert "unknown command 'stat'" in complaint(agent, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cluster-port = ", "Invalid value"),
        ("cluster-prot = 7946\n", "unknown key 'cluster-prot'; the nearest is 'cluster-port'"),
        ("cluster-port = 'x'\n", "'x' is not a port"),
    ],
)
def test_a_wrong_configuration_file_ends_with_2(agent: Agent, text: str, reason: str) -> None:
    file = agent.host.directory / "wesher.toml"
    file.write_text(text)

    agent.start(f"--config={file}")

    line = complaint(agent, 2)
    assert line.startswith(str(file))
    assert reason in line


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_file_that_others_can_read_is_refused_with_the_command(
    agent: Agent, mode: int
) -> None:
    file = agent.host.directory / "key"
    file.write_text(new_key())
    file.chmod(mode)

    agent.start(f"--cluster-key-file={file}")

    assert complaint(agent, 2).endswith(f"run: chmod 600 {file}")


def test_a_host_name_that_members_would_refuse_ends_with_1(agent: Agent) -> None:
    flags = [flag for flag in agent.flags if not flag.startswith("--node-name")]
    renamed = 'hostname localhost && exec "$@"'

    agent.launch(["unshare", "--uts", "sh", "-c", renamed, "-", *WESHER, *flags])

    reason = complaint(agent, 1)
    assert reason.startswith("host name: 'localhost' is not usable")
    assert "--node-name" in reason


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("--bind-addr=0.0.0.0", "no address that others could reach: give it one, or give --adv"),
        ("--bind-iface=eth7", "there is no interface eth7: choose another --bind-iface"),
    ],
)
def test_a_host_that_gets_no_address_is_given_up(agent: Agent, flag: str, reason: str) -> None:
    """The thirty seconds are made half a one: what is tested is what follows them."""
    agent.host.tools.do("ip addr del 192.0.2.10/24 dev eth0")
    flags = [flag for flag in agent.flags if not flag.startswith("--bind-addr")]
    impatient = (
        "import sys, wesher.agent.own_address, wesher.cli; "
        "wesher.agent.own_address.ADDRESS_PATIENCE = 0.5; sys.exit(wesher.cli.main())"
    )

    agent.launch([sys.executable, "-c", impatient, *flags, flag])

    assert agent.wait() == 1
    warning, error = agent.errors.splitlines()
    assert reason in warning
    assert "waiting up to" in warning
    assert error.startswith("wesher: ")
    assert reason in error
    assert agent.host.is_clean()


def test_a_host_may_get_its_address_late(agent: Agent) -> None:
    agent.host.tools.do("ip addr del 192.0.2.10/24 dev eth0")
    agent.start("--bind-addr=0.0.0.0", "--cluster-port=17946")
    wait_for(lambda: agent.host.tools.calls != [], "the first look at the addresses")

    agent.host.tools.do("ip addr add 192.0.2.10/24 dev eth0")

    wait_for(agent.is_up, "the agent")


def test_a_name_that_a_live_member_has_is_refused_with_its_address(
    agent_of: AgentOf,
) -> None:
    key = new_key()
    holder, other = agent_of("alpha"), agent_of("alpha")
    holder.start(f"--cluster-key={key}")
    wait_for(holder.is_up, "the holder of the name")

    other.start(f"--cluster-key={key}", f"--join={holder.host.address}")

    assert complaint(other, 1) == (
        f"the name alpha belongs to another live member, at {holder.host.address}:7946: "
        "give this host another --node-name"
    )
    assert other.host.is_clean()
    assert holder.lives()


def test_an_overlay_network_around_the_hosts_address_is_a_warning(agent: Agent) -> None:
    agent.start("--overlay-net=192.0.0.0/8")
    wait_for(agent.is_up, "the agent")

    agent.says("this host's address 192.0.2.10 is in the overlay network 192.0.0.0/8")


def test_an_unreadable_state_file_ends_with_1(agent: Agent) -> None:
    (agent.host.state / f"{NAME}.json").mkdir(parents=True)

    agent.start()

    assert complaint(agent, 1).startswith(f"cannot read {agent.host.state}/{NAME}.json: ")
    assert agent.host.tools.calls == []


def test_a_damaged_state_file_without_its_key_ends_with_1_at_every_start(agent: Agent) -> None:
    agent.host.state.mkdir()
    (agent.host.state / f"{NAME}.json").write_text('{"ClusterKey": "AAAA')

    for _ in range(2):
        agent.start()

        reason = complaint(agent, 1)
        assert "the state file is damaged and its cluster key is lost" in reason
        assert "--cluster-key, or start a new cluster with --init" in reason


def test_the_key_of_a_damaged_state_file_is_used_with_a_warning(agent: Agent) -> None:
    key = new_key()
    agent.host.state.mkdir()
    file = agent.host.state / f"{NAME}.json"
    file.write_text(f'{{"ClusterKey": "{key}", "Nodes": [')

    agent.start()
    wait_for(agent.is_up, "the agent")
    wait_for(file.exists, "the state is saved")

    agent.says("the cluster key was recovered")
    assert saved_key(agent) == key
    assert "new cluster key" not in agent.output


def test_closed_standard_streams_are_no_obstacle(agent: Agent) -> None:
    closing = 'exec "$@" <&- >&- 2>&-'

    agent.launch(["sh", "-c", closing, "-", *WESHER, *agent.flags])
    wait_for(agent.is_up, "the agent")

    assert agent.stop() == 0
    assert agent.host.is_clean()


def test_init_sets_the_state_aside_and_makes_a_new_key(agent: Agent) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")
    agent.stop()
    first = saved_key(agent)

    agent.start("--init")
    wait_for(agent.is_up, "the agent")

    assert saved_key(agent) != first
    old = agent.host.state / f"{NAME}.json.old"
    assert json.loads(old.read_text())["ClusterKey"] == first
    agent.says("set the earlier state aside")


def test_a_start_with_init_that_is_refused_leaves_the_state(agent: Agent) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")
    agent.stop()
    first = saved_key(agent)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((agent.host.address, 7946))
        agent.start("--init")
        complaint(agent, 1)

    assert saved_key(agent) == first
    assert not list(agent.host.state.glob("*.old"))


def saved_key(agent: Agent) -> str:
    return str(json.loads((agent.host.state / f"{NAME}.json").read_text())["ClusterKey"])
