"""The server over TLS: records of every size, slow and hostile clients, and how connections end."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.authorities import Authority, Issued
from tests.conftest import Process, children, read_all, started, until
from tests.server.test_server import CLOSE, LIMITS, get, status

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "root")


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Issued:
    return authority.issue()


@contextmanager
def serving(leaf: Issued, buffer: int = 0, **limits: float) -> Iterator[Process]:
    files = {"certificate": leaf.certificate, "key": leaf.key, **({"buffer": buffer} if buffer else {})}
    with started("tests/server/echo.py", "1", json.dumps({**LIMITS, **limits}), json.dumps(files)) as process:
        yield process


@pytest.fixture(scope="module")
def echo(leaf: Issued) -> Iterator[Process]:
    with serving(leaf) as process:
        yield process
        assert process.end() == 0
        assert not [line for line in process.lines if "ERROR" in line or "Traceback" in line]


@contextmanager
def secured(echo: Process, authority: Authority, version: ssl.TLSVersion | None = None) -> Iterator[ssl.SSLSocket]:
    """A client's connection; an end that is not TLS's own raises."""
    context = authority.trusted
    if version is not None:
        context.maximum_version = version
    with (
        echo.connect() as plain,
        context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as sock,
    ):
        yield sock


def read_on(sock: ssl.SSLSocket) -> None:
    while sock.recv(65536):
        pass


def held(echo: Process, authority: Authority) -> int:
    """Connections that the server holds, the one that asks not counted."""
    with secured(echo, authority) as sock:
        sock.sendall(get(b"/slots", CLOSE.strip()))
        ((count, _),) = json.loads(read_all(sock).rpartition(b"\r\n\r\n")[2])
        return int(count) - 1


# Bodies.


@pytest.mark.parametrize("version", VERSIONS)
def test_large_bodies_both_ways(echo: Process, authority: Authority, version: ssl.TLSVersion) -> None:
    body = os.urandom(306 * 16384)  # whole records: what is left of the last one would be seen by nobody's poll
    context = authority.trusted
    context.maximum_version = version
    with closing(http.client.HTTPSConnection("127.0.0.1", echo.port, context=context, timeout=30)) as connection:
        for _ in range(2):
            connection.request("POST", "/whole", body)  # /echo answers while the client, which sends first, reads none
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, body)


@pytest.mark.parametrize("step", [1, 7, 16384, 65536])
def test_records_of_every_size(echo: Process, authority: Authority, step: int) -> None:
    size = (
        500 if step < 10 else 62 * 16384 - len(get(b"/echo", b"Content-Length: 1000000", CLOSE.strip(), method=b"POST"))
    )
    body = os.urandom(size)  # the last record is whole
    data = get(b"/echo", b"Content-Length: %d" % len(body), CLOSE.strip(), method=b"POST") + body
    with secured(echo, authority) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = bytearray()
        sock.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 20
        while not answer.endswith(b"0\r\n\r\n"):
            assert time.monotonic() < deadline
            try:
                if sent < len(data):
                    sent += sock.send(data[sent : sent + step])
            except ssl.SSLWantWriteError:
                pass
            try:
                answer += sock.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                if sent == len(data):
                    time.sleep(0.001)
    assert unchunked(bytes(answer).partition(b"\r\n\r\n")[2]) == body


def unchunked(sent: bytes) -> bytes:
    pieces = []
    while sent:
        size, _, sent = sent.partition(b"\r\n")
        pieces.append(sent[: int(size, 16)])
        sent = sent[int(size, 16) + 2 :]
    return b"".join(pieces)


def test_pipelined_requests_in_one_record(echo: Process, authority: Authority) -> None:
    with secured(echo, authority) as sock:
        sock.sendall(get(b"/") * 3 + get(b"/", CLOSE.strip()))
        assert read_all(sock).count(b"hello") == 4


def test_a_slow_reader_is_cut_so_that_it_can_tell(echo: Process, authority: Authority) -> None:
    """HTTP/1.0 has no framing but the close: neither TLS's own end nor a FIN may stand for it."""
    context = authority.trusted
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", echo.port))
        with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as sock:
            sock.sendall(get(b"/big", version=b"HTTP/1.0"))
            sock.recv(100)
            until(lambda: held(echo, authority) == 0)
            with pytest.raises(OSError, match=r"(?i)reset|eof"):
                read_on(sock)


# Hostile clients.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16\x03\x01",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x16\x03\x01\xff\xff" + b"a" * 70000,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 1000,
        os.urandom(3000),
        b"\x15\x03\x01\x00\x02\x02\x28",
    ],
    ids=["nothing", "stall", "half a hello", "huge record", "plain HTTP", "zeros", "noise", "alert"],
)
def test_who_does_not_shake_hands_is_closed_and_holds_nothing(echo: Process, authority: Authority, data: bytes) -> None:
    with ExitStack() as stack:
        socks = [stack.enter_context(echo.connect()) for _ in range(20)]
        for sock in socks:
            sock.sendall(data)
        started_at = time.monotonic()
        for sock in socks:
            assert b"HTTP" not in read_all(sock)  # until the server closes
        assert time.monotonic() - started_at < 10  # the kernel defers a silent one's accept by a few seconds
    until(lambda: held(echo, authority) == 0)


def test_a_handshake_that_drips_has_the_heads_deadline(echo: Process, authority: Authority) -> None:
    hello = Handshaking(authority).begin()
    with echo.connect() as sock:

        def drip() -> None:
            for byte in hello:
                sock.sendall(bytes([byte]))
                time.sleep(0.02)  # 0.5 s are over long before the 500 bytes

        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            drip()


def s_client(echo: Process, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ("openssl", "s_client", "-connect", f"127.0.0.1:{echo.port}", *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def spoken(client: subprocess.Popen[bytes], text: bytes, until_seen: bytes) -> bytes:
    """Send a line, and read until this is seen, or the end."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(text)
    client.stdin.flush()
    seen = bytearray()
    while until_seen not in seen and (piece := os.read(client.stdout.fileno(), 4096)):
        seen += piece
    return bytes(seen)


def test_a_renegotiation_is_refused(echo: Process, authority: Authority) -> None:
    with s_client(echo, "-tls1_2") as client:
        seen = spoken(client, b"", b"Verify return code")
        seen += spoken(client, b"R\n", b"RENEGOTIATING\n")
        seen += spoken(client, b"", b"no such text: until its end")
        assert b"no renegotiation" in seen
    until(lambda: held(echo, authority) == 0)


def test_a_key_update_is_answered(echo: Process) -> None:
    with s_client(echo, "-tls1_3") as client:
        spoken(client, b"", b"Verify return code")
        spoken(client, b"K\n", b"KEYUPDATE\n")
        seen = spoken(client, get(b"/", CLOSE.strip()), b"hello")
        client.stdin.close()
        assert b"200 OK" in seen
        assert b"hello" in seen


def test_a_client_that_is_gone_before_its_turn_is_no_error(leaf: Issued, authority: Authority) -> None:
    with serving(leaf) as echo:
        (worker,) = children(echo.popen.pid)
        os.kill(worker, signal.SIGSTOP)
        for _ in range(5):
            with echo.connect() as sock:
                sock.sendall(b"\x16\x03\x01\x02\x00 and some more")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        os.kill(worker, signal.SIGCONT)
        until(lambda: held(echo, authority) == 0)
        assert echo.end() == 0
        assert not [line for line in echo.lines if "ERROR" in line or "Traceback" in line], echo.lines


def test_a_server_whose_flight_waits_for_space_finishes_the_handshake(authority: Authority) -> None:
    """Its first flight is larger than what the socket takes: the handshake is to go on when there is space."""
    large = authority.issue("large", ["localhost", *(f"host-{number:04}.example" for number in range(3500))])
    with serving(large, buffer=4608, header_timeout=10) as echo, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", echo.port))
        client = Handshaking(authority)
        sock.sendall(client.begin())
        stuck = [-1, 0]
        until(
            lambda: stuck.append(_received(sock)) or stuck[-1] == stuck[-20:][0] > 0
        )  # all that goes without a reader
        started_at = time.monotonic()
        while (more := client.go_on(sock.recv(65536))) is None:
            pass
        sock.sendall(more)
        assert time.monotonic() - started_at < 5
        assert client.get_all(sock, get(b"/", CLOSE.strip())).endswith(b"hello")


def _received(sock: socket.socket) -> int:
    """Bytes that wait to be read."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


class Handshaking:
    """A client's TLS whose every step the test takes."""

    def __init__(self, authority: Authority) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = authority.trusted.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def begin(self) -> bytes:
        """The hello."""
        with pytest.raises(ssl.SSLWantReadError):
            self._client.do_handshake()
        return self._outgoing.read()

    def go_on(self, received: bytes) -> bytes | None:
        """The second flight once the server's is whole."""
        assert received, "the server closed"
        self._incoming.write(received)
        try:
            self._client.do_handshake()
        except ssl.SSLWantReadError:
            return None
        return self._outgoing.read()

    def get_all(self, sock: socket.socket, request: bytes) -> bytes:
        """What comes for a request until the server closes."""
        self._client.write(request)
        sock.sendall(self._outgoing.read())
        self._incoming.write(read_all(sock))
        return self._client.read(65536)


# Ends.


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get(b"/", CLOSE.strip()), 200),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (get(b"/unread", b"Content-Length: 2000000", method=b"POST"), 200),
        (get(b"/"), 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 408),
    ],
    ids=["closed", "refused", "unread body", "idle", "slow head"],
)
def test_an_end_in_order_is_told_in_tls(echo: Process, authority: Authority, request_: bytes, expected: int) -> None:
    with secured(echo, authority) as sock:
        sock.sendall(request_)
        assert status(read_all(sock)) == expected  # an end that is not TLS's own would raise


@pytest.mark.parametrize("path", [b"/die", b"/short"])
def test_an_answer_that_breaks_off_is_none_in_order(echo: Process, authority: Authority, path: bytes) -> None:
    with secured(echo, authority) as sock:
        sock.sendall(get(path, version=b"HTTP/1.0"))
        with pytest.raises(OSError, match=r"(?i)reset|eof"):
            read_on(sock)


def test_a_drain_lets_a_handshake_and_its_request_pass(leaf: Issued, authority: Authority) -> None:
    with serving(leaf, header_timeout=10) as echo, echo.connect() as sock, echo.connect() as silent:
        client = Handshaking(authority)
        sock.sendall(client.begin())
        flight = sock.recv(65536)
        silent.sendall(b"\x16\x03\x01")
        echo.popen.send_signal(signal.SIGTERM)
        until(lambda: _refused(echo))
        while (more := client.go_on(flight)) is None:
            flight = sock.recv(65536)
        sock.sendall(more)
        answer = client.get_all(sock, get(b"/"))
        assert b"Connection: close" in answer
        assert answer.endswith(b"hello")
        assert echo.popen.wait(10) == 0


def _refused(echo: Process) -> bool:
    try:
        echo.connect().close()
    except ConnectionRefusedError:
        return True
    return False
