"""Writing to where nobody reads."""

import fcntl
import os
from collections.abc import Iterator

import pytest

from wesher.system.log import MAX_WAITING, Writer

PATIENCE = 10  # seconds
SIZE = 4096  # bytes, the smallest pipe


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SIZE)
    ends = [reading, writing]
    yield ends
    for end in ends:
        os.close(end)


def test_texts_arrive_in_their_order(pipe: list[int]) -> None:
    writer = Writer(pipe[1])

    for number in range(100):
        writer.write(f"{number}\n")

    assert writer.flush(PATIENCE)
    assert os.read(pipe[0], SIZE).decode().split() == [str(number) for number in range(100)]


def test_nobody_waits_for_who_does_not_read_and_what_is_lost_is_said(pipe: list[int]) -> None:
    os.write(pipe[1], bytes(SIZE))
    writer = Writer(pipe[1])

    for number in range(MAX_WAITING + 50):
        writer.write(f"{number}\n")
    flushed = writer.flush(0.1)

    assert not flushed
    read = b""
    while b"were lost" not in read:
        read += os.read(pipe[0], SIZE)
    assert read.lstrip(b"\0").startswith(b"0\n1\n2\n")
    assert writer.flush(PATIENCE)
    lost = int(read.rpartition(b" lines of the log")[0].rpartition(b"\n")[2])
    assert lost in {49, 50}  # one may have been under way


def test_a_reader_that_has_gone_is_no_failure(pipe: list[int]) -> None:
    os.close(pipe[0])
    pipe.pop(0)
    writer = Writer(pipe[0])

    writer.write("nobody\n")
    writer.write("at all\n")

    assert writer.flush(PATIENCE)
