"""What `wesher metrics` prints is what Prometheus takes, and follows the members."""

import json
import re
import subprocess
from pathlib import Path

from tests.testbed.agents import WESHER, Agent, AgentOf, new_key, wait_for, wait_until_met

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/metrics.md"


def metrics(
    agent: Agent, *flags: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    argv = [*WESHER, "metrics", f"--run-dir={agent.host.run}", *flags]
    environment = {**agent.host.tools.env, **(env or {})}
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def pair(agent_of: AgentOf) -> tuple[Agent, Agent, str]:
    key = new_key()
    alpha, beta = agent_of("alpha").start(f"--cluster-key={key}"), agent_of("beta")
    beta.start(f"--cluster-key={key}", f"--join={alpha.host.address}")
    wait_until_met(alpha, beta)
    return alpha, beta, key


def private_key(agent: Agent) -> str:
    return str(agent.host.tools.host["links"][agent.interface]["private_key"])


def test_promtool_accepts_the_metrics_and_they_hold_no_key(agent_of: AgentOf) -> None:
    alpha, beta, key = pair(agent_of)

    text = metrics(beta).stdout
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert checked.stderr == checked.stdout == ""
    assert 'wesher_members{state="alive"} 1.0' in text
    assert 'wesher_gossip_packets_total{direction="sent"}' in text
    for secret in (key, private_key(alpha), private_key(beta)):
        assert secret not in text


def test_the_page_lists_exactly_the_metrics_there_are(agent_of: AgentOf) -> None:
    _, beta, _ = pair(agent_of)

    wait_for(lambda: "wesher_member_round_trip" in metrics(beta).stdout, "a round trip")
    printed = {line.split()[2] for line in metrics(beta).stdout.splitlines() if "# TYPE" in line}
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(wesher_\w+)`", row.split("|")[1])}

    assert printed == listed


def test_the_series_of_a_member_vanish_with_it(agent_of: AgentOf) -> None:
    alpha, beta, _ = pair(agent_of)
    wait_for(lambda: 'member="alpha"' in metrics(beta).stdout, "series of alpha")

    alpha.stop()

    wait_for(lambda: 'state="left"} 1.0' in metrics(beta).stdout, "alpha to be gone")
    assert 'member="alpha"' not in metrics(beta).stdout


def test_a_file_is_replaced_at_once_and_readable_by_others(
    agent_of: AgentOf, tmp_path: Path
) -> None:
    agent = agent_of("alpha").start(f"--cluster-key={new_key()}")
    wait_for(agent.is_up, "the agent")
    file = tmp_path / "wesher.prom"
    file.write_text("old")

    done = metrics(agent, "--output", str(file))
    unwritable = metrics(agent, "--output", str(tmp_path / "none" / "wesher.prom"))
    (tmp_path / "directory").mkdir()
    in_the_way = metrics(agent, "--output", str(tmp_path / "directory"))

    assert (done.returncode, done.stdout) == (0, "")
    assert "wesher_info" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.glob(".*")) == []
    for failed in (unwritable, in_the_way):
        assert failed.returncode == 1
        assert "cannot write" in failed.stderr


def test_no_package_is_needed_but_those_of_the_agent(agent_of: AgentOf, tmp_path: Path) -> None:
    agent = agent_of("alpha").start(f"--cluster-key={new_key()}")
    wait_for(agent.is_up, "the agent")
    hidden = tmp_path / "prometheus_client.py"
    hidden.write_text("raise ModuleNotFoundError('hidden', name='prometheus_client')\n")

    done = metrics(agent, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    document = metrics(agent, "--json", env={"PYTHONPATH": f"{tmp_path}:{ROOT}"})

    assert json.loads(document.stdout)["health_score"] == 0
    assert (done.returncode, done.stderr) == (0, "")
    assert "wesher_info{" in done.stdout


def test_without_an_agent_there_are_no_metrics(agent_of: AgentOf) -> None:
    done = metrics(agent_of("alpha"))

    assert done.returncode == 3
    assert "no agent runs" in done.stderr
