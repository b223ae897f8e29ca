"""What a running agent tells of its work, for metrics and for the doctor."""

import json
from typing import Any

from tests.testbed.agents import Agent, AgentOf, new_key, wait_for, wait_until_met
from tests.testbed.asking import typed
from wesher.system.control_client import ask


def account_of(agent: Agent) -> dict[str, Any]:
    account: dict[str, Any] = ask(agent.host.run, agent.interface, "account")
    return account


def test_an_agent_gives_account_of_packets_reconciles_and_tools(
    agent_of: AgentOf,
) -> None:
    key = f"--cluster-key={new_key()}"
    alpha, beta = agent_of("alpha").start(key), agent_of("beta")
    beta.start(key, f"--join={alpha.host.address}")
    wait_until_met(alpha, beta)
    wait_for(lambda: account_of(beta)["reconciles"]["count"] >= 1, "a reconcile to be counted")

    account = account_of(beta)

    assert account["settings"]["join"] == [f"{alpha.host.address}:7946"]
    assert account["messages"]["sent"]["push_pull"] >= 1
    assert account["traffic"]["stream_bytes_received"] > 0
    assert account["tools"]["calls"]["wg"] >= 1
    assert account["pending"] == {}
    assert account["objections"] == []
    assert key not in str(account)


def test_troubles_are_told_with_the_words_of_the_warning(agent_of: AgentOf) -> None:
    alpha, beta = agent_of("alpha").start(f"--cluster-key={new_key()}"), agent_of("beta")
    wait_for(alpha.is_up, "the first agent")
    beta.start(f"--cluster-key={new_key()}", f"--join={alpha.host.address}")
    wait_for(lambda: "another cluster key" in beta.errors, "the warning")

    troubles = {one["name"]: one for one in account_of(beta)["troubles"]}
    strangers = account_of(alpha)["strangers"]

    beta.says(troubles["other-key"]["fault"])
    beta.says(troubles["other-key"]["remedy"])
    assert strangers[0]["count"] >= 1
    assert account_of(alpha)["dropped"]["undecryptable"] >= 1


def test_a_wrong_key_that_was_corrected_is_a_fault_no_more(agent_of: AgentOf) -> None:
    alpha, beta = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    beta.start(f"--cluster-key={new_key()}")
    wait_for(beta.is_up, "the agent with the wrong key")
    alpha.start(key, f"--join={beta.host.address}")
    alpha.says("has another cluster key")
    before = diagnosed(alpha)

    beta.stop()
    beta.start("--init", key)
    wait_until_met(alpha, beta)
    wait_for(
        lambda: all(one["mended"] for one in account_of(alpha)["troubles"]), "alpha to be content"
    )
    after = diagnosed(alpha)

    text = f"{beta.host.address} has another cluster key, or none"
    assert [(one["verdict"], one["text"]) for one in before if text in one["text"]] == [
        ("fault", text)
    ]
    [over] = [one for one in after if text in one["text"]]
    assert (over["verdict"], over["trouble"], over["check"]) == ("ok", None, "warnings")
    assert over["text"].startswith(f"not any more: {text} (met ")
    assert not [one for one in after if one["check"] == "strangers" and one["trouble"]]


def diagnosed(agent: Agent) -> list[dict[str, Any]]:
    """Return what the doctor finds."""
    findings: list[dict[str, Any]] = json.loads(typed(agent, "doctor", "--json").stdout)["findings"]
    return findings
