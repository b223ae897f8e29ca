"""One scrape, on a connection that systemd hands over: root asks, nobody answers."""

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.testbed.agents import PATIENCE, WESHER, Agent, AgentOf, new_key, wait_for
from tests.testbed.documents import ROOT

UNIT = ROOT / "packaging/systemd/wesher-metrics@.service"
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"


def started(agent: Agent) -> Agent:
    agent.start(f"--cluster-key={new_key()}")
    wait_for(agent.is_up, "the agent")
    return agent


def command(agent: Agent) -> list[str]:
    """What the unit runs, of this checkout."""
    (line,) = re.findall(r"^ExecStart=/usr/bin/wesher (.*)$", UNIT.read_text(), re.MULTILINE)
    return [*WESHER, *line.split(), f"--run-dir={agent.host.run}"]


@contextmanager
def scraped(agent: Agent) -> Iterator[tuple[socket.socket, "subprocess.Popen[str]"]]:
    """Hand a connection over as systemd does; yield the client's end, and the process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            command(agent),
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
            env=agent.host.tools.env,
            text=True,
        )
        theirs.close()
        ours.settimeout(PATIENCE)
        try:
            yield ours, process
        finally:
            process.kill()
            process.communicate()


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_systemd_listens_and_a_scrape_is_what_prometheus_reads(
    agent_of: AgentOf, tmp_path: Path
) -> None:
    agent = started(agent_of("alpha"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = ["systemd-socket-activate", "--accept", "--inetd", f"--listen=127.0.0.1:{port}"]
    passed = [f"--setenv={name}" for name in agent.host.tools.env]
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*listen, *passed, *command(agent)],
            env=agent.host.tools.env,
            stdin=subprocess.DEVNULL,
            stderr=errors,
        ) as listener,
    ):
        try:
            wait_for(lambda: "Listening on" in log.read_text(), "the listener")
            answers = [scrape(port) for _ in range(3)]
        finally:
            listener.terminate()

    for answer in answers:
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), answer
        assert f"Content-Length: {len(body.encode())}" in head
        names = {family.name for family in text_string_to_metric_families(body)}
        assert "wesher_uptime_seconds" in names


def scrape(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(REQUEST)
        return read_all(client)


def test_nothing_is_read_before_root_is_given_up(agent_of: AgentOf) -> None:
    agent = started(agent_of("alpha"))

    with scraped(agent) as (client, process):
        status = Path(f"/proc/{process.pid}/status")

        def ids() -> list[str]:
            found = dict(
                re.findall(r"^(Uid|Gid|Groups):[ \t]*(.*)$", status.read_text(), re.MULTILINE)
            )
            return [found["Uid"], found["Gid"], found["Groups"].strip()]

        nobody = "\t".join(["65534"] * 4)
        wait_for(lambda: ids() == [nobody, nobody, ""], "root to be given up")
        client.sendall(REQUEST)
        assert b" 200 OK" in read_all(client)
        assert process.wait(PATIENCE) == 0


def test_an_answer_arrives_though_the_request_is_longer_than_is_read(agent_of: AgentOf) -> None:
    agent = started(agent_of("alpha"))

    with scraped(agent) as (client, _):
        sender = threading.Thread(target=lambda: client.sendall(REQUEST + b"x" * 10_000))
        sender.start()
        assert b"wesher_info" in read_all(client)
        sender.join()


def test_a_head_is_a_head_and_other_methods_are_refused(agent_of: AgentOf) -> None:
    agent = started(agent_of("alpha"))

    with scraped(agent) as (client, _):
        client.sendall(REQUEST.replace(b"GET", b"HEAD"))
        assert read_all(client).endswith(b"\r\n\r\n")
    with scraped(agent) as (client, _):
        client.sendall(b"POST / HTTP/1.1\r\n\r\n")
        assert b" 405 " in read_all(client)


def test_without_an_agent_the_scrape_says_so(agent_of: AgentOf) -> None:
    with scraped(agent_of("alpha")) as (client, process):
        client.sendall(REQUEST)
        answer = read_all(client)
        assert process.wait(PATIENCE) == 3

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"no agent runs on this host" in answer


def test_who_says_nothing_is_given_up(agent_of: AgentOf) -> None:
    agent = started(agent_of("alpha"))

    with scraped(agent) as (client, process):
        began = time.monotonic()
        assert read_all(client) == b""
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 15


def test_what_is_no_connection_is_said(agent_of: AgentOf) -> None:
    agent = agent_of("alpha")

    done = subprocess.run(
        command(agent), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "--http answers on a connection that is handed over" in done.stderr


def test_it_prints_or_writes_or_answers(agent_of: AgentOf) -> None:
    for other in ("--json", "--output=x"):
        done = subprocess.run(
            [*command(agent_of("alpha")), other],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 2
        assert "contradict each other" in done.stderr
