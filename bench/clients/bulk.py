"""One large body, down or up: `python -m bench.clients.bulk get|put PORT PATH SIZE` says how many seconds it took."""

from __future__ import annotations

import re
import socket
import sys
import time

from bench.clients.said import GaveUpError, Said, output_of

PIECE = 1 << 18
SAYS = re.compile(r"^([\d.]+) seconds$", re.MULTILINE)
HEAD = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}Connection: close\r\n\r\n"
OK = {"get": b" 200 ", "put": b" 201 "}


def bulk(method: str, port: int, path: str, size: int, seconds: float) -> Said:
    """In a process of its own; raises `GaveUpError`."""
    command = [sys.executable, "-m", "bench.clients.bulk", method, str(port), path, str(size)]
    return parse(output_of(command, seconds))


def parse(text: str) -> Said:
    found = SAYS.search(text)
    if found is None:
        raise GaveUpError("the client says nothing of its seconds")
    seconds = float(found[1])
    return Said(1, 0, seconds, seconds * 1e3, seconds * 1e3)


def main() -> None:
    method, port, path, size = sys.argv[1:]
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as sock:
        length = f"Content-Length: {size}\r\n" if method == "put" else ""
        sock.sendall(HEAD.format(method=method.upper(), path=path, length=length).encode())
        if method == "put":
            _send(sock, int(size))
        head, got = _receive(sock)
    status = head.partition(b"\r\n")[0]
    if OK[method] not in status:
        raise SystemExit(f"answered {status.decode('latin-1')}")
    if method == "get" and got != int(size):
        raise SystemExit(f"{got} bytes came instead of {size}")
    print(f"{time.monotonic() - began:.6f} seconds")


def _send(sock: socket.socket, size: int) -> None:
    piece = bytes(PIECE)
    for _ in range(size // PIECE):
        sock.sendall(piece)
    sock.sendall(piece[: size % PIECE])


def _receive(sock: socket.socket) -> tuple[bytes, int]:
    """The head, and how many bytes came after it until the end."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(PIECE)
        if not more:
            raise SystemExit("the connection ended before an answer")
        head += more
    head, _, body = head.partition(b"\r\n\r\n")
    got, piece = len(body), bytearray(PIECE)
    while count := sock.recv_into(piece):
        got += count
    return head, got


if __name__ == "__main__":
    main()
