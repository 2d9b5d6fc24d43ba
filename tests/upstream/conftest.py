"""A scripted upstream in a thread, and the client under test on a real loop in the test's own thread."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import eventlet
import pytest
from greenlet import getcurrent

from app.core.message import Body
from app.core.origin import UNIX, Origin
from app.errors import ClientGone
from app.net import tls
from app.net.loop import Loop, Waiter
from app.net.resolver import Resolver, ResolverSettings
from app.net.tls import Tls
from app.upstream.client import Answer, Client, Timeouts, UpstreamResponse
from app.upstream.pool import Pool
from tests.authorities import Authority

T = TypeVar("T")
Sent = Sequence[tuple[bytes, bytes]]
PATIENT = Timeouts(60, 60, 60)
"""More than a test waits for its client: a limit that is mistaken for another shows."""
SOON = 0.05
"""Seconds: a limit that a test waits for; the loop looks at its deadlines every 0.1 s."""


# The upstream.


class Conversation(threading.Thread):
    """One connection: does the script's steps, then reads until the client is gone."""

    def __init__(self, sock: socket.socket, script: Sequence[Step], tls: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self.sock = sock
        self.received = bytearray()
        self.sent = 0
        self.over = threading.Event()
        self.cut = False
        """Whether the client ended TLS without saying so."""
        self.failure = ""
        self._script = script
        self._tls = tls
        self._read = 0

    def run(self) -> None:
        try:
            if self._tls:
                self._tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which some builds of Python set
                self.sock = self._tls.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=False)
            for step in self._script:
                self._do(step)
            while self.sock.fileno() >= 0 and self.receive():
                pass
        except ssl.SSLError as error:  # of early Pythons 3.11 not the class that is meant for it
            self.cut = isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"
        except OSError:
            pass  # the client reset, or refused our certificate: what the test is about
        finally:
            self.sock.close()
            self.over.set()

    def _do(self, step: Step) -> None:
        if isinstance(step, bytes):
            self.sock.sendall(step)
            self.sent += len(step)
        elif isinstance(step, threading.Event):
            assert step.wait(10)
        else:
            step(self)

    def receive(self) -> bytes:
        data = self.sock.recv(65536)
        self.received += data
        return data

    def read_until(self, mark: bytes) -> None:
        while (found := self.received.find(mark, self._read)) < 0:
            self._read = max(self._read, len(self.received) - len(mark))
            if not self.receive():
                self.failure = f"the client closed before {mark!r}"
                raise ConnectionAbortedError
        self._read = found + len(mark)

    def end(self) -> None:
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # below TLS: only to wake the thread
        self.join(10)


Step = bytes | threading.Event | Callable[[Conversation], object]
"""Bytes are sent; an event is waited for."""


def reads(mark: bytes) -> Step:
    """Receive until these bytes have come."""
    return lambda conversation: conversation.read_until(mark)


REQUEST = reads(b"\r\n\r\n")
"""Receive a request's head."""


def close(conversation: Conversation) -> None:
    conversation.sock.close()


def reset(conversation: Conversation) -> None:
    conversation.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conversation.sock.close()


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with a Content-Length."""
    head = b"".join(line + b"\r\n" for line in (*lines, b"Content-Length: %d" % len(body)))
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, head, body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"


class Upstream:
    """A server whose n-th connection follows the n-th script; there may be no other."""

    def __init__(self, listener: socket.socket, scripts: Sequence[Sequence[Step]], tls: ssl.SSLContext | None) -> None:
        self._listener = listener
        self._scripts = scripts
        self._tls = tls
        self.conversations: list[Conversation] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> Origin:
        if self._listener.family == socket.AF_UNIX:
            return Origin(UNIX, self._listener.getsockname(), 0)
        return Origin("https" if self._tls else "http", *self._listener.getsockname()[:2])

    @property
    def count(self) -> int:
        """Connections so far."""
        return len(self.conversations)

    def received(self, connection: int = 0) -> bytes:
        return bytes(self.conversations[connection].received) if connection < self.count else b""

    def over(self, connection: int = 0) -> bool:
        """Whether the connection has ended on either side."""
        return connection < self.count and self.conversations[connection].over.is_set()

    def wait(self, connection: int = 0) -> None:
        """Until the connection has ended, while the loop stands still and hears nothing of it."""
        deadline = time.monotonic() + 5
        while not self.over(connection):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[self.count] if self.count < len(self._scripts) else [close]
            conversation = Conversation(sock, script, self._tls)
            self.conversations.append(conversation)
            conversation.start()

    def end(self) -> None:
        deadline = time.monotonic() + 1
        while self.count < len(self._scripts) and time.monotonic() < deadline:
            time.sleep(0.001)  # a connection may still be in the queue
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        for conversation in self.conversations:
            conversation.end()

    def check(self) -> None:
        assert not [conversation.failure for conversation in self.conversations if conversation.failure]
        assert self.count == len(self._scripts), "more or fewer connections than scripts"


Serve = Callable[..., Upstream]


@pytest.fixture
def serve(settled: None) -> Iterator[Serve]:
    """Start an upstream: `serve(script, script, tls=None, host="127.0.0.1")`; a host with a slash is a Unix socket."""
    upstreams = []

    def start(*scripts: Sequence[Step], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Upstream:
        family = socket.AF_UNIX if "/" in host else socket.AF_INET6 if ":" in host else socket.AF_INET
        if family == socket.AF_UNIX:
            listener = socket.socket(family)
            listener.bind(host)
            listener.listen()
        else:
            listener = socket.create_server((host, 0), family=family)
        upstreams.append(Upstream(listener, scripts, tls))
        return upstreams[-1]

    yield start
    for upstream in upstreams:
        upstream.end()
    for upstream in upstreams:
        upstream.check()


@pytest.fixture
def dead() -> Iterator[Origin]:
    """An origin where nobody listens."""
    with socket.socket() as bound:  # bound, so that nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        yield Origin("http", *bound.getsockname())


@pytest.fixture
def full() -> Iterator[Origin]:
    """An origin whose queue is full, so that a connection is neither taken nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield Origin("http", *listener.getsockname())


# The loop.


@pytest.fixture(scope="session")
def loop() -> Loop:
    return Loop()


@pytest.fixture
def settled(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After a test, once its upstreams have ended, nothing is left on the loop, and no callback of it has failed."""
    failures: list[object] = []
    for name in ("squelch_exception", "squelch_timer_exception"):
        monkeypatch.setattr(loop.hub, name, lambda _, info: failures.append(info[1]))
    before = _listeners(loop)
    yield
    until(lambda: not loop.timed and _listeners(loop) <= before)
    assert not failures


def _listeners(loop: Loop) -> set[tuple[str, int]]:
    """Those of sockets: a bell's stays for as long as its worker lives."""
    found = {(event, fileno) for event, listeners in loop.hub.listeners.items() for fileno in listeners}
    return {one for one in found if os.readlink(f"/proc/self/fd/{one[1]}") != "anon_inode:[eventfd]"}


class Task(Generic[T]):
    """A function in a greenlet of the loop, as a request is."""

    def __init__(self, loop: Loop, function: Callable[[], T]) -> None:
        self._loop = loop
        self._result: T | None = None
        self._error: BaseException | None = None
        self._done = False
        self._waiter = Waiter(loop)
        loop.later(0, loop.run, self._work, function)

    def _work(self, function: Callable[[], T]) -> None:
        self._greenlet = getcurrent()
        try:
            self._result = function()
        except BaseException as error:  # for `result` to raise
            self._error = error
        self._done = True
        self._loop.later(0, self._waiter.wake)

    def kill(self) -> None:
        """As the server does when the client has gone."""
        self._loop.later(0, self._greenlet.throw, ClientGone())

    def result(self) -> T:
        if not self._done:
            self._waiter.wait(10, AssertionError("the client hangs"))
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Let the loop run until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        eventlet.sleep(0.002)


def stays(condition: Callable[[], object], seconds: float = SOON) -> bool:
    """Whether the condition holds for so long."""
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        eventlet.sleep(0.002)
    return bool(condition())


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, tuple[object, ...]]) -> None:
    """Let every name have these addresses."""
    found = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


# The client.


class Upload:
    """A request's body of these pieces; an exception is raised in its turn, a callable is called."""

    def __init__(self, *pieces: bytes | BaseException | Callable[[], bytes], length: int | None = None) -> None:
        self.length = length
        self.present = True
        self.taken = 0
        self._pieces = iter(pieces)

    def piece(self, size: int = 65536) -> bytes:
        piece = next(self._pieces, b"")
        if isinstance(piece, BaseException):
            raise piece
        data = piece if isinstance(piece, bytes) else piece()
        self.taken += len(data)
        return data


@dataclass
class Asker:
    """A client, each of whose requests runs in a greenlet of its own."""

    loop: Loop
    client: Client
    retries: list[None]
    tls: Tls
    """May be replaced by another one."""

    def begin(self, origin: Origin, method: str = "GET", **rest: Any) -> Task[Answer]:
        return Task(self.loop, lambda: whole(self.send(origin, method, **rest)))

    def __call__(self, origin: Origin, method: str = "GET", **rest: Any) -> Answer:
        """Send a request and read its answer whole."""
        return self.begin(origin, method, **rest).result()

    def open(self, origin: Origin, method: str = "GET", **rest: Any) -> UpstreamResponse:
        """Send a request and return once the answer's head is there."""
        return Task(self.loop, lambda: self.send(origin, method, **rest)).result()

    def never(self) -> bytes:
        """A piece of an upload that does not come."""
        Waiter(self.loop).wait(10, AssertionError("nobody ended the wait"))
        return b"unwanted"

    def run(self, function: Callable[[], T]) -> T:
        return Task(self.loop, function).result()

    def send(
        self,
        origin: Origin,
        method: str = "GET",
        *,
        headers: Sent = (),
        target: bytes = b"/",
        body: Body | bytes = b"",
        **limits: float,
    ) -> UpstreamResponse:
        """In the greenlet that calls."""
        length = len(body) if isinstance(body, bytes) else body.length
        framing = (b"Transfer-Encoding", b"chunked") if length is None else (b"Content-Length", b"%d" % length)
        sent = [(b"Host", origin.host_header), *headers, *([framing] if body else [])]
        return self.client.send(origin, method, target, sent, body, replace(PATIENT, **limits))


def whole(response: UpstreamResponse) -> Answer:
    return Answer(response.status, response.reason, response.headers, b"".join(response))


MakeAsker = Callable[..., Asker]


@pytest.fixture
def make_asker(loop: Loop) -> MakeAsker:
    def made(pool: Pool | None = None, tls: Tls | None = None, interval: float = 5.0, **options: Any) -> Asker:
        """`interval` in seconds: names are looked up so often."""
        retries: list[None] = []
        client = Client(
            loop,
            Resolver(loop, ResolverSettings(interval)),
            pool or Pool(8, 60),
            lambda: asker.tls,
            retried=lambda: retries.append(None),
            **options,
        )
        asker = Asker(loop, client, retries, tls or Tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
        return asker

    return made


@pytest.fixture
def ask(make_asker: MakeAsker) -> Asker:
    return make_asker()


# TLS.


class Certificates(NamedTuple):
    """A CA, and the contexts of servers whose certificates it has signed."""

    authority: Authority
    local: ssl.SSLContext
    """For 127.0.0.1 and localhost."""
    other: ssl.SSLContext
    """For other.example."""

    @property
    def trusted(self) -> Tls:
        return tls.client("upstream", self.authority.file, True, None, None)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Authority(tmp_path_factory.mktemp("authority"), "root")
    other = made.issue("other", ["other.example"])
    return Certificates(made, made.issue("local").context(), other.context())
