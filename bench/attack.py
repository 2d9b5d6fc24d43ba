"""Slow clients, as many as wanted: `python -m bench.attack KIND PORT COUNT [PATH]`.

Each holds a connection and moves a byte or so every few seconds; one that is closed comes back a while later. For
loopback only. Says `COUNT clients have come` once all have, and ends with its standard input.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

DRIP = 2.0
"""Seconds between two bytes of a connection."""

BACK = 10.0
"""Seconds until one that was closed comes back: slow clients are no flood of new connections."""

OPEN_AT_ONCE = 100
"""Connections opened between two looks at the others."""


@dataclass(frozen=True)
class Kind:
    """What a slow client sends first, and then every few seconds; whether it reads."""

    begin: bytes
    drip: bytes
    reads: bool = True


KINDS: dict[str, Callable[[bytes], Kind]] = {
    "silent": lambda _: Kind(b"", b""),
    "head": lambda path: Kind(b"GET %b HTTP/1.1\r\nHost: x\r\n" % path, b"X-Drip: a\r\n"),
    "body": lambda path: Kind(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" % path, b"x"),
    "chunks": lambda path: Kind(
        b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path, b"1\r\nx\r\n"
    ),
    "read": lambda path: Kind(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path, b"", reads=False),
}


class Attack:
    """`count` slow clients of one kind."""

    def __init__(self, kind: Kind, port: int, count: int) -> None:
        self._kind = kind
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._due: dict[socket.socket, float] = {}
        self._back: deque[float] = deque([0.0] * count)
        self.come = self.lost = 0

    def step(self) -> None:
        """Open what is missing, drip where it is time, and note who was closed."""
        now = time.monotonic()
        for _ in range(OPEN_AT_ONCE):
            if self._back and self._back[0] <= now:
                self._back.popleft()
                self._open()
        for sock, due in list(self._due.items()):
            if due <= now:
                self._drip(sock, now)
        for key, _ in self._selector.select(0.01):
            self._closed_or_answered(key.fileobj)  # type: ignore[arg-type]

    @property
    def held(self) -> int:
        """Connections that are open."""
        return len(self._due)

    def _open(self) -> None:
        sock = socket.socket()
        if not self._kind.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(5)
        try:
            sock.connect(("127.0.0.1", self._port))
            sock.sendall(self._kind.begin)
        except OSError:
            sock.close()
            self._back.append(time.monotonic() + BACK)
            return
        self.come += 1
        sock.setblocking(False)
        self._due[sock] = time.monotonic() + DRIP
        if self._kind.reads:
            self._selector.register(sock, selectors.EVENT_READ)

    def _drip(self, sock: socket.socket, now: float) -> None:
        self._due[sock] = now + DRIP
        try:
            if not self._kind.reads and not sock.recv(16):
                self._close(sock)
                return
            if self._kind.drip:
                sock.send(self._kind.drip)
        except BlockingIOError:
            return
        except OSError:
            self._close(sock)

    def _closed_or_answered(self, sock: socket.socket) -> None:
        with suppress(BlockingIOError):
            try:
                if sock.recv(4096):
                    return
            except ConnectionError:
                pass
            self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        self.lost += 1
        self._back.append(time.monotonic() + BACK)
        del self._due[sock]
        if self._kind.reads:
            self._selector.unregister(sock)
        sock.close()


def main() -> None:
    kind, port, count, *path = sys.argv[1:]
    attack = Attack(KINDS[kind]((path[0] if path else "/").encode()), int(port), int(count))
    ended = selectors.DefaultSelector()
    ended.register(sys.stdin, selectors.EVENT_READ)
    told = False
    while not ended.select(0):
        attack.step()
        if attack.come >= int(count) and not told:
            told = True
            print(f"{count} clients have come, {attack.held} are connected", flush=True)
    print(f"{attack.come} came, {attack.lost} were closed, {attack.held} are connected", flush=True)


if __name__ == "__main__":
    main()
