"""One connection by itself, its loop's callbacks called by hand: what no client can time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pytest
from greenlet import getcurrent, greenlet

from app.errors import BrokerError
from app.net.loop import Loop
from app.server.body import no_body
from app.server.connection import Connection, Server
from app.server.crowd import Crowd
from app.server.limits import Limits
from app.server.protocol import Head
from tests.conftest import needs_source

pytestmark = needs_source  # a loop whose timers run when they are told to

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
FIRST = b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"
SECOND = b"POST /second HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(SMUGGLED) + 1)


class Hub:
    """The test's own greenlet."""

    def __init__(self) -> None:
        self.greenlet = getcurrent()

    def switch(self) -> object:
        return self.greenlet.switch()


class ByHand:
    """A loop whose timers run when they are told to; of what is listened to the tests take care."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.timed: set[object] = set()
        self.due: list[Callable[[], object]] = []

    def listen(self, *_: object) -> object:
        return object()

    def forget(self, _: object) -> None:
        """Nothing is listened to."""

    def later(self, _: float, function: Callable[..., object], *arguments: object) -> None:
        self.due.append(lambda: function(*arguments))

    def give_way(self) -> None:
        self.hub.switch()

    def run(self, function: Callable[[Any], object], argument: object) -> None:
        greenlet(function).switch(argument)

    def run_due(self) -> None:
        due, self.due = self.due, []
        for one in due:
            one()


class Host:
    """The server of one connection."""

    guarded = False
    draining = False

    def __init__(self) -> None:
        self.by_hand = ByHand()
        self.loop = cast("Loop", self.by_hand)
        self.limits = Limits()
        self.crowd = Crowd(self.limits, 10)
        self.no_body = no_body(self.loop)
        self.waiting: set[Connection] = set()
        self.paths: list[str] = []
        self.served: list[greenlet] = []

    def application(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        self.paths.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/busy":  # with what is no wait for the client, until it is switched to
            self.served.append(getcurrent())
            self.by_hand.hub.switch()
        return [environ["wsgi.input"].read()]

    def environ(self, head: Head, body: object, peer: str) -> dict[str, Any]:
        return {"PATH_INFO": head.target.decode(), "wsgi.input": body}

    def anonymous(self, head: Head, sock: socket.socket) -> bool:
        return False

    def refusal(self, head: Head, *, uploading: bool) -> BrokerError | None:
        return None

    def refused(self, error: BrokerError, request_id: str, peer: str, head: Head | None) -> None:
        self.paths.append(error.reason)

    def lost(self, connection: Connection) -> None:
        self.waiting.discard(connection)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Host, Connection]]:
    client, own = socket.socketpair()
    own.setblocking(False)
    host = Host()
    connection = Connection(cast("Server", host), own, "peer")
    yield client, host, connection
    connection.close()
    client.close()


@pytest.mark.parametrize("what", ["shed", "give_way"])
def test_what_came_first_is_read_first(pair: tuple[socket.socket, Host, Connection], what: str) -> None:
    """Between two pipelined requests a connection is asked to go: the second one's body, which has come meanwhile, is
    no request."""
    client, host, connection = pair
    client.sendall(FIRST + SECOND + b"x")
    connection.readable()
    client.sendall(SMUGGLED)
    host.draining = what == "shed"
    getattr(connection, what)()
    connection.readable()
    host.by_hand.run_due()
    assert host.paths == ["/first", "/second"]


def test_only_a_client_that_is_waited_for_stands_still(pair: tuple[socket.socket, Host, Connection]) -> None:
    """One that waits for a 100 while the broker is at something else does not, however long that takes."""
    client, host, connection = pair
    client.sendall(b"PUT /busy HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    connection.readable()
    later = time.monotonic() + 5
    assert connection.idle_for(later) == 0
    host.served.pop().switch()
    assert client.recv(100).startswith(b"HTTP/1.1 100 ")
    assert 4 < connection.idle_for(later) <= 5
    client.sendall(b"ab")
    connection.readable()
    assert client.recv(1000).endswith(b"ab")
