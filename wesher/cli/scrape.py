"""One HTTP request, on a connection that somebody else has accepted, as `Accept=yes` of systemd.

A server of its own would be one more thing that listens, as root: only root may ask an agent, who
also tells the cluster key. So systemd listens, and for each connection runs a process that first
asks the agent, then gives up being root, and only then reads what the network sends. It reads no
more of it than the method: whatever is asked for, the answer is the same.
"""

import os
import socket
import time
from contextlib import suppress

from wesher.base.errors import StartError

PATIENCE = 3.0  # seconds for the request, and again for whoever reads the answer
LINGER = 1.0  # seconds for the client to hang up before we do
MAX_HEAD = 16 << 10  # bytes of a request, far more than a scrape has
NOBODY = 65534  # of Linux: the user and group that own nothing


def connection(descriptor: int) -> socket.socket:
    """Return the connection behind a descriptor; StartError when there is none."""
    try:
        client = socket.socket(fileno=os.dup(descriptor))
        client.getpeername()
    except OSError as error:
        raise StartError(
            "--http answers on a connection that is handed over, as by wesher-metrics.socket; "
            "standard input is none"
        ) from error
    client.settimeout(PATIENCE)
    return client


def answer(client: socket.socket, code: str, content_type: str, text: str) -> None:
    """Read a request and answer it, as nobody; a client that is gone or too slow gets nothing."""
    _become_nobody()
    with suppress(OSError):
        method = _method(client)
        if method not in (b"GET", b"HEAD"):
            code, content_type, text = "405 Method Not Allowed", "text/plain", "GET only\n"
        body = text.encode()
        head = (
            f"HTTP/1.1 {code}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        client.sendall(head.encode() + (b"" if method == b"HEAD" else body))
        client.shutdown(socket.SHUT_WR)
        # Closed with bytes of it unread, the connection would be reset, and the answer lost.
        _read(client, MAX_HEAD, LINGER)


def _become_nobody() -> None:
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        raise StartError(
            f"--http answers nobody while it is root, and cannot stop being it: {error.strerror}"
        ) from error


def _method(client: socket.socket) -> bytes:
    return _read(client, MAX_HEAD, PATIENCE, until=b"\r\n\r\n").partition(b" ")[0]


def _read(client: socket.socket, limit: int, patience: float, until: bytes | None = None) -> bytes:
    """Return what comes until these bytes, the end or the limit; TimeoutError when it lasts."""
    deadline = time.monotonic() + patience
    found = b""
    while len(found) < limit and not (until and until in found):
        client.settimeout(max(deadline - time.monotonic(), 0.001))
        chunk = client.recv(limit)
        if not chunk:
            break
        found += chunk
    client.settimeout(PATIENCE)
    return found
