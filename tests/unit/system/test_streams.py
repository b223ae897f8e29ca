"""Streams of others, of ours, and how much of them we bear."""

import asyncio
import resource
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from ipaddress import ip_address

import pytest

from tests.unit.mesh.node_harness import SETTINGS
from tests.unit.system.transports import (
    LOOPBACK,
    Host,
    ask_for,
    frame,
    free_port,
    gone,
    node_host,
    open_now,
    open_streams,
    opened,
    opens_to_push_pull,
    run,
    send_slowly,
    stranger,
    until,
)
from wesher.gossip import MAX_INBOUND_EXCHANGES, Ack, Address, ErrorReply, Ping, PushPull
from wesher.gossip.codec import encode
from wesher.system import shut_out, sockets, transport
from wesher.system.transport import CROWDED, MAX_STREAMS_PER_SOURCE

# Requests from others


def test_a_request_is_answered_and_closed() -> None:
    async def scenario() -> None:
        async with opened() as host:
            assert await host.ask(frame(b"request")) == frame(b"reply")
            assert host.engine.heard == [("request", frame(b"request"), "127.0.0.1")]

    run(scenario)


def test_streams_with_a_door_of_their_own_never_reach_the_engine() -> None:
    async def scenario() -> None:
        async with opened() as host:
            assert await host.ask(b"Dabc and more") == b"door: Dabc"
            assert await host.ask(b"D...") == b""
            assert await host.ask(b"D!") == b"door: D!", "the door is to see it"
            assert [one for one, _ in host.door.heard] == [b"Dabc", b"D...", b"D!"]
            assert host.engine.heard == []

    run(scenario)


def test_who_is_not_welcome_is_kept_out_for_a_while_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shut_out, "SECONDS", 1.0)

    async def comes_in(host: Host, source: str) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                return await host.ask(b"Dabc", source) == b"door: Dabc"
        return False

    async def scenario() -> None:
        async with opened() as host:
            assert await host.ask(b"Dbad", "127.0.0.77") == b"door: Dbad", "it is told"
            assert not await comes_in(host, "127.0.0.77")
            assert await comes_in(host, "127.0.0.78")
            await until(lambda: host.transport._letting_back is None)
            assert await comes_in(host, "127.0.0.77")
            await host.ask(b"Dbad", "127.0.0.77")
        assert host.transport._letting_back is None

    run(scenario)


def test_a_request_without_a_reply_is_just_closed() -> None:
    async def scenario() -> None:
        async with opened() as host:
            host.engine.reply = None

            assert await host.ask(frame(b"request")) == b""

    run(scenario)


def test_a_request_in_single_bytes_is_put_together() -> None:
    async def scenario() -> None:
        async with opened() as host:
            _, writer = await host.connect()
            for byte in frame(b"request"):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)

            assert await host.heard(1) == [("request", frame(b"request"), "127.0.0.1")]
            writer.close()

    run(scenario)


def test_a_reply_of_many_megabytes_arrives_whole() -> None:
    async def scenario() -> None:
        async with opened() as host:
            host.engine.reply = frame(bytes(8 << 20))

            assert await host.ask(frame(b"request")) == host.engine.reply

    run(scenario)


@pytest.mark.case(21)
@pytest.mark.parametrize("sent", [b"", b"\x00", frame(b"request")[:-1]])
def test_a_stream_that_ends_early_is_closed_without_an_answer(sent: bytes) -> None:
    async def scenario() -> None:
        async with opened() as host:
            reader, writer = await host.connect()
            writer.write(sent)
            writer.write_eof()

            assert await gone(reader)
            assert host.engine.heard == []
            assert await open_streams(host) == 0
            writer.close()

    run(scenario)


@pytest.mark.case(21)
@pytest.mark.parametrize("sent", [b"", b"\x00"])
def test_a_stream_that_is_reset_harms_nobody(sent: bytes) -> None:
    async def scenario() -> None:
        async with opened() as host:
            _, writer = await host.connect()
            writer.write(sent)
            await asyncio.sleep(0.05)
            writer.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()

            assert await open_streams(host) == 0
            assert await host.ask(frame(b"x")) == frame(b"reply")
            assert host.bugs == []

    run(scenario)


def test_a_slow_sender_is_cut_off_at_the_deadline() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with opened(timeout=0.3) as host:
            reader, writer = await host.connect()
            started = loop.time()
            dribble = loop.create_task(send_slowly(writer, frame(bytes(10_000))))

            assert await gone(reader)
            assert 0.25 < loop.time() - started < 2
            dribble.cancel()
            writer.close()

    run(scenario)


def test_a_slow_reader_is_cut_off_at_the_deadline() -> None:
    async def scenario() -> None:
        async with opened(timeout=0.5) as host:
            host.engine.reply = frame(bytes(20 << 20))
            reader, writer = await host.connect()
            assert isinstance(writer.transport, asyncio.Transport)
            writer.transport.pause_reading()
            writer.write(frame(b"request"))
            await host.heard(1)
            while_it_reads_nothing = await open_streams(host, wait=False)
            await asyncio.sleep(0.6)

            assert while_it_reads_nothing == 1
            assert await open_streams(host) == 0
            writer.transport.abort()
            assert reader

    run(scenario)


def test_what_cannot_be_a_frame_reaches_the_engine_and_its_reply_the_sender() -> None:
    async def scenario() -> None:
        async with opened() as host:
            assert await host.ask(b"!garbage") == frame(b"reply")
            assert host.engine.heard[0][:2] == ("request", b"!")

    run(scenario)


@pytest.mark.case(22)
@pytest.mark.parametrize("first", [b"\x00", b"\x06", b"\x09", b"\xff"])
def test_an_unsealed_request_is_told_so_by_a_sealed_reply(first: bytes) -> None:
    async def scenario() -> None:
        harness, node = node_host()
        async with opened(node) as host:
            reply = await host.ask(first + bytes(20))

            assert isinstance(harness.wire.open_frame(reply, reply=True), ErrorReply)

    run(scenario)


@pytest.mark.case(20)
def test_a_frame_that_says_it_is_too_long_is_refused_before_it_is_read() -> None:
    async def scenario() -> None:
        harness, node = node_host()
        async with opened(node) as host:
            reply = await host.ask(struct.pack(">BI", 10, 20_971_521))

            assert isinstance(harness.wire.open_frame(reply, reply=True), ErrorReply)

    run(scenario)


def test_a_ping_by_stream_is_answered_by_a_real_node() -> None:
    async def scenario() -> None:
        harness, node = node_host()
        async with opened(node) as host:
            ping = harness.wire.seal_frame(encode(Ping(5, SETTINGS.name, b"", 0, "")))

            reply = await host.ask(ping)

            assert harness.wire.open_frame(reply, reply=True) == Ack(5)

    run(scenario)


# Bounds


@pytest.mark.case(23)
def test_the_128th_push_pull_at_once_takes_the_place_of_the_oldest() -> None:
    async def scenario() -> None:
        harness, node = node_host()
        request = harness.wire.seal_frame(encode(PushPull(join=True, records=())))
        async with opened(node) as host:
            streams = []
            for number in range(MAX_INBOUND_EXCHANGES):
                streams.append(await host.connect(f"127.0.{2 + number // 8}.1"))
                streams[-1][1].write(request[:-1])
            await until(lambda: open_now(host) == MAX_INBOUND_EXCHANGES)

            late = await host.ask(request, "127.0.99.1")
            for _, writer in streams[1:]:
                writer.write(request[-1:])
            replies = [await reader.read() for reader, _ in streams[1:]]
            after = await host.ask(request, "127.0.99.1")

            assert MAX_INBOUND_EXCHANGES == 127
            assert await gone(streams[0][0]), "the oldest, which has asked nothing yet"
            assert all(opens_to_push_pull(harness, reply) for reply in [late, *replies, after])
            for _, writer in streams:
                writer.close()

    run(scenario)


def test_one_source_cannot_lock_others_out() -> None:
    async def scenario() -> None:
        async with opened() as host:
            greedy = [await host.connect("127.0.2.1") for _ in range(CROWDED)]
            await until(lambda: open_now(host) == CROWDED)

            one_more = await host.ask(frame(b"x"), "127.0.2.1")
            others = [await host.connect("127.0.3.1") for _ in range(MAX_STREAMS_PER_SOURCE)]
            await until(lambda: open_now(host) == CROWDED + MAX_STREAMS_PER_SOURCE)
            too_many = await host.ask(frame(b"x"), "127.0.3.1")
            third = await host.ask(frame(b"x"), "127.0.4.1")

            assert (one_more, too_many, third) == (b"", b"", frame(b"reply"))
            for _, writer in (*greedy, *others):
                writer.close()
            assert await open_streams(host) == 0

    run(scenario)


def test_the_network_that_holds_most_loses_its_oldest() -> None:
    async def scenario() -> None:
        async with opened() as host:
            modest = [await host.connect(f"127.{1 + number}.0.1") for number in range(100)]
            greedy = [await host.connect(f"127.0.3.{1 + number}") for number in range(27)]
            await until(lambda: open_now(host) == MAX_INBOUND_EXCHANGES)

            assert await host.ask(frame(b"x"), "127.0.4.1") == frame(b"reply")

            assert await gone(greedy[0][0])
            for _, writer in (*modest, *greedy[1:]):
                writer.write(frame(b"y"))
            for reader, _ in (*modest, *greedy[1:]):
                assert await reader.read() == frame(b"reply")

    run(scenario)


@pytest.mark.parametrize("sent", [b"", frame(b"request")[:1]])
def test_who_says_nothing_goes_soon_and_who_has_begun_may_take_its_time(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(transport, "BEGIN_TIME", 0.2)

    async def scenario() -> None:
        async with opened() as host:
            _, writer = await host.connect()
            writer.write(sent)
            await asyncio.sleep(0.6)

            assert (open_now(host) == 0) is not bool(sent)
            writer.close()

    run(scenario)


def test_silent_streams_from_many_networks_shut_nobody_out() -> None:
    async def scenario() -> None:
        async with opened() as host:
            for number in range(160):
                await host.connect(f"127.{1 + number // 8}.0.{1 + number % 8}")

            assert await host.ask(frame(b"x"), "127.200.0.1") == frame(b"reply")

    run(scenario)


async def begun(
    host: Host, source: str, size: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the beginning of a request, and return its stream once it is held in memory."""
    reader, writer = await host.connect(source)
    held = host.transport._frames._buffered
    writer.write(frame(bytes(size))[:size])
    await until(lambda: host.transport._frames._buffered == held + size)
    return reader, writer


def test_who_holds_most_memory_with_unfinished_requests_loses_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "MAX_BUFFERED", 1_000_000)

    async def scenario() -> None:
        async with opened() as host:
            modest, modest_writer = await begun(host, "127.0.0.2", 300_000)
            oldest, _ = await begun(host, "127.0.0.3", 350_000)
            newer, newer_writer = await begun(host, "127.0.0.3", 100_000)

            large = await host.ask(frame(bytes(390_000)), "127.0.0.4")
            for writer in (modest_writer, newer_writer):
                writer.write(bytes(4))  # what their frames lack

            assert large == frame(b"reply")
            assert await gone(oldest)
            assert await modest.read() == await newer.read() == frame(b"reply")
            assert host.transport._frames._buffered == 0

    run(scenario)


def test_a_single_source_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_BUFFERED", 1_000_000)

    async def scenario() -> None:
        async with opened() as host:
            first, _ = await begun(host, "127.0.0.2", 900_000)

            second = await host.ask(frame(bytes(900_000)), "127.0.0.2")

            assert second == frame(b"reply")
            assert await gone(first)

    run(scenario)


def test_a_request_too_large_for_the_bound_gives_way_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "MAX_BUFFERED", 100_000)

    async def scenario() -> None:
        async with opened() as host:
            assert await host.ask(frame(bytes(200_000))) == b""
            assert await host.ask(frame(b"x")) == frame(b"reply")

    run(scenario)


FLOOD = """
import socket, sys, time
streams = []
for _ in range(400):
    stream = socket.socket()
    stream.setblocking(False)
    stream.connect_ex(("127.0.0.1", int(sys.argv[1])))
    streams.append(stream)
time.sleep(1)
"""


def test_a_flood_of_connections_does_not_use_up_our_file_descriptors() -> None:
    async def scenario() -> None:
        async with opened() as host:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", FLOOD, str(host.port), stderr=subprocess.DEVNULL
            )
            await process.wait()

            assert host.bugs == []
            assert await open_streams(host) == 0
            assert await host.ask(frame(b"x")) == frame(b"reply")

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        run(scenario)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# Requests of ours


def test_our_request_brings_back_the_reply() -> None:
    async def scenario() -> None:
        async with opened() as a, opened() as b:
            ask_for(a, Address("127.0.0.1", b.port))

            assert await a.heard(1) == [("reply", 7, frame(b"reply"))]
            assert b.engine.heard == [("request", frame(b"request"), "127.0.0.1")]

    run(scenario)


def test_our_request_comes_from_the_address_we_are_bound_to() -> None:
    async def scenario() -> None:
        async with opened(ip=ip_address("127.0.0.5")) as a, opened() as b:
            ask_for(a, Address("127.0.0.1", b.port))

            await a.heard(1)
            assert b.engine.heard == [("request", frame(b"request"), "127.0.0.5")]

    run(scenario)


def test_bound_to_no_address_our_request_comes_from_where_the_route_leads() -> None:
    async def scenario() -> None:
        async with opened(ip=ip_address("0.0.0.0")) as a, opened(ip=ip_address("127.0.0.6")) as b:
            ask_for(a, Address("127.0.0.6", b.port))

            await a.heard(1)
            assert b.engine.heard == [("request", frame(b"request"), "127.0.0.1")]

    run(scenario)


def test_nobody_there_is_told() -> None:
    async def scenario() -> None:
        async with opened() as host:
            ask_for(host, Address("127.0.0.1", free_port(LOOPBACK)))

            assert await host.heard(1) == [("failed", 7, "connection refused")]

    run(scenario)


def test_a_network_that_leads_nowhere_is_told() -> None:
    async def scenario() -> None:
        async with opened() as host:
            ask_for(host, Address("255.255.255.255", 7946))

            ((kind, _, words),) = await host.heard(1)
            assert kind == "failed"
            assert words in {"network is unreachable", "permission denied"}

    run(scenario)


def test_silence_is_told_after_the_time_we_gave() -> None:
    async def scenario() -> None:
        async with opened() as host, stranger() as silent:
            ask_for(host, silent, timeout=0.2)

            assert await host.heard(1) == [("failed", 7, "no answer within 0.2 s")]

    run(scenario)


@pytest.mark.parametrize("sent", [b"", b"\x00", frame(b"reply")[:-1]])
def test_a_reply_that_ends_early_is_told(sent: bytes) -> None:
    async def scenario() -> None:
        async with opened() as host, stranger(sent) as short:
            ask_for(host, short)

            ((kind, _, words),) = await host.heard(1)
            assert kind == "failed"
            assert words in {"closed without a reply", "connection reset by peer"}

    run(scenario)


def test_a_reply_that_is_no_frame_is_left_to_the_engine() -> None:
    async def scenario() -> None:
        async with opened() as a, opened() as b:
            b.engine.reply = b"!"
            ask_for(a, Address("127.0.0.1", b.port))

            assert await a.heard(1) == [("reply", 7, b"!")]

    run(scenario)


# Streams of our own


def test_a_stream_of_our_own_is_answered_in_its_own_time_and_not_by_the_engine() -> None:
    async def answer() -> bytes:
        await asyncio.sleep(0.4)
        return b"told"

    async def scenario() -> None:
        async with opened(timeout=0.2) as host:
            host.own[frame(b"ours")] = answer()

            ours, other = await asyncio.gather(
                host.ask(frame(b"ours")), host.ask(frame(b"another"))
            )

            assert (ours, other) == (b"told", host.engine.reply)
            assert [one[1] for one in host.engine.heard] == [frame(b"another")]

    run(scenario)


def test_a_stream_of_our_own_may_stay_without_an_answer() -> None:
    async def nothing() -> None:
        return None

    async def scenario() -> None:
        async with opened() as host:
            host.own[frame(b"ours")] = nothing()

            assert await host.ask(frame(b"ours")) == b""

    run(scenario)
