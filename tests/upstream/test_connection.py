"""One connection: how it opens and fails to, and how bodies end, over real sockets."""

from __future__ import annotations

import gzip
import os
import ssl
from pathlib import Path
from threading import Event

import pytest

from app.core.origin import Origin
from app.errors import UpstreamGarbled, UpstreamRefused, UpstreamTimeout
from tests.upstream.conftest import (
    CHUNKED,
    REQUEST,
    SOON,
    UNTIL_CLOSE,
    Asker,
    Certificates,
    Conversation,
    MakeAsker,
    Serve,
    Step,
    answer,
    close,
    reset,
    until,
)

# Opening.


def test_nobody_listens(ask: Asker, dead: Origin, settled: None) -> None:
    with pytest.raises(UpstreamRefused, match="Connection refused") as caught:
        ask(dead)
    assert caught.value.status == 502


@pytest.mark.parametrize("limit", ["connect", "response"])
def test_a_connection_is_not_taken_in_time(limit: str, ask: Asker, full: Origin, settled: None) -> None:
    with pytest.raises(UpstreamTimeout, match="connection in time") as caught:
        ask(full, "GET", **{limit: SOON})
    assert caught.value.status == 504


def test_a_unix_socket(ask: Asker, serve: Serve, tmp_path: Path) -> None:
    upstream = serve([REQUEST, answer(b"hi")], host=str(tmp_path / "socket"))
    assert ask(upstream.origin).body == b"hi"
    assert b"Host: localhost\r\n" in upstream.received()


def test_a_unix_socket_that_is_not_there(ask: Asker, tmp_path: Path, settled: None) -> None:
    with pytest.raises(UpstreamRefused, match="No such file"):
        ask(Origin("unix", str(tmp_path / "none"), 0))


# Time.


def test_no_answer_in_time(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST])
    with pytest.raises(UpstreamTimeout, match="begin its answer in time") as caught:
        ask(upstream.origin, response=SOON)
    assert caught.value.status == 504
    until(upstream.over)


def test_an_interim_answer_or_half_a_head_is_none_in_time(ask: Asker, serve: Serve) -> None:
    for begun in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"):
        upstream = serve([REQUEST, begun])
        with pytest.raises(UpstreamTimeout, match="begin its answer in time"):
            ask(upstream.origin, response=SOON)
        until(upstream.over)


def test_a_body_that_pauses_for_too_long(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"hello")[:-2]])
    response = ask.open(upstream.origin, idle=SOON)
    pieces = iter(response)
    assert next(pieces) == b"hel"
    with pytest.raises(UpstreamTimeout, match="paused too long"):
        ask.run(lambda: next(pieces))
    until(upstream.over)


def test_a_body_may_take_longer_than_its_pauses(ask: Asker, serve: Serve) -> None:
    def slowly(conversation: Conversation) -> None:
        for _ in range(30):
            conversation.over.wait(0.02)
            conversation.sock.sendall(b"x")

    upstream = serve([REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", slowly])
    assert ask(upstream.origin, idle=0.3, response=0.3).body == b"x" * 30


# How a body ends.

CUT = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
    "length, nothing of it": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "chunk": CHUNKED + b"5\r\nhel",
    "between chunks": CHUNKED + b"3\r\nhel\r\n",
    "no final line": CHUNKED + b"3\r\nhel\r\n0\r\n",
}


@pytest.mark.parametrize("last", [close, reset])
@pytest.mark.parametrize("name", CUT)
def test_a_body_cut_short_raises(name: str, last: Step, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, CUT[name], last])
    with pytest.raises(UpstreamGarbled, match="closed within its answer") as caught:
        ask(upstream.origin)
    assert caught.value.status == 502


@pytest.mark.parametrize("name", CUT)
def test_a_body_cut_short_raises_with_tls(
    name: str, serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    upstream = serve([REQUEST, CUT[name], close], tls=authority.local)
    with pytest.raises(UpstreamGarbled, match="closed within its answer"):
        make_asker(tls=authority.trusted)(upstream.origin)


def test_a_head_cut_short_raises_and_is_not_asked_again(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, b"HTTP/1.1 200 OK\r\nContent-", close])
    with pytest.raises(UpstreamGarbled, match="closed within its answer"):
        ask(upstream.origin)
    assert upstream.count == 1


def test_a_chunked_body_that_turns_to_garbage_raises(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, CHUNKED + b"3\r\nhel\r\n", b"garbage\r\n"])
    with pytest.raises(UpstreamGarbled):
        ask(upstream.origin)
    until(upstream.over)


def test_a_body_without_framing_ends_with_the_connection(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, UNTIL_CLOSE, b"hel", b"lo", close])
    assert ask(upstream.origin).body == b"hello"


def test_a_body_without_framing_is_cut_by_a_reset(ask: Asker, serve: Serve) -> None:
    """RFC 9112, 8: an error of the connection leaves it incomplete."""
    read = Event()
    upstream = serve([REQUEST, UNTIL_CLOSE + b"hel", read, reset])
    pieces = iter(ask.open(upstream.origin))
    assert ask.run(lambda: next(pieces)) == b"hel"
    read.set()
    with pytest.raises(UpstreamGarbled):
        ask.run(lambda: b"".join(pieces))


def test_a_body_without_framing_ends_with_tls_properly_closed(
    serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    def close_notify(conversation: Conversation) -> None:
        assert isinstance(conversation.sock, ssl.SSLSocket)
        conversation.sock.unwrap()

    upstream = serve([REQUEST, UNTIL_CLOSE + b"hello", close_notify], tls=authority.local)
    assert make_asker(tls=authority.trusted)(upstream.origin).body == b"hello"


def test_a_body_without_framing_is_cut_by_tls_that_just_ends(
    serve: Serve, make_asker: MakeAsker, authority: Certificates
) -> None:
    """RFC 9112, 9.8: without a close_notify it may have been truncated by anyone."""
    upstream = serve([REQUEST, UNTIL_CLOSE + b"hel", close], tls=authority.local)
    with pytest.raises(UpstreamGarbled):
        make_asker(tls=authority.trusted)(upstream.origin)


# What a body is.


def test_pieces_arrive_as_they_are_sent(ask: Asker, serve: Serve) -> None:
    read = Event()
    upstream = serve([REQUEST, CHUNKED + b"3\r\nhel\r\n", read, b"2\r\nlo\r\n0\r\n\r\n"])
    pieces = iter(ask.open(upstream.origin))
    assert ask.run(lambda: next(pieces)) == b"hel"
    read.set()
    assert ask.run(lambda: b"".join(pieces)) == b"lo"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_every_byte_arrives_unchanged(size: int, framing: str, ask: Asker, serve: Serve) -> None:
    body = os.urandom(size)
    script: dict[str, list[Step]] = {
        "length": [answer(body)],
        "chunked": [CHUNKED, *([b"%x\r\n%b\r\n" % (size, body)] if size else []), b"0\r\n\r\n"],
        "until close": [UNTIL_CLOSE + body, close],
    }
    assert ask(serve([REQUEST, *script[framing]]).origin).body == body


def test_gzip_stays_gzip(ask: Asker, serve: Serve) -> None:
    body = gzip.compress(b"hello" * 1000)
    got = ask(serve([REQUEST, answer(body, b"Content-Encoding: gzip")]).origin)
    assert got.body == body
    assert (b"Content-Encoding", b"gzip") in got.headers


def test_a_slow_reader_holds_the_upstream_back(ask: Asker, serve: Serve) -> None:
    """Rule 13: no more is taken than what the buffers hold; all of it comes once it is read."""
    size, held = 64 << 20, Event()

    def flood(conversation: Conversation) -> None:
        conversation.sock.settimeout(0.2)
        while conversation.sent < size:
            try:
                conversation.sent += conversation.sock.send(bytes(1 << 20))
            except TimeoutError:
                held.set()

    upstream = serve([REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, flood])
    response = ask.open(upstream.origin)
    until(held.is_set)
    assert upstream.conversations[0].sent < size / 2
    assert ask.run(lambda: sum(map(len, response))) == size
