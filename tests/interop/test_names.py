"""Names as Go takes them, which is any bytes at all."""

import os
from collections.abc import Callable

import pytest

from tests.interop.golang import GoOf, wait_for
from tests.interop.ours import OursOf, look
from tests.testbed.agents import Agent, new_key
from wesher.gossip import Address

ODD = ["höst", "a.b_c-D", "x" * 255, os.fsdecode(b"\xff\xfe"), "127.0.0.1", "-", "..", "a/b"]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_odd_names_pass_through_us(go_of: GoOf, ours_of: OursOf, key: str, name: str) -> None:
    """Told to a third party as they were told to us."""
    odd, go = go_of(name, file="odd"), go_of("gopher")
    ours = ours_of("python").announce()

    ours.join(odd)
    go.join(ours.host_port)

    wait_for(lambda: set(ours.members) == {name, "gopher", "python"}, "everybody here")
    wait_for(lambda: set(look(go.ip, key)) == set(ours.members), "everybody there")
    wait_for(lambda: set(look(odd.ip, key)) == set(ours.members), "everybody at the odd one")


def test_a_name_too_long_for_us_does_no_harm(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    odd, go = go_of("x" * 256, file="odd"), go_of("gopher")
    ours = ours_of("python").announce()

    ours.join(go)
    go.join(odd.host_port)
    odd.join(ours.host_port)

    wait_for(lambda: set(ours.members) == {"gopher", "python"}, "those with names")
    ours.reach(Address(odd.ip, odd.port), odd.name)


def test_members_named_by_their_addresses(
    go_of: GoOf, ours_of: OursOf, new_address: Callable[[], str]
) -> None:
    """As `--ip-as-name` does: Go then puts a checksum into every packet, pings and acks too."""
    mine, theirs = new_address(), new_address()
    go, ours = go_of(theirs, theirs), ours_of(mine, mine).announce()

    ours.join(go)

    go.wait("join", name=mine)
    go.reach(mine)
    wait_for(lambda: theirs in ours.members, "it")
    ours.reach(Address(go.ip, go.port), theirs)


@pytest.mark.parametrize("name", ["höst", "x" * 254, os.fsdecode(b"\xff\xfe"), "localhost", "a b"])
def test_an_agent_ignores_names_that_are_none(
    go_of: GoOf, agent_of: Callable[[str], Agent], key: str, name: str
) -> None:
    odd, go = go_of(name, file="odd"), go_of("gopher")
    for number, member in enumerate((odd, go)):
        member.do("gob", "current", f"10.9.8.{number + 1}", new_key())
    agent = agent_of("alpha")

    agent.start(f"--cluster-key={key}", f"--join={odd.ip},{go.ip}", "--log-level=debug")

    wait_for(agent.is_up, "the agent")
    wait_for(lambda: agent.host.hosts_lines() == {"gopher": "10.9.8.2"}, "the proper one's line")
    assert set(agent.host.peers()) == {"10.9.8.2/32"}
    assert agent.lives()
