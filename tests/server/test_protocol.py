"""The parser alone: what it makes of bytes, however they are split. What it refuses is in test_server.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BrokerError
from app.server.limits import Limits
from app.server.protocol import RequestParser

GET = b"GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
LENGTH = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nhel\r\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n"
)
BLANKS_INSIDE = b"PUT /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"
UPGRADE = b"POST /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello"
EMPTY_LINES = b"\r\n\r\nGET /e HTTP/1.1\r\nHost: x\r\n\r\n"
MESSAGES = {
    GET: ("GET", b"/a?b", b""),
    LENGTH: ("POST", b"/p", b"hello"),
    CHUNKED: ("PUT", b"/c", b"hello"),
    BLANKS_INSIDE: ("PUT", b"/d", b"\r\n\r\n\r\n\r\n"),
    UPGRADE: ("POST", b"/u", b"hello"),
    EMPTY_LINES: ("GET", b"/e", b""),
}


def parse(pieces: list[bytes]) -> list[tuple[str, bytes, bytes]]:
    """The messages of a connection whose bytes arrive so; the last one has to be whole."""
    parser = RequestParser(Limits())
    found, body = [], b""
    for piece in pieces:
        rest = piece
        while rest:
            rest = parser.feed(rest)
            body += b"".join(parser.pieces)
            parser.pieces.clear()
            if parser.complete:
                assert parser.head is not None
                found.append((parser.head.method, parser.head.target, body))
                parser.reset()
                body = b""
    assert not parser.started
    return found


@given(st.lists(st.sampled_from(list(MESSAGES)), min_size=1, max_size=4), st.data())
def test_messages_are_the_same_however_their_bytes_are_split(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(pieces) == [MESSAGES[one] for one in sent]


def refusal(data: bytes) -> int | None:
    """The status with which a stream is refused, or None."""
    parser = RequestParser(Limits())
    try:
        while data and not parser.complete:
            data = parser.feed(data)
    except BrokerError as error:
        return error.status
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(data: bytes) -> None:
    assert refusal(data) in (None, 400, 414, 417, 431, 501, 505)


@given(st.sampled_from(list(MESSAGES)), st.integers(0, 200), st.binary(min_size=1, max_size=2))
def test_a_mutated_request_never_has_two_framings(message: bytes, at: int, noise: bytes) -> None:
    at %= len(message)
    parser = RequestParser(Limits())
    data = message[:at] + noise + message[at + len(noise) :]
    try:
        while data and not parser.complete:
            data = parser.feed(data)
    except BrokerError:
        return
    if parser.head is not None:
        names = [name.lower() for name, _ in parser.head.headers]
        framings = [name for name in names if name in (b"content-length", b"transfer-encoding")]
        assert len(framings) <= 1
        assert names.count(b"host") == 1 or (parser.head.minor == 0 and names.count(b"host") == 0)


def test_headers_keep_order_and_spelling_and_join_only_in_the_environ() -> None:
    parser = RequestParser(Limits())
    parser.feed(b"GET / HTTP/1.1\r\nHost: x\r\nX-a: 1 \r\nCookie: a\r\nx-A:2\r\nCOOKIE: b\r\nX_a: 3\r\n\r\n")
    assert parser.head is not None
    assert parser.head.headers[1:] == [
        (b"X-a", b"1"),
        (b"Cookie", b"a"),
        (b"x-A", b"2"),
        (b"COOKIE", b"b"),
        (b"X_a", b"3"),
    ]
    assert (parser.head.fields["HTTP_X_A"], parser.head.fields["HTTP_COOKIE"]) == ("1,2", "a; b")


@pytest.mark.parametrize(
    ("target", "stays", "host"),
    [
        (b"/x", b"/x", "h"),
        (b"http://other/x?y", b"/x?y", "other"),
        (b"HTTP://other:1", b"/", "other:1"),
        (b"http://o?q", b"/?q", "o"),
    ],
)
def test_an_absolute_target_wins_over_host(target: bytes, stays: bytes, host: str) -> None:
    parser = RequestParser(Limits())
    parser.feed(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target)
    assert parser.head is not None
    assert (parser.head.target, parser.head.fields["HTTP_HOST"]) == (stays, host)
