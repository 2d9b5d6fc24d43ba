"""A plugin that can be told to go wrong: `python -m tests.faults.plugin LOG HOST NAME:PORT...`; port 0 is any
free one.

It answers `NAME ID BODY`: its own name, the request's id and the request's body, so that an answer that went to
another client would be seen; a capacity check that there is room. `NAME/ID` of each POST is appended to the file LOG
before anything else is done with it: one that comes twice is seen even if this process is killed. On standard input it takes one mode a line, for the requests
that come from then on, and says `done` on standard output once it counts.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import sys
from collections.abc import Callable

ID = re.compile(rb"\r\nX-ONAP-RequestID: ([^\r]*)\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
GARBAGE = b"\x16\x03\x01 this is no HTTP\r\n\r\n" * 3
BACKLOG = 512
CHECK, ROOM = b"/capacity_check ", b'{"result": true}'

DRIPS = 100
"""Pieces of an answer that comes slowly: of a GET's they are single bytes."""


class Connection(asyncio.Protocol):
    """One connection of the broker's; one request after the other."""

    def __init__(self, plugin: Plugin) -> None:
        self.answered = False
        self._plugin = plugin
        self._buffer = b""
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._plugin.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._plugin.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        size = int(length[1]) if length else 0
        if not end or len(rest) < size:
            return
        self._buffer = rest[size:]
        found = ID.search(head + b"\r\n")
        self._plugin.asked(self, head, found[1] if found else b"-", rest[:size])

    def close_when_idle(self, seconds: float) -> None:
        self._idle = asyncio.get_running_loop().call_later(seconds, self.transport.close)


class Plugin:
    """One listening socket under a name; `mode` is a name and, for some, a number of seconds."""

    def __init__(self, name: str, host: str, port: int, log: int) -> None:
        self.name = name.encode()
        self.host, self.port = host, port
        self.connections: set[Connection] = set()
        self.mode, self.seconds = "ok", 0.0
        self._log = log
        self._server: asyncio.Server | None = None
        self._full: list[socket.socket] = []
        self._slow: set[asyncio.Task[None]] = set()
        self._met = 0

    async def open(self) -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), self.host, self.port, backlog=BACKLOG
        )
        self._server = server
        self.port = server.sockets[0].getsockname()[1]

    async def turn(self, mode: str, seconds: float) -> None:
        """Go wrong in another way, or in none."""
        self.mode, self.seconds = mode, seconds
        for sock in self._full:
            sock.close()
        self._full = []
        if mode in ("refuse", "full"):
            self._shut()
            if mode == "full":
                self._fill()
        elif self._server is None:
            await self.open()

    def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.transport.abort()

    def _fill(self) -> None:
        """Nobody accepts, and there is no room to wait: Linux drops each further SYN."""
        listener = socket.create_server((self.host, self.port), backlog=0)
        self._full.append(listener)
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((self.host, self.port))
            self._full.append(sock)

    def asked(self, connection: Connection, head: bytes, id_: bytes, body: bytes) -> None:
        if head.startswith(b"POST "):
            os.write(self._log, b"%b/%b\n" % (self.name, id_))
        content = ROOM if CHECK in head.partition(b"\r\n")[0] else b"%b %b %b" % (self.name, id_, body)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
        ANSWERS[self.mode](self, connection, answer)

    # How a request is answered in each mode.

    def _ok(self, connection: Connection, answer: bytes) -> None:
        connection.transport.write(answer)

    def _hang(self, connection: Connection, answer: bytes) -> None:
        """Never."""

    def _hang_body(self, connection: Connection, answer: bytes) -> None:
        connection.transport.write(answer[:-5])

    def _garbage(self, connection: Connection, answer: bytes) -> None:
        connection.transport.write(GARBAGE)

    def _close(self, connection: Connection, answer: bytes) -> None:
        """Each connection is closed after an idle time of at most `seconds`; as if that ended at the same moment, each
        eighth request on one that was idle finds it closed."""
        if connection.answered:
            self._met += 1
            if self._met % 8 == 0:
                connection.transport.close()
                return
        connection.answered = True
        connection.transport.write(answer)
        connection.close_when_idle(random.uniform(0, self.seconds))

    def _slowly(self, connection: Connection, answer: bytes) -> None:
        task = asyncio.ensure_future(self._drip(connection, answer))
        self._slow.add(task)
        task.add_done_callback(self._slow.discard)

    async def _drip(self, connection: Connection, answer: bytes) -> None:
        """All of it within `seconds`, in `DRIPS` pieces."""
        size = len(answer) // DRIPS + 1
        for start in range(0, len(answer), size):
            connection.transport.write(answer[start : start + size])
            await asyncio.sleep(self.seconds / DRIPS)

    def _late(self, connection: Connection, answer: bytes) -> None:
        """After `seconds`."""
        asyncio.get_running_loop().call_later(self.seconds, connection.transport.write, answer)


ANSWERS: dict[str, Callable[[Plugin, Connection, bytes], None]] = {
    "ok": Plugin._ok,
    "hang": Plugin._hang,
    "hang-body": Plugin._hang_body,
    "garbage": Plugin._garbage,
    "close": Plugin._close,
    "late": Plugin._late,
    "slow": Plugin._slowly,
    "refuse": Plugin._hang,
    "full": Plugin._hang,
}


async def main(log: str, host: str, *names: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    plugins = [Plugin(name, host, int(port), file) for name, _, port in (one.partition(":") for one in names)]
    for plugin in plugins:
        await plugin.open()
    print(f"listens on {host} ports", *(plugin.port for plugin in plugins), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        mode, _, seconds = line.decode().strip().partition(" ")
        for plugin in plugins:
            await plugin.turn(mode, float(seconds or 0))
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
