"""A plugin that reads all of a request's body, and only then says 201 and how much it was: `python -m bench.sink PORT`.

nginx's `return` would answer before the body has arrived. A thread for each connection, and nothing of HTTP but what
the systems here send: `Content-Length`, or chunks.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from contextlib import suppress
from io import BufferedReader

LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
CHUNKED = re.compile(rb"^transfer-encoding:\s*chunked", re.IGNORECASE | re.MULTILINE)
BUFFER = 1 << 18
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def serve(connection: socket.socket) -> None:
    """Until it is closed."""
    piece = memoryview(bytearray(BUFFER))
    with connection, BufferedReader(socket.SocketIO(connection, "r"), BUFFER) as stream, suppress(ConnectionError):
        while head := _head(stream):
            body = b'{"bytes": %d}' % _body(stream, head, piece)
            connection.sendall(ANSWER % (len(body), body))


def _head(stream: BufferedReader[socket.SocketIO]) -> bytes:
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines)


def _body(stream: BufferedReader[socket.SocketIO], head: bytes, piece: memoryview) -> int:
    if found := LENGTH.search(head):
        return _drop(stream, int(found[1]), piece)
    if not CHUNKED.search(head):
        return 0
    got = 0
    while size := int(stream.readline(), 16):
        got += _drop(stream, size, piece)
        stream.readline()
    stream.readline()
    return got


def _drop(stream: BufferedReader[socket.SocketIO], size: int, piece: memoryview) -> int:
    left = size
    while left:
        count = stream.readinto1(piece[:left])
        if not count:
            raise ConnectionError("the body ends early")
        left -= count
    return size


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
