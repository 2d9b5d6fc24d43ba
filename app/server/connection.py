"""A client's connection: when to read, whom to serve, when to close.

Hub callbacks drive it; only a request that is being served holds a greenlet, so an idle connection
costs a socket, a parser and a look at its deadline.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import struct
import time
from typing import Protocol

from greenlet import getcurrent, greenlet

from app.core.headers import request_id as request_id_of
from app.core.ids import new_id
from app.errors import BrokerError, ClientGone, Forbidden, RequestTimeout, Unavailable
from app.net.loop import READ, WRITE, Loop, Waiter
from app.net.tls import end_tls
from app.server.body import RequestBody
from app.server.exchange import Application, Environ, Exchange, refusal
from app.server.limits import Limits
from app.server.protocol import Head, RequestParser

LOG = logging.getLogger(__name__)

RECEIVE = 65536
NEVER = float("inf")
LINGER_TIME = 2.0
LINGER_BYTES = 1 << 20
"""Seconds and bytes for which a closed side is still read: closing over unread bytes resets the connection, and
the client may lose the answer (RFC 9112, 9.6)."""

DRAIN_TIME = 2.0
"""Seconds for the rest of a body that the application left unread."""

GONE = select.POLLERR | select.POLLHUP | select.POLLRDHUP

RESET = struct.pack("ii", 1, 0)
AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Server(Protocol):
    """What a connection needs of the server that accepted it."""

    loop: Loop
    limits: Limits
    application: Application
    serving: int
    draining: bool
    no_body: RequestBody
    waiting: set[Connection]
    guarded: bool

    def anonymous(self, head: Head, sock: socket.socket) -> bool: ...
    def overloaded(self, head: Head) -> bool: ...
    def environ(self, head: Head, body: RequestBody, peer: str) -> Environ: ...
    def refused(self, error: BrokerError, request_id: str, peer: str, head: Head | None) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection:
    """One accepted socket, from its first byte to its close."""

    __slots__ = ("_exchange", "_greenlet", "_linger", "_listener", "_parser", "_rest", "_server", "_used",
                 "_waiter", "closed", "deadline", "peer", "sock")  # fmt: skip

    def __init__(self, server: Server, sock: socket.socket, peer: str) -> None:
        self._server = server
        self.sock = sock
        self.peer = peer
        self.closed = False
        self.deadline = time.monotonic() + server.limits.header_timeout
        self._parser = RequestParser(server.limits)
        self._exchange: Exchange | None = None
        self._greenlet: greenlet | None = None
        self._waiter = Waiter(server.loop)
        self._listener: object | None = None
        self._rest = b""
        self._linger = -1
        self._used = False
        server.loop.timed.add(self)

    @property
    def idle(self) -> bool:
        """Between two requests: it may be closed without a loss."""
        return self._exchange is None and not self._parser.started and self._linger < 0

    # Receiving. From the hub.

    def readable(self, _: int = 0) -> None:
        """The socket may have bytes."""
        if self.closed:
            return
        try:
            data = self.sock.recv(RECEIVE)
        except ssl.SSLWantWriteError:
            self._await_space()
            return
        except AGAIN:
            self._listen()
            return
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                LOG.info("TLS with %s failed: %s", self.peer, error.reason)
            self._lost()
            return
        try:
            self._received(data) if data else self._ended()
        except Exception:  # the edge of a hub callback: the hub would stop listening, and leave the connection open
            LOG.exception("a connection failed")
            self.abort()

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
            body.fail(error)
            return
        pieces = parser.pieces.copy()
        parser.pieces.clear()
        self._rest = data
        if data:
            self._stop_listening()
        body.add(pieces, parser.complete)
        if body.full:
            self._stop_listening()

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

    def _discard(self, data: bytes) -> None:
        self._linger -= len(data)
        if self._linger <= 0:
            self.close()

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
        if server.overloaded(head):
            self._refuse(Unavailable("The broker serves as many requests as it can; send this one again later."))
            return
        self.deadline = NEVER
        if head.framed:
            body = RequestBody(server.loop, head.length, True, server.limits.body_timeout, self._demanded, self._listen)
        else:
            body = server.no_body
        environ = server.environ(head, body, self.peer)
        exchange = self._exchange = Exchange(self, head, body, environ, server.limits.drain)
        exchange.close = exchange.close or server.draining
        if not head.framed:
            self._rest = rest
            if rest:
                self._stop_listening()
        elif rest or parser.complete or head.length == 0:
            self._body(body, rest)
        server.loop.run(self._serve, exchange)
        if self._exchange is exchange:
            server.waiting.add(self)  # most answers are there before anybody would look
            if not (body.complete or self._rest or body.full):
                self._listen()

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

    def _gone(self) -> bool:
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return any(events & GONE for _, events in poll.poll(0))

    def _demanded(self) -> None:
        """The application waits for the body."""
        if self._exchange is not None:
            self._exchange.continue_()
        self._listen()

    def _serve(self, exchange: Exchange) -> None:
        server = self._server
        self._greenlet = getcurrent()
        server.serving += 1
        try:
            exchange.run(server.application)
        except ClientGone:
            exchange.close = True
            self._exchange = None
            self.abort() if exchange.started else self.close()  # a slow reader shall not take its part for the whole
            raise
        except Exception as error:  # the edge of a request: whatever it was, the next one is served
            self._failed(exchange, error)
        finally:
            server.serving -= 1
            self._greenlet = None
        if self._exchange is exchange:
            server.waiting.discard(self)
            self._finish(exchange)

    def _failed(self, exchange: Exchange, error: Exception) -> None:
        if exchange.started:  # cut, so that nobody takes what went out for the whole (RFC 9112, 8)
            if not isinstance(error, BrokerError):  # which the application has logged under the request's id
                LOG.warning("a response was cut: %s", error)
            self._exchange = None
            self.abort()
            return
        LOG.exception("the application failed")
        exchange.close = True
        answer = error if isinstance(error, BrokerError) else BrokerError("The broker failed; see its log.")
        self.write(refusal(answer, new_id(), head_only=exchange.head.method == "HEAD"))

    def _finish(self, exchange: Exchange) -> None:
        """In the request's greenlet: the response is out; go on with the connection, or close it."""
        server = self._server
        if not exchange.close and not exchange.body.complete:
            exchange.close = not exchange.body.drain(server.limits.drain, DRAIN_TIME)
        self._exchange = None
        if exchange.close or server.draining:
            unread = not exchange.body.complete or bool(self._rest)
            self._hang_up() if unread else self.close()
            return
        self._parser.reset()
        self.deadline = time.monotonic() + server.limits.idle_timeout
        if self._rest:
            server.loop.later(0, self._resume)
        else:
            self._listen()

    def _resume(self) -> None:
        if self.closed or self._exchange is not None:
            return
        rest, self._rest = self._rest, b""
        self._received(rest)

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

    # Sending.

    def write(self, data: bytes) -> None:
        """Send all of it; blocks the greenlet while the client takes none, at most `body_timeout` seconds.

        Raises `ClientGone`.
        """
        try:
            sent = self.sock.send(data)
        except AGAIN:
            sent = 0
        except OSError:
            raise ClientGone from None
        if sent < len(data):
            self._write_rest(data, sent)

    def _write_rest(self, data: bytes, sent: int) -> None:
        view = memoryview(data)
        while sent < len(data):
            try:
                sent += self.sock.send(view[sent:])  # TLS takes a record of 16 KiB at a time, though there is space
            except AGAIN:
                self._waiter.writable(self.sock.fileno(), self._server.limits.body_timeout, ClientGone())
            except OSError:
                raise ClientGone from None

    # The connection's life.

    def expire(self) -> None:
        """From the hub: the deadline has passed."""
        if self._exchange is None and self._linger < 0 and self._parser.started:
            self._refuse(RequestTimeout("Send the whole request head in time."))
        else:
            self.close()

    def _listen(self) -> None:
        if self._listener is None and not self.closed:
            self._listener = self._server.loop.listen(READ, self.sock.fileno(), self.readable)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._server.loop.forget(self._listener)
            self._listener = None

    def _hang_up(self) -> None:
        """Close our side, and read on a little."""
        self._linger = LINGER_BYTES
        self.deadline = time.monotonic() + LINGER_TIME
        end_tls(self.sock)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._listen()

    def abort(self) -> None:
        """Close by a reset: even a response that ends by closing is then seen to be cut."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError:
            LOG.debug("the connection was closed already")
        self.close(in_order=False)

    def close(self, *, in_order: bool = True) -> None:
        if self.closed:
            return
        self.closed = True
        self._stop_listening()
        if in_order:
            end_tls(self.sock)
        self._server.waiting.discard(self)
        self._server.loop.timed.discard(self)
        self.sock.close()
        self._server.lost(self)

    def shed(self) -> None:
        """Drain: close now if nothing would be lost, else after the response."""
        if self.idle:
            self.readable()  # a request that has come already is answered
        if self.idle and isinstance(self.sock, ssl.SSLSocket) and not self._used:  # it shakes hands, and its request
            self.deadline = min(self.deadline, time.monotonic() + LINGER_TIME)  # is on its way
        elif self.idle:
            self.close()
        elif self._exchange is not None:
            self._exchange.close = True
