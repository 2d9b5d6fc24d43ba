"""A client's connection: when to read, whom to serve, when to close.

Hub callbacks drive it; only a request that is being served holds a greenlet, so an idle connection
costs a socket, a parser and a look at its deadline.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from typing import Protocol

from greenlet import getcurrent, greenlet

from app.core.headers import request_id as request_id_of
from app.core.ids import new_id
from app.errors import BrokerError, ClientGone, Forbidden, RequestTimeout, Unavailable, out_of_memory
from app.net.loop import WRITE, Loop, end_without_memory
from app.net.tls import is_cut
from app.server.body import RequestBody
from app.server.crowd import Crowd, Place
from app.server.download import AGAIN
from app.server.exchange import Application, Environ, Exchange, refusal
from app.server.limits import Limits
from app.server.link import LINGER_TIME, Link
from app.server.pace import Pace
from app.server.protocol import Head, RequestParser

LOG = logging.getLogger(__name__)

RECEIVE = 65536
NEVER = float("inf")
DRAIN_TIME = 2.0
"""Seconds for the rest of a body that the application left unread."""

QUIET = 1.0
"""Seconds between two requests after which a client is in no hurry to send the next one."""


class Server(Protocol):
    """What a connection needs of the server that accepted it."""

    loop: Loop
    limits: Limits
    application: Application
    crowd: Crowd
    draining: bool
    no_body: RequestBody
    waiting: set[Connection]
    guarded: bool

    def anonymous(self, head: Head, sock: socket.socket) -> bool: ...
    def refusal(self, head: Head, *, uploading: bool) -> BrokerError | None: ...
    def environ(self, head: Head, body: RequestBody, peer: str) -> Environ: ...
    def refused(self, error: BrokerError, request_id: str, peer: str, head: Head | None) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(Link):
    """One accepted socket, from its first byte to its close."""

    __slots__ = ("_active", "_exchange", "_greenlet", "_parser", "_rest", "_server", "_used", "peer")

    def __init__(self, server: Server, sock: socket.socket, peer: str) -> None:
        super().__init__(server, sock)
        self._server = server
        self.peer = peer
        self._parser = RequestParser(server.limits)
        self._exchange: Exchange | None = None
        self._greenlet: greenlet | None = None
        self._rest = b""
        self._active = 0.0
        self._used = False

    @property
    def idle(self) -> bool:
        """Between two requests: it may be closed without a loss."""
        return self._exchange is None and not self._parser.started and self._linger < 0

    def bound(self, limits: Limits) -> None:
        """Other limits count from now on."""
        self._parser.limits = limits

    # Receiving. From the hub.

    def readable(self, _: int = 0) -> None:
        """The socket may have bytes; what came before them waits for the end of the request before it."""
        if self.closed:
            return
        try:
            data = self._next_bytes()
        except ssl.SSLWantWriteError:
            self._await_space()
            return
        except AGAIN:
            self._listen()
            return
        except MemoryError:
            self._starved()
            return
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not is_cut(error):
                LOG.info("TLS with %s failed: %s", self.peer, error.reason)
            self._lost()
            return
        try:
            self._received(data) if data else self._ended()
        except MemoryError:
            self._starved()
        except Exception:  # the edge of a hub callback: the hub would stop listening, and leave the connection open
            LOG.exception("a connection failed")
            self.abort()

    def _next_bytes(self) -> bytes:
        if self._exchange is None and self._rest:
            rest, self._rest = self._rest, b""
            return rest
        return self.sock.recv(RECEIVE)

    def _starved(self) -> None:
        """There is no memory for what comes: a request that waits for its body is answered so, else the connection is
        closed. What it holds is free again then; where no request is served, nothing will be."""
        exchange = self._exchange
        if exchange is None and not self._server.crowd.serving:
            end_without_memory()
        if exchange is None or not exchange.body.awaited:
            self._lost()
            return
        self._stop_listening()
        exchange.close = True
        exchange.body.fail(out_of_memory())

    def _await_space(self) -> None:
        """TLS has to send before it can read. While an answer is being written its writer waits for the socket, and
        `watch` comes back here: to ask again at once, since there is more to read, would take all of the CPU."""
        self._stop_listening()
        if self._exchange is None:
            self._listener = self._server.loop.listen(WRITE, self.sock.fileno(), self._writable)

    def _writable(self, _: int) -> None:
        self._stop_listening()
        self.readable()

    def _received(self, data: bytes) -> None:
        if self._linger >= 0:
            self._discard(data)
        elif self._exchange is None:
            self._head(data)
        elif not self._parser.complete:
            self._body(self._exchange.body, data)
        else:  # the next request, before the answer to this one: it waits (RFC 9112, 9.3.2)
            self._rest += data
            self._stop_listening()

    def _head(self, data: bytes) -> None:
        if not self._parser.started:
            self.deadline = time.monotonic() + self._server.limits.header_timeout
        try:
            rest = self._parser.feed(data)
            if self._parser.head is None:
                if self._place is self._server.crowd.idle and self._parser.started:
                    self._move(self._server.crowd.heads)
                self._listen()
                return
            self._dispatch(rest)
        except BrokerError as error:
            self._refuse(error)

    def _body(self, body: RequestBody, data: bytes) -> None:
        parser = self._parser
        try:
            while data and not parser.complete:
                data = parser.feed(data)
        except BrokerError as error:
            self._stop_listening()
            if self._exchange is not None:
                self._exchange.close = True  # where the next request would begin is not known
            body.fail(error)
            return
        pieces = parser.pieces.copy()
        parser.pieces.clear()
        self._rest = data
        if data:
            self._stop_listening()
        self._arrived(parser.complete)
        body.add(pieces, parser.complete)
        if body.full:
            self._stop_listening()

    def _arrived(self, complete: bool) -> None:
        """A piece of the body is here: the upload is the one that has moved last, or is one no longer."""
        if self._place is self._server.crowd.uploads:
            self._active = time.monotonic()
            self._move(None if complete else self._place)

    def _ended(self) -> None:
        """The client sends no more. Like other proxies we take it that it has left (rule 14)."""
        if self._exchange is None:
            self.close()
        else:
            self._lost()

    def _lost(self) -> None:
        exchange, serving = self._exchange, self._greenlet
        self._stop_listening()
        if exchange is None or serving is None:
            self.close()
            return
        exchange.close = True
        serving.throw(ClientGone())

    # Serving.

    def _dispatch(self, rest: bytes) -> None:
        """From the hub: hand a request over to a greenlet; returns when it blocks or ends."""
        parser, server = self._parser, self._server
        head = parser.head
        assert head is not None
        self._used = True
        if server.guarded and server.anonymous(head, self.sock):
            self._refuse(Forbidden("Present a client certificate of an authority in the broker's tls.client_ca_file."))
            return
        body = self._begin_body(head, rest)
        error = server.refusal(head, uploading=not body.complete)
        if error is not None:
            self._refuse(error)
            return
        self.deadline = NEVER
        self._active = time.monotonic()
        environ = server.environ(head, body, self.peer)
        exchange = self._exchange = Exchange(self, head, body, environ, server.limits.drain)
        self._move(self._place_served())
        exchange.close = exchange.close or server.draining or body.failed
        server.loop.run(self._serve, exchange)
        if self._serves(exchange):
            server.waiting.add(self)  # most answers are there before anybody would look
            if not (body.complete or self._rest or body.full):
                self._listen()

    def _serves(self, exchange: Exchange) -> bool:
        """Whether that one is not over: the compiler, as mypy, takes it that what was just set still is."""
        return self._exchange is exchange

    def _begin_body(self, head: Head, rest: bytes) -> RequestBody:
        """The body, with what has come of it; what follows it waits."""
        server, limits = self._server, self._server.limits
        if not head.framed:
            self._rest = rest
            if rest:
                self._stop_listening()
            return server.no_body
        pace = Pace(limits.body_rate, limits.body_grace)
        body = RequestBody(server.loop, head.length, True, limits.body_timeout, pace, self._demanded, self._listen)
        if rest or self._parser.complete or head.length == 0:
            self._body(body, rest)
        return body

    def watch(self) -> bool:
        """From the hub, when an answer takes its time: a client that leaves meanwhile is to be seen (rule 14).

        Whether to look again: a connection that is not read, since more of it is here than is wanted, tells of its
        end only when asked.
        """
        exchange = self._exchange
        if exchange is None or self.closed:
            return False
        if not self._rest and not exchange.body.full:
            self._listen()
        elif self._gone():
            self._lost()
            return False
        return True

    def _demanded(self) -> None:
        """The application waits for the body."""
        if self._exchange is not None:
            self._exchange.continue_()
        self._active = time.monotonic()
        self._listen()

    def _serve(self, exchange: Exchange) -> None:
        server, answered = self._server, False
        self._greenlet = getcurrent()
        server.crowd.serving += 1
        try:
            self._run(exchange)
            answered = True
            if not (exchange.close or exchange.body.complete):
                exchange.close = not exchange.body.drain(server.limits.drain, DRAIN_TIME)
        except ClientGone:
            exchange.close = True
            self._exchange = None
            cut = exchange.started and not answered
            self.abort() if cut else self.close()  # a slow reader shall not take its part for the whole
            raise
        finally:
            server.crowd.serving -= 1
            self._greenlet = self._download = None
        if self._exchange is exchange:
            server.waiting.discard(self)
            self._finish(exchange)

    def _run(self, exchange: Exchange) -> None:
        try:
            exchange.run(self._server.application)
        except Exception as error:  # the edge of a request: whatever it was, the next one is served
            self._failed(exchange, error)

    def _failed(self, exchange: Exchange, error: Exception) -> None:
        if exchange.started:  # cut, so that nobody takes what went out for the whole (RFC 9112, 8)
            if not isinstance(error, BrokerError):  # which the application has logged under the request's id
                LOG.warning("a response was cut: %s", error)
            self._exchange = None
            exchange.close = True
            self.abort()
            return
        LOG.exception("the application failed")
        exchange.close = True
        answer = error if isinstance(error, BrokerError) else BrokerError("The broker failed; see its log.")
        self.write(refusal(answer, new_id(), head_only=exchange.head.method == "HEAD"))

    def _finish(self, exchange: Exchange) -> None:
        """In the request's greenlet: the response is out; go on with the connection, or close it."""
        server = self._server
        self._exchange = None
        if exchange.close:
            unread = not exchange.body.complete or bool(self._rest)
            self._hang_up() if unread else self.close()
            return
        self._parser.reset()
        self._move(server.crowd.idle)
        self._active = time.monotonic()
        self.deadline = self._active + server.limits.idle_timeout
        if self._rest:
            server.loop.later(0, self.readable)
        else:
            self._listen()

    def _refuse(self, error: BrokerError) -> None:
        """From the hub: answer what never became a request, and close."""
        head = self._parser.head
        request_id = (request_id_of(head.headers) if head is not None else None) or new_id()
        self._server.refused(error, request_id, self.peer, head)
        self._stop_listening()
        try:
            self.sock.send(refusal(error, request_id, head_only=self._parser.is_head))
        except OSError:
            self.close()
            return
        self._hang_up()

    # The connection's life.

    def expire(self) -> None:
        """From the hub: the deadline has passed."""
        if self.idle:
            self.readable()  # a request that has come already is answered
            if self.deadline > time.monotonic():
                return
        if self._exchange is None and self._linger < 0 and self._parser.started:
            self._refuse(RequestTimeout("Send the whole request head in time."))
        else:
            self.close()

    def _place_served(self) -> Place | None:
        uploading = self._exchange is not None and not self._exchange.body.complete
        return self._server.crowd.uploads if uploading else None

    def _on_close(self) -> None:
        self._server.lost(self)

    def give_way(self) -> None:
        """From the hub: there are too many, and this one is missed least."""
        crowd, exchange = self._server.crowd, self._exchange
        if exchange is None:
            if self._place is crowd.heads:
                self._refuse(Unavailable("The broker has no connection to spare; send the request again, at once."))
                self._parser.reset()  # what it holds is what others lack
                return
            if self.idle:
                self.readable()  # a request that has come already is answered
            if self._exchange is None:
                self.close()
        elif self._place is crowd.downloads:
            self._waiter.throw(ClientGone())
        else:
            self._stop_listening()
            exchange.body.fail(RequestTimeout("Send the request's body without pauses: the broker is overloaded."))

    @property
    def held(self) -> int:
        """Bytes of a head that is not whole."""
        return self._parser.held

    def idle_for(self, now: float) -> float:
        """Of a transfer: seconds since the client moved a byte of it; 0 while we are not waiting for the client."""
        if self._download is not None and self._place is self._server.crowd.downloads:
            return self._download.idle_for(now)
        exchange = self._exchange
        return now - self._active if exchange is not None and exchange.body.awaited else 0.0

    def end_with_answer(self) -> None:
        """The answer that it is at is its last one, if its client can still be told: one that was not may have sent
        its next request before it sees the end, and that is answered too."""
        if self._exchange is not None and not self._exchange.started:
            self._exchange.close = True

    def shed(self) -> None:
        """Drain: an idle one is closed once nothing would be lost: not while its client may be about to send its next
        request, which is answered, or to read the last answer, which a reset would take from it."""
        self.readable()  # a request that has come already is answered
        if not self.idle:
            return
        now = time.monotonic()
        # one that has just come, or shakes hands, has its request on the way
        self.deadline = min(self.deadline, self._active + QUIET if self._used else now + LINGER_TIME)
        if self.deadline <= now:
            self.close()

    def cut(self) -> None:
        """From the hub: there is no more time. What is being served ends as when its client leaves."""
        if self._exchange is not None:
            self._lost()
        self.abort()
