"""A request's body, as the application reads it while it arrives."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.errors import BrokerError, RequestTimeout
from app.net.loop import Loop, Waiter
from app.server.pace import Pace

HIGH_WATER = 65536
"""Bytes held for an application that does not read; above it the connection is not read either."""


class RequestBody:
    """Pieces as they arrive; `length` in bytes, None for a chunked one, 0 for none; `wsgi.input` of the environ.

    A client may pause for `timeout` seconds, and all in all as `pace` has it. `on_demand` is called before the first
    wait (to send 100 Continue), `on_space` when more may be received.
    """

    __slots__ = ("_error", "_held", "_on_demand", "_on_space", "_pace", "_pieces", "_timeout", "_waiter",
                 "complete", "length", "present", "received")  # fmt: skip

    def __init__(
        self,
        loop: Loop,
        length: int | None,
        present: bool,
        timeout: float,
        pace: Pace,
        on_demand: Callable[[], None],
        on_space: Callable[[], None],
    ) -> None:
        self.length = length
        self.present = present
        self.complete = False
        self.received = 0
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._error: BaseException | None = None
        self._timeout = timeout
        self._pace = pace
        self._waiter = Waiter(loop)
        self._on_demand = on_demand
        self._on_space = on_space

    @property
    def failed(self) -> bool:
        """Whether no more will come though it is not whole: where another request would begin is not known."""
        return self._error is not None

    @property
    def awaited(self) -> bool:
        """Whether the application waits for more of it."""
        return self._waiter.waiting

    @property
    def full(self) -> bool:
        return self._held >= HIGH_WATER

    def add(self, pieces: list[bytes], complete: bool) -> None:
        """From the hub: what has arrived."""
        for piece in pieces:
            self._pieces.append(piece)
            self._held += len(piece)
            self.received += len(piece)
        self.complete = complete
        if pieces or complete:
            self._waiter.wake()

    def fail(self, error: BaseException) -> None:
        """From the hub: no more will come; the error is raised once what has arrived is read."""
        self._error = error
        self._waiter.wake()

    def piece(self, size: int = HIGH_WATER) -> bytes:
        """The next bytes, at most `size`, as soon as there are any; `b""` at the end, and only there.

        Raises `RequestTimeout`, or what has befallen the connection: a body cut short never ends like a whole one.
        """
        while not self._pieces:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            self._on_demand()
            self._await_more()
        piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        was_full = self.full
        self._held -= len(piece)
        if was_full and not self.full:
            self._on_space()
        return piece

    def _await_more(self) -> None:
        left = self._pace.left(self.received)
        if left < self._timeout:
            late = RequestTimeout("Send the request's body faster: it came too slowly (server.body_rate).")
        else:
            late = RequestTimeout("Send the request's body without long pauses (server.body_timeout).")
        started = time.monotonic()
        try:
            self._waiter.wait(min(self._timeout, max(left, 0.0)), late)
        finally:
            self._pace.waited += time.monotonic() - started

    def read(self, size: int = -1) -> bytes:
        """As PEP 3333 has it: `size` bytes, fewer only at the end of the body; all of it without a size."""
        pieces = []
        while size:
            piece = self.piece(size if size > 0 else HIGH_WATER)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece) if size > 0 else 0
        return b"".join(pieces)

    def readline(self, size: int = -1) -> bytes:
        """One line, for applications that read a body by lines; a byte at a time, so not for large ones."""
        line = bytearray()
        while size < 0 or len(line) < size:
            byte = self.piece(1)
            line += byte
            if byte in (b"", b"\n"):
                break
        return bytes(line)

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002  the hint may be ignored (PEP 3333)
        return list(self)

    def __iter__(self) -> RequestBody:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def drain(self, limit: int, seconds: float) -> bool:
        """Read and drop what is left, at most `limit` bytes and about so many seconds; whether the end was reached."""
        if self.length is not None and self.length - self.received > limit:
            return False
        deadline = time.monotonic() + seconds
        try:
            while limit > 0 and time.monotonic() < deadline:
                self._timeout = min(self._timeout, deadline - time.monotonic())
                piece = self.piece()
                if not piece:
                    break
                limit -= len(piece)
        except BrokerError:
            return False
        return self.complete and not self._pieces


def no_body(loop: Loop) -> RequestBody:
    """Of all requests without one."""
    body = RequestBody(loop, 0, False, 0.0, Pace(0, 0.0), lambda: None, lambda: None)
    body.complete = True
    return body
