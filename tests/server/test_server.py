"""The server over raw sockets: framing, keep-alive, limits, what it refuses, and what it sends."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.conftest import Process, read_all, started, until

LIMITS = {
    "request_line": 1024,
    "header": 4096,
    "header_count": 20,
    "header_timeout": 0.5,
    "idle_timeout": 1.0,
    "body_timeout": 1.0,
    "drain": 1000,
}
CLOSE = b"Connection: close\r\n"
HOST = b"Host: broker\r\n"


@pytest.fixture(scope="module")
def echo() -> Iterator[Process]:
    with started("tests/server/echo.py", "1", json.dumps(LIMITS)) as process:
        yield process
        assert process.end() == 0


def get(path: bytes, *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"%b %b %b\r\n%b%b\r\n" % (method, path, version, HOST, b"".join(line + b"\r\n" for line in lines))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


REFUSED = {
    "bare LF": (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    "obs-fold": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
    "bare CR in a value": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
    "no name": (b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a tab": (b"GET /\tHTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "space at the line's end": (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    "length and chunked": (get(b"/echo", b"Content-Length: 3", b"Transfer-Encoding: chunked"), 400),
    "chunked and length": (get(b"/echo", b"Transfer-Encoding: chunked", b"Content-Length: 3"), 400),
    "two lengths": (get(b"/echo", b"Content-Length: 3", b"Content-Length: 3") + b"abc", 400),
    "a list of lengths": (get(b"/echo", b"Content-Length: 3, 3") + b"abc", 400),
    "signed length": (get(b"/echo", b"Content-Length: +3") + b"abc", 400),
    "hexadecimal length": (get(b"/echo", b"Content-Length: 0x3") + b"abc", 400),
    "no length": (get(b"/echo", b"Content-Length:"), 400),
    "huge length": (get(b"/echo", b"Content-Length: 99999999999999999999999"), 400),
    "two codings": (get(b"/echo", b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 400),
    "two chunked": (get(b"/echo", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    "identity": (get(b"/echo", b"Transfer-Encoding: identity"), 400),
    "chunked in 1.0": (get(b"/echo", b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "host with userinfo": (b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
    "host with a path": (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    "host with an odd port": (b"GET / HTTP/1.1\r\nHost: x:8a\r\n\r\n", 400),
    "absolute with userinfo": (b"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "asterisk": (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "byte above 0x7E": (b"GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "RTSP": (b"GET / RTSP/1.0\r\nHost: x\r\n\r\n", 400),
    "TLS hello": (b"\x16\x03\x01\x02\x00", 400),
    "unknown method": (b"FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "method in lower case": (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "CONNECT": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    "other expectation": (get(b"/", b"Expect: the-unexpected"), 417),
    "long line": (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "long line without an end": (b"GET /" + b"a" * 2000, 414),
    "large head": (get(b"/", b"A: " + b"a" * 5000), 431),
    "large head without an end": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 5000, 431),
    "many headers": (get(b"/", *[b"A: b"] * 30), 431),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(echo: Process, name: str) -> None:
    data, expected = REFUSED[name]
    answer = echo.raw(data)
    assert status(answer) == expected
    head, body = answer.split(b"\r\n\r\n")
    assert b"Connection: close" in head
    error = json.loads(body)["error"]
    assert error["code"] == expected
    assert error["message"]


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_byte_by_byte(echo: Process, name: str) -> None:
    data, expected = REFUSED[name]
    with echo.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for byte in data[:200]:
                sock.send(bytes([byte]))
            sock.sendall(data[200:])
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end
        answer = read_all(sock)
    if not answer.startswith(b"<reset>"):  # the answer may be lost to what was sent after it
        assert status(answer) in {expected, 400, 501}


BAD_CHUNKS = [
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"3 \r\nabc\r\n0\r\n\r\n",
    b"3\nabc\n0\n\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"g\r\nabc\r\n0\r\n\r\n",
    b"\r\nabc\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nabc",
    b"3;" + b"e" * 40000 + b"\r\nabc\r\n0\r\n\r\n",
    b"0\r\n" + b"T: " + b"t" * 40000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("body", BAD_CHUNKS, ids=range(len(BAD_CHUNKS)))
def test_a_bad_chunked_body_is_never_whole(echo: Process, body: bytes) -> None:
    answer = echo.raw(get(b"/echo", b"Transfer-Encoding: chunked", method=b"POST") + body)
    assert not answer.endswith(b"0\r\n\r\n")
    assert status(answer) in {200, 400}  # 200: the answer had begun, and was cut


CHUNKED = b'5;ext="v"\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\nHost: other\r\n\r\n'


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_chunked_split_anywhere_and_the_next_request(echo: Process, step: int) -> None:
    data = get(b"/echo", b"Transfer-Encoding: chunked", method=b"POST") + CHUNKED + get(b"/", CLOSE.strip())
    with echo.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), step):
            sock.sendall(data[start : start + step])
        answer = read_all(sock)
    first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    pieces = re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n(?=[0-9a-f]+\r\n)", first.split(b"\r\n\r\n", 1)[1])
    assert b"".join(pieces) == b"hello world"
    assert second.endswith(b"hello")


def test_pipelined_requests_are_answered_in_order(echo: Process) -> None:
    requests = b"".join(
        get(b"/echo", b"Content-Length: %d" % len(body), method=b"POST") + body for body in (b"one", b"three", b"")
    )
    answer = echo.raw(requests + get(b"/", CLOSE.strip()))
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.index(b"one") < answer.index(b"three") < answer.index(b"hello")


def test_keep_alive(echo: Process) -> None:
    with echo.connect() as sock:
        for _ in range(3):
            sock.sendall(get(b"/"))
            assert sock.recv(65536).endswith(b"hello")
        sock.sendall(get(b"/", version=b"HTTP/1.0"))
        assert b"Connection: close" in read_all(sock)


def test_http_1_0_keep_alive_and_close(echo: Process) -> None:
    answer = echo.raw(get(b"/", b"Connection: keep-alive", version=b"HTTP/1.0") + get(b"/stream", version=b"HTTP/1.0"))
    first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"Connection: keep-alive" in first
    assert b"Transfer-Encoding" not in second
    assert second.split(b"\r\n\r\n", 1)[1] == b"".join(b"%d\n" % n for n in range(1000))


def test_an_upgrade_is_ignored_and_its_body_framed(echo: Process) -> None:
    upgrade = (
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    )
    for framing, body in (
        (b"Content-Length: 11", b"GET / HTTP/"),
        (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
    ):
        answer = echo.raw(get(b"/echo", *upgrade, framing, method=b"POST") + body + get(b"/", CLOSE.strip()))
        assert answer.count(b"HTTP/1.1 200 OK") == 2, answer
        assert answer.endswith(b"hello")


def test_100_continue_comes_when_the_body_is_wanted(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(get(b"/echo", b"Expect: 100-continue", b"Content-Length: 3", CLOSE.strip(), method=b"PUT"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert b"abc" in read_all(sock)
        assert b"100 Continue" not in read_all(sock)


def test_a_final_answer_may_come_instead_of_100(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(get(b"/unread", b"Expect: 100-continue", b"Content-Length: 3", method=b"PUT"))
        answer = read_all(sock)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in answer


def test_an_unread_body_is_drained_within_a_bound(echo: Process) -> None:
    small = get(b"/unread", b"Content-Length: 900", method=b"POST") + b"x" * 900
    assert echo.raw(small + get(b"/", CLOSE.strip())).count(b"HTTP/1.1 200") == 2
    large = get(b"/unread", b"Content-Length: 2000000", method=b"POST") + b"x" * 100000
    answer = echo.raw(large)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"ok" in answer


@pytest.mark.parametrize(("path", "expected"), [(b"/204", b"204"), (b"/304", b"304")])
def test_no_body_where_none_is_allowed(echo: Process, path: bytes, expected: bytes) -> None:
    answer = echo.raw(get(path) + get(b"/", CLOSE.strip()))
    head = answer.split(b"\r\n\r\n")[0]
    assert expected in head
    assert b"Transfer-Encoding" not in head
    assert answer.count(b"body") == 0
    assert answer.endswith(b"hello")


def test_head_has_the_length_and_no_body(echo: Process) -> None:
    answer = echo.raw(get(b"/", method=b"HEAD") + get(b"/stream", method=b"HEAD") + get(b"/204", CLOSE.strip()))
    assert answer.count(b"HTTP/1.1 ") == 3
    assert b"Content-Length: 5\r\n" in answer
    assert b"hello" not in answer


@pytest.mark.parametrize("path", [b"/injected", b"/raise"])
def test_a_broken_application_is_answered_500(echo: Process, path: bytes) -> None:
    answer = echo.raw(get(path))
    assert status(answer) == 500
    assert b"Set-Cookie" not in answer


def test_a_response_that_breaks_off_is_seen_to(echo: Process) -> None:
    assert not echo.raw(get(b"/die")).endswith(b"0\r\n\r\n")
    assert len(echo.raw(get(b"/short")).split(b"\r\n\r\n", 1)[1]) < 100
    assert echo.raw(get(b"/die", version=b"HTTP/1.0")).endswith(b"<reset>")


def test_a_slow_head_is_answered_408(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert status(read_all(sock)) == 408


def test_a_silent_connection_is_closed(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(get(b"/"))
        assert read_all(sock).endswith(b"hello")


def test_a_slow_body_ends_the_request(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(get(b"/echo", b"Content-Length: 3", method=b"POST") + b"a")
        answer = read_all(sock)
        assert answer.split(b"\r\n\r\n", 1)[1] != b"abc"


def test_an_absolute_target_wins_over_host(echo: Process) -> None:
    answer = echo.raw(b"GET http://other:81/environ?x HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n")
    environ = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    assert (environ["HTTP_HOST"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("other:81", "/environ", "x")


def test_an_underscore_does_not_pass_for_a_hyphen(echo: Process) -> None:
    answer = echo.raw(get(b"/environ", b"X_Real: bad", b"X-Real: good", CLOSE.strip()))
    environ = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    assert environ["HTTP_X_REAL"] == "good"


def test_large_bodies_both_ways(echo: Process) -> None:
    body = os.urandom(5_000_000)
    code, _, back = echo.ask("POST", "/whole", body)  # /echo answers while the client, which sends first, reads none
    assert (code, back) == (200, body)


def test_a_client_that_reads_slowly_bounds_what_is_held(echo: Process) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", echo.port))
        sock.sendall(get(b"/big"))
        assert sock.recv(100)
        code, _, back = echo.ask("GET", "/")  # others are served meanwhile
        assert (code, back) == (200, b"hello")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert echo.ask("GET", "/")[0] == 200


@pytest.mark.parametrize("bad", [b"Host: a b", b"Host: x\r\nExpect: nothing", b"Host: x\r\nContent-Length: x"])
def test_a_refused_head_request_gets_no_body(echo: Process, bad: bytes) -> None:
    answer = echo.raw(b"HEAD / HTTP/1.1\r\n" + bad + b"\r\n\r\n")
    assert status(answer) in (400, 417)
    assert answer.endswith(b"\r\n\r\n")


def test_many_empty_lines_are_no_request(echo: Process) -> None:
    assert status(echo.raw(b"\r\n" * 8 + get(b"/", CLOSE.strip()))) == 200
    assert status(echo.raw(b"\r\n" * 9 + get(b"/", CLOSE.strip()))) == 400


def test_empty_lines_do_not_put_the_deadline_off(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(b"\r\n")
        assert status(read_all(sock)) == 408


def test_a_pipelining_client_that_leaves_is_seen_while_nothing_is_read(echo: Process) -> None:
    """Its second request stays unread behind the first one's answer; /wait ends only when it is told of the end."""
    with echo.connect() as sock:
        sock.sendall(get(b"/wait") + get(b"/"))
        until(lambda: b"1" in echo.raw(get(b"/waiting", CLOSE.strip())).rpartition(b"\r\n")[2])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: b"0" in echo.raw(get(b"/waiting", CLOSE.strip())).rpartition(b"\r\n")[2], 5)


def test_a_head_is_sent_before_a_body_that_takes_its_time(echo: Process) -> None:
    with echo.connect() as sock:
        sock.sendall(get(b"/head-first"))
        assert sock.recv(4096).endswith(b"\r\n\r\n")
