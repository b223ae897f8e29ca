"""Guess tokens at an agent as fast as that goes; a program of its own, on a host of the lab.

Arguments: address, port, how many guesses, the id of an invitation that there is, or nothing.
"""

import os
import socket
import sys
import threading
from contextlib import suppress

AT_ONCE = 64  # streams
PATIENCE = 0.05  # seconds for one guess
MESSAGE = 32 + 100  # bytes: an ephemeral key, and something that could be encrypted


def guess(target: tuple[str, int], name: str, count: int, answered: list[int]) -> None:
    """Make so many guesses, one after the other."""
    for _ in range(count):
        body = (name or os.urandom(4).hex()).encode() + os.urandom(MESSAGE)
        with suppress(OSError), socket.create_connection(target, PATIENCE) as stream:
            stream.sendall(b"\xf6\x01" + len(body).to_bytes(2, "big") + body)
            if stream.recv(16):
                answered.append(1)


def main() -> None:
    address, port, count, name = sys.argv[1:]
    answered: list[int] = []
    share = -(-int(count) // AT_ONCE)
    threads = [
        threading.Thread(target=guess, args=((address, int(port)), name, share, answered))
        for _ in range(AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(answered))


if __name__ == "__main__":
    main()
