"""What a running agent tells of its work, for metrics and for the doctor."""

from tests.integration.agents import new_key, wait_for, wait_until_met
from wesher.system.asking import ask


def account_of(agent):
    return ask(agent.host.run, agent.interface, "account")


def test_an_agent_gives_account_of_packets_reconciles_and_tools(agent_of):
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


def test_troubles_are_told_with_the_words_of_the_warning(agent_of):
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
