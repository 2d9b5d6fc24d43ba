"""A recording plugin: keeps the exact bytes that the broker sends, and answers the exact bytes that a test tells it.

In threads of the test's own process, so that a test waits for its events, and a moment that it notes is on the
test's own clock. It reads as strictly as RFC 9112 allows: whatever the broker sends that is no valid HTTP is a
violation, and fails the test that it happened in.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property

TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
VALUE = rb"(?:[!-~\x80-\xff](?:[\t\x20-~\x80-\xff]*[!-~\x80-\xff])?)?"
HEAD = re.compile(
    rb"([A-Z-]+) (/[!\"$-~]*) HTTP/1\.1\r\n((?:%b: %b\r\n)*)\r\n" % (TOKEN, VALUE)
)  # fmt: skip
FIELD = re.compile(rb"(%b): (%b)\r\n" % (TOKEN, VALUE))
CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
RESET = struct.pack("ii", 1, 0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Asked:
    """A request as it came: `head` and `wire`, its body with the framing, are exact bytes; `body` is without framing.

    `complete` once all of it has come; `ended` once its connection has, at `ended_at` of `time.monotonic`.
    """

    def __init__(self, connection: int, head: bytes) -> None:
        self.connection = connection
        self.head = head
        self.wire = bytearray()
        self.body = bytearray()
        self.complete = False
        self.ended = threading.Event()
        self.ended_at = 0.0

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @cached_property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return FIELD.findall(self.head.partition(b"\r\n")[2])

    @property
    def names(self) -> set[bytes]:
        """In lower case."""
        return {name.lower() for name, _ in self.headers}

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class CutError(Exception):
    """The broker closed before the end of its request."""


class Wire(threading.Thread):
    """One connection of the broker's."""

    def __init__(self, plugin: Plugin, sock: socket.socket, number: int) -> None:
        super().__init__(daemon=True)
        self.sock = sock
        self.number = number
        self.stray = b""
        self._plugin = plugin
        self._buffer = b""
        self._asked: Asked | None = None

    def run(self) -> None:
        try:
            while (head := self._head()) is not None:
                asked = self._asked = Asked(self.number, head)
                self._plugin.took(asked)(self, asked)
                self.read_body()
        except (OSError, CutError):
            pass  # the broker closed, or the test did: what the test is about
        finally:
            self._end()

    def _end(self) -> None:
        moment = time.monotonic()
        for asked in self._plugin.asked:
            if asked.connection == self.number and not asked.ended.is_set():
                asked.ended_at = moment
                asked.ended.set()
        with suppress(OSError):
            self.sock.close()

    # Reading.

    def _head(self) -> bytes | None:
        while b"\r\n\r\n" not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def read_body(self) -> bytes:
        """The rest of the request's body; raises `CutError` if the broker closes before its end."""
        asked = self._asked
        assert asked is not None
        if not asked.complete:
            for piece in self._pieces(asked):
                asked.body += piece
            asked.complete = True
        return bytes(asked.body)

    def _pieces(self, asked: Asked) -> Iterator[bytes]:
        if not asked.values(b"Transfer-Encoding"):
            yield from self._exactly(asked, int((asked.values(b"Content-Length") or [b"0"])[0]))
            return
        while size := int(self._chunk_size(asked), 16):
            yield from self._exactly(asked, size)
            self._crlf(asked)
        self._crlf(asked)

    def _chunk_size(self, asked: Asked) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        size = CHUNK.match(self._buffer)
        if size is None:
            self._plugin.violations.append(self._buffer[:100])
            raise CutError
        asked.wire += size[0]
        self._buffer = self._buffer[size.end() :]
        return size[1]

    def _crlf(self, asked: Asked) -> None:
        for piece in self._exactly(asked, 2):
            if piece not in (b"\r\n", b"\r", b"\n"):
                self._plugin.violations.append(piece)

    def _exactly(self, asked: Asked, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer:
                self._more()
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            asked.wire += piece
            yield piece

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise CutError
        self._buffer += data

    # Answering.

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        """In order: after what was sent."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        raise CutError

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()
        raise CutError

    def wait_for_end(self) -> None:
        """Until the broker closes."""
        while data := self.sock.recv(65536):
            self.stray += data
        raise CutError


Step = Callable[[Wire, Asked], object]


class Plugin:
    """The n-th request since `reset` is answered by the n-th step, those beyond by `OK`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[Asked] = []
        self.violations: list[bytes] = []
        self.wires: list[Wire] = []
        self._steps: list[Step] = []
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while select.select([self._listener], [], [])[0]:
            with self._lock:
                try:
                    sock, _ = self._listener.accept()
                except BlockingIOError:  # `reset` was faster
                    continue
                except OSError:
                    return
                sock.setblocking(True)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.wires.append(Wire(self, sock, len(self.wires)))
                self.wires[-1].start()

    def took(self, asked: Asked) -> Step:
        """From a connection: the head of a request is there; how it is to be answered."""
        if not valid(asked):
            self.violations.append(asked.head)
        with self._more:
            self.asked.append(asked)
            self._more.notify_all()
            return self._steps.pop(0) if self._steps else says(OK)

    def answers(self, *steps: bytes | Step) -> None:
        """How the next requests are answered: bytes are sent once the request is whole."""
        self._steps = [says(step) if isinstance(step, bytes) else step for step in steps]

    @property
    def only(self) -> Asked:
        """The one request that came."""
        assert len(self.asked) == 1, [asked.head for asked in self.asked]
        return self.asked[0]

    def wait(self, count: int = 1, seconds: float = 10) -> Asked:
        """The n-th request, once its head has come."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.asked) >= count, seconds), "the request did not come"
            return self.asked[count - 1]

    def reset(self) -> None:
        """End every connection, those that wait to be accepted too, and forget what came."""
        with self._lock:
            with suppress(OSError):
                while True:
                    self._listener.accept()[0].close()
            wires, self.wires = self.wires, []
        for wire in wires:
            with suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        for wire in wires:
            wire.join(10)
        self.asked, self.violations, self._steps = [], [], []

    def close(self) -> None:
        self.reset()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(10)
        self._listener.close()


def valid(asked: Asked) -> bool:
    """Whether a head is one that RFC 9112 lets be sent: one Host, at most one framing, nothing of the last hop's."""
    lengths, codings = asked.values(b"Content-Length"), asked.values(b"Transfer-Encoding")
    return (
        HEAD.fullmatch(asked.head) is not None
        and len(asked.values(b"Host")) == 1
        and len(lengths) + len(codings) <= 1
        and all(length.isdigit() for length in lengths)
        and all(coding == b"chunked" for coding in codings)
        and not asked.names & {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"proxy-connection"}
    )


def says(raw: bytes) -> Step:
    """Bytes, once the request is whole; then the connection stays."""

    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        wire.send(raw)

    return step


def says_and_closes(raw: bytes = b"") -> Step:
    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        wire.send(raw)
        wire.close()

    return step


def says_and_resets(raw: bytes = b"", taken: threading.Event | None = None) -> Step:
    """`taken`: set once the client has what was sent; a reset may overtake it."""

    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        wire.send(raw)
        assert taken is None or taken.wait(10)
        wire.reset()

    return step


def says_and_waits(raw: bytes = b"") -> Step:
    """Says no more until the broker closes."""

    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        wire.send(raw)
        wire.wait_for_end()

    return step


def byte_by_byte(raw: bytes) -> Step:
    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        for number in range(len(raw)):
            wire.send(raw[number : number + 1])

    return step
