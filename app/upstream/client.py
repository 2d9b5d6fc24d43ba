"""The HTTP/1.1 client: streams both ways with constant memory, pools, retries once where that is safe."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace
from socket import AF_UNIX
from typing import NamedTuple

from greenlet import getcurrent

from app.core.addresses import Address
from app.core.headers import well_formed
from app.core.message import Body, Headers
from app.core.origin import UNIX, Origin
from app.core.retry import Budget, may_send_again
from app.errors import UpstreamGarbled, UpstreamTimeout
from app.net.loop import Loop
from app.net.resolver import Resolver
from app.net.tls import Tls
from app.upstream.census import Census
from app.upstream.connecting import Connector
from app.upstream.connection import ConnectionLostError, EarlyAnswerError, UpstreamConnection
from app.upstream.pool import Pool


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect; until the response's head, connecting included and a streamed request's body not;
    between two pieces of a body, either way; for all of it, 0 for any time."""

    connect: float
    response: float
    idle: float
    total: float = 0.0


class Answer(NamedTuple):
    """A small response, read whole."""

    status: int
    reason: str
    headers: Headers
    body: bytes


class UpstreamResponse:
    """A response whose body may still arrive: iterate for its pieces; `close` at any time cancels the rest.

    `idle` is how many seconds the next piece may take.
    """

    __slots__ = (
        "_connection", "_origin", "_pool", "_total", "headers", "idle", "length", "reason", "status", "version",
        "whole",
    )  # fmt: skip

    def __init__(self, connection: UpstreamConnection, origin: Origin, pool: Pool, idle: float, *, spent: bool) -> None:
        """`spent`: the request was not sent whole, so that the connection is of no further use."""
        self._total: TotalLimit | None = None
        parser = connection.response
        self.status = parser.status
        self.version = parser.version
        self.reason = parser.reason.decode("latin-1")
        self.headers = parser.headers
        self.length = parser.length
        self._connection: UpstreamConnection | None = connection
        self._origin = origin
        self._pool = pool
        self.idle = idle
        if spent:
            parser.reusable = False
        self.whole = connection.take_all()
        if self.whole is not None:
            self._release()

    def __iter__(self) -> Iterator[bytes]:
        """Pieces as they arrive, first an empty one if none is there yet; raises `UpstreamTimeout` or `UpstreamGarbled`
        when the body is cut short."""
        if self.whole is not None:
            yield self.whole
        elif self._connection is not None and not self._connection.has_more():
            yield b""  # the head may go on: the body takes its time
        try:
            while self._connection is not None:
                piece = self._connection.piece(self.idle)
                if not piece:
                    self._release()
                    return
                yield piece
        except ConnectionLostError:
            raise UpstreamGarbled("The upstream closed within its answer.") from None
        finally:
            self.close()

    def close(self) -> None:
        """Cancel: whatever has not arrived never will."""
        if self._total is not None:
            self._total.end()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def within(self, total: TotalLimit | None) -> UpstreamResponse:
        """Ends a limit of the whole request's time with this response."""
        self._total = total
        if self._connection is None:
            self.close()
        return self

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.reusable:
            self._pool.put(self._origin, connection)
        else:
            connection.close()


class TotalLimit:
    """Ends a request that takes too long in all, whatever it waits for. Made in the request's greenlet."""

    __slots__ = ("_loop", "_throw", "deadline")

    def __init__(self, loop: Loop, seconds: float) -> None:
        self._loop = loop
        self._throw = getcurrent().throw
        self.deadline = time.monotonic() + seconds
        loop.timed.add(self)

    def expire(self) -> None:
        """From the hub."""
        self.end()
        self._throw(UpstreamTimeout("The request took longer in all than it may (upstream.total_timeout)."))

    def end(self) -> None:
        self._loop.timed.discard(self)


class Client:
    """For one worker. `tls` gives what new connections to https upstreams are made with, and may change;
    `retry_share` of the requests to each, from 0 to 1, may be sent again."""

    def __init__(
        self,
        loop: Loop,
        resolver: Resolver,
        pool: Pool,
        tls: Callable[[], Tls],
        *,
        replay_limit: int = 65536,
        retry_share: float = 0.2,
        retried: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._resolver = resolver
        self._connector = Connector(loop)
        self._census = Census(resolver.known)
        self._pool = pool
        self._tls = tls
        self._replay_limit = replay_limit
        self._retry_share = retry_share
        self._budgets: defaultdict[Origin, Budget] = defaultdict(lambda: Budget(self._retry_share))
        self._retried = retried
        self.tick = self._census.tick
        """From the loop's ticks: connections to addresses that a name has no more come to an end."""

    def adjust(self, replay_limit: int, retry_share: float) -> None:
        """For requests from now on; what was spent stays spent."""
        self._replay_limit = replay_limit
        self._retry_share = retry_share
        for budget in self._budgets.values():
            budget.share = retry_share

    def keep(self, origins: Set[Origin]) -> None:
        """What was spent at others is forgotten."""
        for origin in self._budgets.keys() - origins:
            del self._budgets[origin]

    def send(
        self, origin: Origin, method: str, target: bytes, headers: Headers, body: Body | bytes, timeouts: Timeouts
    ) -> UpstreamResponse:
        """Send a request and return once the response's head is there.

        `headers` holds Host and the framing of `body`. A `Body` of a known length up to `replay_limit` is read
        whole first, so that the request can be sent again. Raises `UpstreamRefused`, `UpstreamTimeout`,
        `UpstreamGarbled`, and what reading the body raises.
        """
        total = TotalLimit(self._loop, timeouts.total) if timeouts.total else None
        try:
            return self._send(origin, method, target, headers, body, timeouts).within(total)
        except BaseException:
            if total is not None:
                total.end()
            raise

    def _send(
        self, origin: Origin, method: str, target: bytes, headers: Headers, body: Body | bytes, timeouts: Timeouts
    ) -> UpstreamResponse:
        head = _serialise(method, target, headers)
        held = body if isinstance(body, bytes) else self.hold(body)
        budget = self._budgets[origin]
        budget.sent()
        connection = self._pool.take(origin, self._secured(origin))
        started = time.monotonic()
        try:
            return self._try(connection, origin, method, head, body if held is None else held, timeouts)
        except ConnectionLostError as lost:
            if not may_send_again(method, written=lost.written, held=held is not None) or not budget.spend():
                raise UpstreamGarbled("The upstream closed without an answer.") from None
        self._retried()
        left = max(timeouts.response - (time.monotonic() - started), 0.0)
        try:
            return self._try(None, origin, method, head, held or b"", replace(timeouts, response=left))
        except ConnectionLostError:
            raise UpstreamGarbled("The upstream closed without an answer, twice.") from None

    def fetch(
        self,
        origin: Origin,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        *,
        connect_timeout: float,
        response_timeout: float,
        limit: int = 1 << 20,
    ) -> Answer:
        """A small request and its whole answer, at most `limit` bytes, within `response_timeout` seconds.

        Adds Host and the body's length. Raises as `send` does.
        """
        framing = [(b"Host", origin.host_header)]
        if body or method not in ("GET", "HEAD"):
            framing.append((b"Content-Length", b"%d" % len(body)))
        deadline = time.monotonic() + response_timeout
        timeouts = Timeouts(connect_timeout, response_timeout, response_timeout)
        response = self.send(origin, method, target, framing + headers, body, timeouts)
        pieces, size = [], 0
        try:
            for piece in response:
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise UpstreamGarbled(f"The upstream's answer is longer than {limit} bytes.")
                response.idle = deadline - time.monotonic()
                if response.idle <= 0:
                    raise UpstreamTimeout("The upstream did not end its answer in time.")
        finally:
            response.close()
        return Answer(response.status, response.reason, response.headers, b"".join(pieces))

    def hold(self, body: Body) -> bytes | None:
        """A small body, whole; None for one that is streamed."""
        if body.length is None or body.length > self._replay_limit:
            return None
        pieces = []
        while piece := body.piece():
            pieces.append(piece)
        return b"".join(pieces)

    def _try(
        self,
        connection: UpstreamConnection | None,
        origin: Origin,
        method: str,
        head: bytes,
        body: Body | bytes,
        timeouts: Timeouts,
    ) -> UpstreamResponse:
        response_time = timeouts.response
        if connection is None:
            started = time.monotonic()
            connection = self._connect(origin, min(timeouts.connect, timeouts.response))
            response_time -= time.monotonic() - started
        try:
            connection.begin(method)
            whole = _send(connection, head, body, timeouts.idle)
            connection.wait_head(response_time)
            return UpstreamResponse(connection, origin, self._pool, timeouts.idle, spent=not whole)
        except BaseException:  # whoever ends this request, its client included, ends the upstream's part (rule 14)
            connection.close()
            raise

    def _connect(self, origin: Origin, seconds: float) -> UpstreamConnection:
        """To one of the name's addresses."""
        if origin.scheme == UNIX:
            return self._connector.open([Address(AF_UNIX, origin.host)], seconds)
        tls = self._secured(origin)
        deadline = time.monotonic() + seconds
        addresses = self._resolver.resolve(origin.host, origin.port, seconds)
        connection = self._connector.open(addresses, deadline - time.monotonic(), tls, origin.host)
        self._census.add(origin, connection)
        return connection

    def _secured(self, origin: Origin) -> Tls | None:
        return self._tls() if origin.scheme == "https" else None


def _send(connection: UpstreamConnection, head: bytes, body: Body | bytes, seconds: float) -> bool:
    """Send a request; whether it was sent whole: an answer may come before."""
    try:
        if isinstance(body, bytes):
            connection.send(head + body if body else head, seconds)
            return True
        connection.send(head, seconds)
    except EarlyAnswerError:
        return False
    return _stream(connection, body, seconds)


def _stream(connection: UpstreamConnection, body: Body, seconds: float) -> bool:
    """Send a body piece by piece; whether it was sent whole: an answer may come before."""
    chunked = body.length is None
    connection.sending(getcurrent().throw)
    try:
        while piece := body.piece():
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece, seconds)
            if connection.unwanted:
                return False
        if chunked:
            connection.send(b"0\r\n\r\n", seconds)
    except EarlyAnswerError:
        return False
    except BaseException:
        connection.abort()
        raise
    finally:
        connection.sending(None)
    return True


def _serialise(method: str, target: bytes, headers: Headers) -> bytes:
    """The request's head; raises `ValueError` for a header that would not stay one line."""
    parts = [method.encode(), b" ", target, b" HTTP/1.1\r\n"]
    for name, value in headers:
        parts.append(name)
        parts.append(b": ")
        parts.append(value)
        parts.append(b"\r\n")
    parts.append(b"\r\n")
    head = b"".join(parts)
    if not well_formed(head, len(headers) + 2):
        raise ValueError("a header to send holds a control byte")
    return head
