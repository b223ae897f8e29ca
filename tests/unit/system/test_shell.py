"""Tools run without a shell, within a time limit, and their failures say what happened."""

import asyncio
import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from loguru import logger

from wesher.base.errors import CommandError, MissingToolError, TransientCommandError
from wesher.system import shell
from wesher.system.shell import find_tool, follow, patiently, place_of, run

WriteTool = Callable[[str, str], None]


@pytest.fixture
def write_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteTool:
    """Put small shell scripts first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write(name: str, body: str) -> None:
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)

    return write


def call(*argv: str, stdin: str | None = None, timeout: float = 10) -> str:
    return asyncio.run(run(*argv, stdin=stdin, timeout=timeout))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_standard_output_is_returned(write_tool: WriteTool) -> None:
    write_tool("tool", 'echo "$1"; echo noise >&2')

    assert call("tool", "a b") == "a b\n"


def test_standard_input_reaches_the_tool_also_as_a_file(write_tool: WriteTool) -> None:
    write_tool("tool", 'cat; cat "$1"')

    assert call("tool", "/dev/stdin", stdin="secret\n") == "secret\nsecret\n"


def test_files_reach_the_tool_and_take_no_descriptor_of_ours(write_tool: WriteTool) -> None:
    write_tool("tool", 'cat "$@"')
    before = os.listdir("/proc/self/fd")
    texts = [f"text {number};" for number in range(300)]
    places = [place_of(number) for number in range(300)]

    assert asyncio.run(run("tool", *places, stdin="own", files=texts)) == "".join(texts)

    assert os.listdir("/proc/self/fd") == before


def test_a_tool_is_given_more_files_than_we_may_open_ourselves(write_tool: WriteTool) -> None:
    write_tool("tool", f"cat {place_of(19)}")

    with few_open_files(100):
        assert asyncio.run(run("tool", files=["text"] * 20)) == "text"


@contextmanager
def few_open_files(number: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_no_standard_input_is_an_empty_one(write_tool: WriteTool) -> None:
    write_tool("tool", "cat; echo end")

    assert call("tool") == "end\n"


def test_a_megabyte_passes_both_ways(write_tool: WriteTool) -> None:
    write_tool("tool", "exec cat")
    text = "0123456789abcdef" * 65536

    assert call("tool", stdin=text) == text


def test_tools_run_in_the_c_locale_without_our_secrets(
    write_tool: WriteTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("WESHER_CLUSTER_KEY", "secret")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    write_tool("tool", "env")

    printed = call("tool").splitlines()

    assert "LC_ALL=C" in printed
    assert "WG_COLOR_MODE=never" in printed
    assert not [line for line in printed if line.startswith(("WESHER_", "LOG_LEVEL"))]


def test_roots_tools_are_found_although_path_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert find_tool("ip") in {"/usr/sbin/ip", "/sbin/ip"}


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(MissingToolError, match="no-such-tool not found"):
        call("no-such-tool", "--help")


def test_a_tool_of_the_wrong_format_is_an_error_that_stays(
    write_tool: WriteTool, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "tool").chmod(0o755)

    with pytest.raises(CommandError, match="Exec format error") as caught:
        call("tool")

    assert caught.value.status == 126


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Unable to modify interface: Device or resource busy", TransientCommandError),
        ("", TransientCommandError),
        ("Key is not the correct length or format: `abc'", CommandError),
        ("RTNETLINK answers: Operation not permitted", CommandError),
        ('Cannot find device "wgoverlay"', CommandError),
        ("Error: Unknown device type.", CommandError),
    ],
)
def test_a_failure_says_whether_trying_again_may_help(
    write_tool: WriteTool, message: str, kind: type[Exception]
) -> None:
    write_tool("tool", f"cat >&2 <<'END'\n{message}\nEND\nexit 3")

    with pytest.raises(CommandError) as caught:
        call("tool", "set")

    assert type(caught.value) is kind
    assert (caught.value.argv, caught.value.status) == (("tool", "set"), 3)
    assert caught.value.stderr == message


def test_death_by_signal_is_worth_another_try(write_tool: WriteTool) -> None:
    write_tool("tool", "kill -SEGV $$")

    with pytest.raises(TransientCommandError) as caught:
        call("tool")

    assert caught.value.status == -11


def test_a_hanging_tool_is_killed_with_its_children(write_tool: WriteTool, tmp_path: Path) -> None:
    write_tool("tool", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    started = time.monotonic()

    with pytest.raises(CommandError, match="timed out") as caught:
        call("tool", timeout=0.3)

    assert caught.value.status is None
    assert time.monotonic() - started < 5
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: is_gone(child))


def test_cancelling_the_caller_kills_the_tool(write_tool: WriteTool, tmp_path: Path) -> None:
    write_tool(
        "tool", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 60"
    )

    async def main() -> None:
        task = asyncio.create_task(run("tool"))
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(pid))


def test_a_tool_cancelled_before_it_started_does_not_live_on(
    write_tool: WriteTool, tmp_path: Path
) -> None:
    write_tool("tool", f"sleep 0.3; touch {tmp_path}/done")

    async def main() -> None:
        task = asyncio.create_task(run("tool"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.6)

    asyncio.run(main())

    assert not (tmp_path / "done").exists()


def test_a_daemon_left_behind_does_not_hold_the_call(write_tool: WriteTool, tmp_path: Path) -> None:
    write_tool("tool", f"sleep 60 & echo $! > {tmp_path}/child")
    started = time.monotonic()

    call("tool")

    assert time.monotonic() - started < 30
    child = int((tmp_path / "child").read_text())
    assert not is_gone(child)
    os.kill(child, 9)


def test_a_daemon_left_behind_holds_none_of_our_files(
    write_tool: WriteTool, tmp_path: Path
) -> None:
    write_tool("tool", "ls /proc/self/fd; echo why it failed; exit 1")
    opened = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(opened, True)

    with pytest.raises(CommandError) as caught:
        asyncio.run(run("tool", leaves_daemon=True))

    *files, reason = caught.value.stderr.split("\n")
    assert set(files) <= {"0", "1", "2", "3"}
    assert reason == "why it failed"
    os.close(opened)


def test_calls_are_logged_at_debug_without_what_goes_in_and_out(write_tool: WriteTool) -> None:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="DEBUG", format="{message}")
    write_tool("tool", "cat")

    call("tool", "a{b}", *["peer"] * 100, stdin="secret")

    logger.remove(sink)
    (line,) = lines
    assert line.startswith("ran tool a{b} peer")
    assert "…" in line
    assert len(line) < 200
    assert "secret" not in line


def test_a_shortage_of_open_files_is_a_failure_that_may_pass(
    write_tool: WriteTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    write_tool("tool", "exit 0")
    monkeypatch.setattr(os, "memfd_create", refuse)

    with pytest.raises(TransientCommandError, match=r"not started: .*Too many open files"):
        call("tool")


def test_transient_failures_are_tried_again(write_tool: WriteTool, tmp_path: Path) -> None:
    write_tool("tool", f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -ge 4 ]")

    asyncio.run(patiently(run)("tool"))

    assert (tmp_path / "tries").read_text() == "x\n" * 4


def test_lasting_failures_are_not_tried_again(write_tool: WriteTool, tmp_path: Path) -> None:
    write_tool("tool", f"echo x >> {tmp_path}/tries; echo 'Invalid argument' >&2; exit 1")

    with pytest.raises(CommandError):
        asyncio.run(patiently(run)("tool"))

    assert (tmp_path / "tries").read_text() == "x\n"


@pytest.fixture
def tool_calls(monkeypatch: pytest.MonkeyPatch) -> shell.ToolCalls:
    """Count from zero."""
    monkeypatch.setattr(shell, "tool_calls", shell.ToolCalls())
    return shell.tool_calls


def test_calls_failures_and_retries_are_counted(
    write_tool: WriteTool, tool_calls: shell.ToolCalls, tmp_path: Path
) -> None:
    write_tool("good", "exit 0")
    write_tool("shaky", f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 3 ]")

    asyncio.run(run("good"))
    asyncio.run(patiently(run)("shaky"))
    with pytest.raises(MissingToolError):
        call("no-such-tool")

    assert tool_calls.calls == {"good": 1, "shaky": 3, "no-such-tool": 1}
    assert tool_calls.failures == {"shaky": 2, "no-such-tool": 1}
    assert tool_calls.retries == 2


def test_a_tool_that_is_followed_is_killed_with_its_children(
    write_tool: WriteTool, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    write_tool("chatty", f"sleep 300 & echo $! $$ >{pids}; echo one; echo two >&2; echo half; wait")

    async def first_lines() -> str:
        heard = ""
        async with aclosing(follow("chatty")) as bursts:
            async for lines in bursts:
                heard += lines
                if heard.count("\n") == 3:
                    break
        return heard

    assert asyncio.run(first_lines()) == "one\ntwo\nhalf\n"
    for pid in pids.read_text().split():
        wait_until(partial(is_gone, int(pid)))


_FOLLOWER = """
import asyncio
from wesher.system.shell import follow
async def follow_on():
    async for lines in follow("silent"):
        print(lines, end="", flush=True)
asyncio.run(follow_on())
"""


def test_a_tool_that_is_followed_ends_with_a_follower_that_is_killed(write_tool: WriteTool) -> None:
    write_tool("silent", "echo $$; exec sleep 300")

    with subprocess.Popen(
        [sys.executable, "-c", _FOLLOWER], stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout
        pid = int(follower.stdout.readline())
        assert not is_gone(pid)
        follower.kill()

    wait_until(lambda: is_gone(pid))


def test_a_tool_is_followed_without_setpriv_too(
    write_tool: WriteTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tool("brief", "echo one")
    found = shell.find_tool
    monkeypatch.setattr(shell, "find_tool", lambda name: None if name == "setpriv" else found(name))

    async def all_lines() -> list[str]:
        return [lines async for lines in follow("brief")]

    assert asyncio.run(all_lines()) == ["one\n"]


def test_a_missing_tool_cannot_be_followed() -> None:
    async def first() -> str:
        return await anext(follow("no-such-tool"))

    with pytest.raises(MissingToolError):
        asyncio.run(first())


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_tool_that_prints_without_end_is_ended(
    write_tool: WriteTool, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    monkeypatch.setattr(shell, "_MAX_OUTPUT", 1_000_000)
    write_tool("endless", f"yes >&{stream}; yes >&{stream}")

    with pytest.raises(CommandError, match="more than 1000000 bytes") as caught:
        call("endless", timeout=60)

    assert not isinstance(caught.value, TransientCommandError)
