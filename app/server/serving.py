"""The HTTP server of one worker: accepts, serves a WSGI application, drains."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable

from app.errors import BrokerError
from app.net.loop import Loop
from app.server import files
from app.server.accepting import Acceptor
from app.server.body import RequestBody, no_body
from app.server.connection import Connection
from app.server.crowd import Crowd
from app.server.exchange import Application, Environ
from app.server.limits import Limits
from app.server.listening import hear
from app.server.protocol import Head
from app.server.slots import Slots

LOG = logging.getLogger(__name__)

HEAD = "multicloud.head"
"""The environ's key of the request's `Head`: raw target and headers, which CGI variables cannot hold."""


Refused = Callable[[BrokerError, str, str, Head | None], None]
"""Is told of each request that never reached the application: the error, a request id, the peer's address, and the
request's head if that was valid."""


class Server:
    """Serves `application` on connections of `listener`; all of it in `loop`'s thread."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        slots: Slots,
        slot: int,
        application: Application,
        *,
        limits: Limits,
        tls: Callable[[], ssl.SSLContext] | None = None,
        exempt: frozenset[bytes] = frozenset(),
        unguarded: frozenset[bytes] | None = None,
        refused: Refused | None = None,
    ) -> None:
        """`tls` gives the context of each new connection. `unguarded` are the paths that are served without a client
        certificate too; None: all."""
        self.loop = loop
        self.limits = limits
        self.application = application
        self.crowd = Crowd(limits, files.connections(limits.connections))
        self.no_body = no_body(loop)
        self.waiting: set[Connection] = set()
        self.draining = False
        self._tls = tls
        self.guarded = unguarded is not None
        self._unguarded = unguarded or frozenset()
        self._exempt = exempt
        self._refused = refused
        self._connections: set[Connection] = set()
        self._acceptor = Acceptor(loop, listener, slots, slot, self._accepted, self.crowd.free_one)
        self._base = _base_environ(listener, tls is not None)

    def open(self) -> None:
        self._acceptor.open()
        self.loop.every_tick += [self._watch, self.crowd.relieve]

    def replace(
        self,
        application: Application,
        limits: Limits,
        *,
        exempt: frozenset[bytes],
        unguarded: frozenset[bytes] | None,
        refused: Refused,
    ) -> None:
        """A reload: what is begun from now on is served by these. What is being served ends as it began."""
        self.application = application
        self.limits = limits
        self.crowd.bound(limits, files.connections(limits.connections))
        self.guarded = unguarded is not None
        self._unguarded = unguarded or frozenset()
        self._exempt = exempt
        self._refused = refused
        for connection in self._connections:
            connection.bound(limits)
        self.loop.later(0, self.crowd.shrink)

    def announce(self) -> None:
        """From here on each answer is its connection's last one, and says so."""
        self.draining = True
        for connection in self._connections:
            connection.end_with_answer()

    def drain(self, *, last: bool) -> None:
        """After `announce`: accept no more, and close what is idle. `last`: nobody else accepts either, so what waits
        to be accepted is."""
        self._acceptor.close(last=last)
        for connection in self._connections if last else ():  # accepted since another worker had come as far
            hear(connection.sock)
        self.loop.every_tick.append(self._shed_idle)
        self._shed_idle()

    def _shed_idle(self, _: float = 0.0) -> None:
        for connection in [connection for connection in self._connections if connection.idle]:
            connection.shed()

    @property
    def drained(self) -> bool:
        """Whether all is done that was begun before `drain`, or waited then to be accepted."""
        return self._acceptor.closed and not self._connections

    def _watch(self, _: float) -> None:
        """Look at the clients that have waited since the last tick: a listener for each request costs 8 us."""
        for connection in list(self.waiting):  # one that has left leaves the set within the call
            if not connection.watch():
                self.waiting.discard(connection)

    def cut(self) -> int:
        """From the hub: close all that is left; returns how many requests were being served."""
        serving = self.crowd.serving
        self._acceptor.close(last=False)
        for connection in list(self._connections):
            connection.cut()
        return serving

    def refusal(self, head: Head, *, uploading: bool) -> BrokerError | None:
        """Why one more request is too much; health is answered even then."""
        error = self.crowd.refusal(uploading=uploading)
        return None if error is None or head.target.partition(b"?")[0] in self._exempt else error

    def anonymous(self, head: Head, sock: socket.socket) -> bool:
        """Whether a request needs a client certificate and came without; one that came was verified by TLS."""
        certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        return not certificate and head.target.partition(b"?")[0] not in self._unguarded

    def environ(self, head: Head, body: RequestBody, peer: str) -> Environ:
        """PEP 3333's dictionary, but that PATH_INFO is the raw path: `%2F` and `%FF` are the plugin's to decode."""
        path, _, query = head.target.decode("ascii").partition("?")
        environ = self._base.copy()
        environ.update(head.fields)
        environ["REQUEST_METHOD"] = head.method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.minor else "HTTP/1.0"
        environ["REMOTE_ADDR"] = peer
        environ["wsgi.input"] = body
        environ[HEAD] = head
        return environ

    def refused(self, error: BrokerError, request_id: str, peer: str, head: Head | None) -> None:
        if self._refused is not None:
            self._refused(error, request_id, peer, head)

    def lost(self, connection: Connection) -> None:
        """A connection has closed."""
        self.waiting.discard(connection)
        self._connections.discard(connection)
        self.crowd.connected = len(self._connections)
        self._acceptor.released()

    def _accepted(self, sock: socket.socket, peer: str) -> None:
        if not self.crowd.make_room():
            sock.close()
            self._acceptor.released()
            return
        try:
            if self._tls is not None:
                sock = self._tls().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            connection = Connection(self, sock, peer)
        except OSError as error:  # TLS asks for the peer's address, and the client has gone
            LOG.debug("a connection could not be taken: %s", error)
            sock.close()
            self._acceptor.released()
            return
        except Exception:  # the edge of a hub callback: the hub would stop listening for connections, for good
            LOG.exception("a connection could not be taken")
            sock.close()
            self._acceptor.released()
            return
        self._connections.add(connection)
        self.crowd.connected = len(self._connections)
        connection.readable()  # TCP_DEFER_ACCEPT: the request is mostly there


def _base_environ(listener: socket.socket, tls: bool) -> Environ:
    address = listener.getsockname()
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": str(address[0]),
        "SERVER_PORT": str(address[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if tls else "http",
        "wsgi.errors": _Errors(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


class _Errors:
    """`wsgi.errors`: what frameworks write there goes to the log."""

    def write(self, text: str) -> None:
        if text.strip():
            LOG.error("%s", text.rstrip())

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """Nothing is held back."""
