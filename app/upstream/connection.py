"""A connection to an upstream: bytes out, a response in, one request at a time."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable

from app.core.addresses import Address
from app.errors import BrokerError, UpstreamGarbled, UpstreamRefused, UpstreamTimeout, out_of_memory
from app.net.loop import READ, Loop, Waiter
from app.net.tls import Tls, end_tls
from app.upstream.handshake import unwelcome
from app.upstream.protocol import ResponseParser

RECEIVE = 65536
HIGH_WATER = 65536
"""Bytes held for a client that reads slowly; above it the upstream is not read either."""

RESET = struct.pack("ii", 1, 0)
AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class ConnectionLostError(Exception):
    """The upstream closed before the first byte of its answer; `written`: whether it may have seen the request."""

    def __init__(self, *, written: bool) -> None:
        super().__init__()
        self.written = written


class EarlyAnswerError(Exception):
    """The answer is there while the request's body is still being sent."""


class UpstreamConnection:
    """Listens for as long as it lives: an answer needs no arming, and a close in the pool is seen at once."""

    __slots__ = ("_ending", "_error", "_held", "_listener", "_loop", "_parser", "_pieces", "_poll",
                 "_sender", "_waiter", "_written", "address", "closed", "deadline", "on_close", "on_idle_end",
                 "sock", "tls")  # fmt: skip

    def __init__(self, loop: Loop, sock: socket.socket, tls: Tls | None = None, address: Address | None = None) -> None:
        self._loop = loop
        self.sock = sock
        self.tls = tls
        self.address = address
        self.closed = False
        self._ending = False
        self.deadline = 0.0
        self.on_idle_end: Callable[[UpstreamConnection], None] | None = None
        self.on_close: Callable[[UpstreamConnection], None] | None = None
        self._parser = ResponseParser()
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._error: BrokerError | ConnectionLostError | None = None
        self._sender: Callable[[BaseException], object] | None = None
        self._waiter = Waiter(loop)
        self._written = False
        self._listener: object | None = None
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._listen()

    # Sending.

    def begin(self, method: str) -> None:
        """Make ready for one request."""
        self._parser.begin(method)
        self._written = False

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of it; while the upstream takes none, wait at most `seconds`.

        Raises `ConnectionLostError`, `UpstreamTimeout`, or `EarlyAnswerError` within `sending`.
        """
        sent = 0
        view = memoryview(data)
        while sent < len(data):
            try:
                sent += self.sock.send(view[sent:] if sent else data)
                self._written = True
            except AGAIN:
                late = UpstreamTimeout("The upstream took no more of the request in time.")
                self._waiter.writable(self.sock.fileno(), seconds, late)
            except OSError:
                self._read_what_came()
                if self.answered:
                    raise EarlyAnswerError from None
                self._raise_if_lost()
                raise ConnectionLostError(written=self._written) from None

    def _read_what_came(self) -> None:
        """Sending failed: the answer that says why may be here already (RFC 9112, 9.5)."""
        self._sender = None
        while self._error is None and not self._parser.complete:
            try:
                data = self.sock.recv(RECEIVE)
            except AGAIN:
                return
            except OSError as error:
                self._ended(error)
            else:
                self._received(data) if data else self._ended()

    def sending(self, throw: Callable[[BaseException], object] | None) -> None:
        """While set, an answer that comes early is thrown into the greenlet that sends a body."""
        self._sender = throw

    # Receiving.

    @property
    def answered(self) -> bool:
        """Whether the answer's head is there."""
        return self._parser.head_complete

    @property
    def unwanted(self) -> bool:
        """Whether the rest of the request's body is of no use: it was refused, or nobody is there to read it. An
        early success may well be of an upstream that goes on reading."""
        return self._error is not None or (
            self._parser.head_complete and (self._parser.status >= 300 or not self._parser.reusable)
        )

    def has_more(self) -> bool:
        """Whether `piece` returns or raises at once."""
        return bool(self._pieces) or self._parser.complete or self._error is not None

    @property
    def response(self) -> ResponseParser:
        """The status, reason and headers of the answer, once `wait_head` is back."""
        return self._parser

    @property
    def complete(self) -> bool:
        """Whether the whole answer has arrived and has been taken."""
        return self._parser.complete and not self._pieces

    @property
    def reusable(self) -> bool:
        return self._parser.complete and self._parser.reusable and not self._ending

    def wait_head(self, seconds: float) -> None:
        """Wait for the answer's whole head, so many seconds in all, whatever comes of it or before it (1xx); raises
        `UpstreamTimeout`, `UpstreamGarbled` or `ConnectionLostError`."""
        deadline = 0.0
        while not self._parser.head_complete:
            self._raise_if_lost()
            now = time.monotonic()
            deadline = deadline or now + seconds
            self._waiter.wait(deadline - now, UpstreamTimeout("The upstream did not begin its answer in time."))
        self._raise_if_lost()  # what came with the head may show already that the answer is of no use

    def take_all(self) -> bytes | None:
        """The whole body if it has arrived, else None."""
        if not self._parser.complete:
            return None
        body = b"".join(self._pieces) if len(self._pieces) != 1 else self._pieces[0]
        self._pieces.clear()
        self._held = 0
        return body

    def piece(self, seconds: float) -> bytes:
        """The next bytes of the body as soon as there are any, `b""` at its end; what is cut short raises."""
        while not self._pieces:
            self._raise_if_lost()  # first: an answer may end and be garbled in the same bytes
            if self._parser.complete:
                return b""
            self._listen()
            self._waiter.wait(seconds, UpstreamTimeout("The upstream paused too long within its answer."))
        piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._held < HIGH_WATER:
            self._listen()
        return piece

    def _raise_if_lost(self) -> None:
        if self._error is not None:
            raise self._error

    # From the hub.

    def _readable(self, _: int) -> None:
        data, cut = b"", None
        try:
            data = self.sock.recv(RECEIVE)
        except AGAIN:
            return
        except OSError as error:
            cut = error
        except MemoryError:
            self._fail(out_of_memory())
        if self.on_idle_end is not None:  # in the pool: a close, or bytes that nobody asked for
            self.on_idle_end(self)
        elif data:
            self._received(data)
        elif self._error is None:
            self._ended(cut)

    def _received(self, data: bytes) -> None:
        parser = self._parser
        try:
            parser.feed(data)
        except UpstreamGarbled as error:
            self._fail(error)
            return
        except MemoryError:
            self._fail(out_of_memory())
            return
        if parser.pieces:
            for piece in parser.pieces:
                self._pieces.append(piece)
                self._held += len(piece)
            parser.pieces.clear()
            if self._held >= HIGH_WATER:
                self._stop_listening()
        if parser.head_complete:
            self._advance()

    def _ended(self, cut: OSError | None = None) -> None:
        """A body that ends with the connection is whole only if that was closed in order (RFC 9112, 8), not cut."""
        self._stop_listening()
        if self._parser.complete or (cut is None and self._parser.end()):
            self._parser.reusable = False
            self._advance()
        elif self._parser.started:
            self._fail(UpstreamGarbled("The upstream closed within its answer."))
        elif cut is not None and self.tls is not None and (message := unwelcome(cut, self.tls)) is not None:
            self._fail(UpstreamRefused(message))
        else:
            self._fail(ConnectionLostError(written=self._written))

    def _fail(self, error: BrokerError | ConnectionLostError) -> None:
        self._stop_listening()
        self._error = error
        self._advance()

    def _advance(self) -> None:
        if self._sender is None:
            self._waiter.wake()
        elif self.unwanted:
            self._sender(EarlyAnswerError())

    # The connection's life.

    def park(self, deadline: float, ended: Callable[[UpstreamConnection], None]) -> None:
        """Into the pool: `ended` is called when the upstream closes it, or at the deadline."""
        self.deadline = deadline
        self.on_idle_end = ended
        self._loop.timed.add(self)
        self._listen()

    def unpark(self) -> None:
        """Out of the pool."""
        self.on_idle_end = None
        self._loop.timed.discard(self)

    def _listen(self) -> None:
        if self._listener is None and not self.closed and self._error is None:
            self._listener = self._loop.listen(READ, self.sock.fileno(), self._readable)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.forget(self._listener)
            self._listener = None

    def stale(self) -> bool:
        """Whether a connection from the pool was closed, or has bytes that nobody asked for (rule 16)."""
        if self.closed:
            return True
        if not self._poll.poll(0):
            return False
        if self.tls is None:
            return True
        try:
            self.sock.recv(1)
        except AGAIN:  # TLS's own: a session ticket
            return False
        except OSError:
            return True
        return True

    def expire(self) -> None:
        """From the hub: idle in the pool for too long."""
        if self.on_idle_end is not None:
            self.on_idle_end(self)

    def retire(self) -> None:
        """From the hub: serve no further request; one that is under way is answered."""
        self._ending = True
        if self.on_idle_end is not None:
            self.on_idle_end(self)

    def abort(self) -> None:
        """Close by a reset, within a request: an end in order would wait behind all that the upstream does not take."""
        if not self.closed:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close()

    def close(self) -> None:
        if self.closed:
            return
        in_order = self._parser.complete and self._parser.reusable
        self.closed = self._ending = True
        if self.on_close is not None:
            self.on_close(self)
        self._stop_listening()
        if in_order:  # what is cut is not to look like an end
            end_tls(self.sock)
        self.sock.close()
