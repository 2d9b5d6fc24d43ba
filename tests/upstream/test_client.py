"""Requests through the pool: what is reused, what is sent twice and what never is, streams, and cancelling."""

from __future__ import annotations

import os
import socket
import time
from functools import partial
from threading import Event

import pytest

from app.core.origin import Origin
from app.errors import ClientGone, RequestTimeout, UpstreamGarbled, UpstreamRefused, UpstreamTimeout
from app.net.tls import Tls
from app.upstream.connection import UpstreamConnection
from app.upstream.pool import Pool
from tests.conftest import needs_source
from tests.upstream.conftest import (
    CHUNKED,
    REQUEST,
    SOON,
    UNTIL_CLOSE,
    Asker,
    Conversation,
    MakeAsker,
    Serve,
    Step,
    Upload,
    Upstream,
    answer,
    close,
    reads,
    reset,
    resolves,
    until,
    whole,
)

SAFE_AGAIN = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]
NEVER_AGAIN = ["POST", "PATCH"]


class Blind(Pool):
    """A pool that does not look whether a connection was closed, as if the close came just after the look."""

    def take(self, origin: Origin, tls: Tls | None = None) -> UpstreamConnection | None:
        idle = self._idle[origin]
        if not idle:
            return None
        idle[-1].unpark()
        return idle.pop()


class Broken(Pool):
    """A pool whose connections take no byte any more."""

    def take(self, origin: Origin, tls: Tls | None = None) -> UpstreamConnection | None:
        connection = super().take(origin, tls)
        if connection is not None:
            connection.sock.shutdown(socket.SHUT_WR)
        return connection


# What goes out.


def test_a_request_as_it_is_sent(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"")])
    headers = [(b"X-b", b"1"), (b"x-A", b""), (b"X-B", b"\xe9"), (b"Cookie", b"a"), (b"Cookie", b"b")]
    ask(upstream.origin, "REPORT", target=b"/a%2Fb//c?d=%ff&d", headers=headers)
    assert upstream.received() == (
        b"REPORT /a%%2Fb//c?d=%%ff&d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"X-b: 1\r\nx-A: \r\nX-B: \xe9\r\nCookie: a\r\nCookie: b\r\n\r\n" % upstream.origin.port
    )


@pytest.mark.parametrize("value", [b"a\r\nB: c", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_that_would_split_the_request_is_not_sent(value: bytes, ask: Asker, dead: Origin) -> None:
    with pytest.raises(ValueError, match="control byte"):
        ask(dead, headers=[(b"A", value)])


def test_a_body_with_a_length(ask: Asker, serve: Serve) -> None:
    upstream = serve([reads(b"end"), answer(b"ok")])
    assert ask(upstream.origin, "POST", body=Upload(b"\0\r\n", b"0\r\n\r\n", b"end", length=11)).body == b"ok"
    assert upstream.received().endswith(b"\r\nContent-Length: 11\r\n\r\n\0\r\n0\r\n\r\nend")


def test_a_large_body_with_a_length_is_streamed(make_asker: MakeAsker, serve: Serve) -> None:
    seen = Event()
    upstream = serve([REQUEST, lambda _: seen.set(), reads(b"last"), answer(b"ok")])

    def last() -> bytes:
        until(seen.is_set)
        return b"last"

    make_asker(replay_limit=5)(upstream.origin, "POST", body=Upload(b"first", last, length=9))
    assert upstream.received().endswith(b"\r\nContent-Length: 9\r\n\r\nfirstlast")


def test_a_body_without_a_length_is_streamed_chunked(ask: Asker, serve: Serve) -> None:
    seen = Event()
    upstream = serve([reads(b"first\r\n"), lambda _: seen.set(), reads(b"0\r\n\r\n"), answer(b"ok")])

    def last() -> bytes:
        until(seen.is_set)
        return b"0123456789abcdef"

    assert ask(upstream.origin, "POST", body=Upload(b"first", last)).body == b"ok"
    expected = b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
    assert upstream.received().endswith(expected)


@pytest.mark.parametrize("length", [16 << 20, None])
def test_a_piece_that_goes_out_in_parts_arrives_whole(length: int | None, ask: Asker, serve: Serve) -> None:
    mark = b"the end of it all"
    data = os.urandom((16 << 20) - len(mark)) + mark
    upstream = serve([reads(mark), *([] if length else [reads(b"0\r\n\r\n")]), answer(b"ok")])
    assert ask(upstream.origin, "POST", body=Upload(data, length=length)).body == b"ok"
    framed = data if length else b"1000000\r\n%b\r\n0\r\n\r\n" % data
    same = upstream.received().partition(b"\r\n\r\n")[2] == framed
    assert same  # not compared here: a difference of 16 MiB is no good reading


def test_an_empty_chunked_body(ask: Asker, serve: Serve) -> None:
    upstream = serve([reads(b"chunked\r\n\r\n0\r\n\r\n"), answer(b"ok"), REQUEST, answer(b"")])
    assert ask(upstream.origin, "POST", body=Upload()).body == b"ok"
    ask(upstream.origin)


@pytest.mark.parametrize("length", [None, 1 << 20])
def test_an_upload_that_breaks_off_is_not_sent_on_as_complete(length: int | None, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST])
    with pytest.raises(RequestTimeout):
        ask(upstream.origin, "POST", body=Upload(b"half", RequestTimeout("late"), length=length))
    until(upstream.over)
    assert b"half" in upstream.received()
    assert not upstream.received().endswith(b"0\r\n\r\n")
    assert upstream.count == 1


@pytest.mark.parametrize("length", [None, 1 << 30])
def test_an_upstream_that_takes_no_more_holds_the_upload_back(length: int | None, ask: Asker, serve: Serve) -> None:
    """Rule 13, and rule 17's idle limit."""
    upload = Upload(*[bytes(1 << 16)] * (1 << 14), length=length)
    stopped = Event()
    upstream = serve([REQUEST, stopped])
    with pytest.raises(UpstreamTimeout, match="took no more"):
        ask(upstream.origin, "PUT", body=upload, idle=SOON)
    stopped.set()
    assert upload.taken < 32 << 20


# What comes back.


def test_an_answer_as_it_came(ask: Asker, serve: Serve) -> None:
    lines = (b"set-cookie: a", b"X-B: \xe9", b"SET-COOKIE: b", b"x-b:")
    got = ask(serve([REQUEST, answer(b"\0\xff", *lines, status=b"299 Not \xe9 reason")]).origin)
    assert got == (
        299,
        "Not \xe9 reason",
        [
            (b"set-cookie", b"a"),
            (b"X-B", b"\xe9"),
            (b"SET-COOKIE", b"b"),
            (b"x-b", b""),
            (b"Content-Length", b"2"),
        ],
        b"\0\xff",
    )


def test_interim_answers_are_skipped(ask: Asker, serve: Serve) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    upstream = serve([REQUEST, *interim, answer(b"first"), REQUEST, b"".join(interim) + answer(b"second")])
    for expected in (b"first", b"second"):
        got = ask(upstream.origin)
        assert (got.status, got.headers, got.body) == (200, [(b"Content-Length", b"%d" % len(expected))], expected)


def test_a_switch_of_protocols_is_an_error(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"])
    with pytest.raises(UpstreamGarbled, match="switched protocols"):
        ask(upstream.origin)
    until(upstream.over)


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"\x15\x03\x01", b"HTTP/1.1 200 OK\nA: b\n\n"])
def test_what_is_no_http_is_an_error_and_is_not_asked_again(data: bytes, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, data])
    with pytest.raises(UpstreamGarbled) as caught:
        ask(upstream.origin)
    assert caught.value.status == 502
    until(upstream.over)


BODILESS = {
    "HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    "HEAD, chunked": ("HEAD", CHUNKED),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n"),
}


@pytest.mark.parametrize("name", BODILESS)
def test_no_body_is_waited_for_where_none_comes(name: str, ask: Asker, serve: Serve) -> None:
    method, head = BODILESS[name]
    upstream = serve([REQUEST, head, REQUEST, answer(b"next")])
    assert ask(upstream.origin, method).body == b""
    assert ask(upstream.origin).body == b"next"
    assert upstream.count == 1


# Which connection.


@pytest.mark.parametrize(
    "first",
    [answer(b"first"), CHUNKED + b"5\r\nfirst\r\n0\r\n\r\n", CHUNKED + b"5\r\nfirst\r\n0\r\nTrailer: x\r\n\r\n"],
    ids=["length", "chunked", "trailer"],
)
def test_a_connection_is_reused(first: bytes, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, first, REQUEST, answer(b"second")])
    assert ask(upstream.origin).body == b"first"
    assert ask(upstream.origin).body == b"second"
    assert upstream.count == 1


@pytest.mark.parametrize(
    "script",
    [
        [answer(b"first", b"Connection: close")],
        [answer(b"first").replace(b"1.1", b"1.0")],
        [UNTIL_CLOSE, b"first", close],
        [answer(b"first"), close],
    ],
    ids=["asked to close", "HTTP/1.0", "until close", "just closed"],
)
def test_a_connection_that_ends_is_not_reused(script: list[Step], ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, *script], [REQUEST, answer(b"second")])
    assert ask(upstream.origin).body == b"first"
    until(upstream.over)
    assert ask(upstream.origin, "POST").body == b"second"
    assert ask.retries == []


@pytest.mark.parametrize("extra", [b"junk", answer(b"forged"), b"HTTP/1.1 200"], ids=["junk", "answer", "half"])
def test_extra_bytes_poison_only_their_connection(extra: bytes, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"first") + extra], [REQUEST, answer(b"second")])
    assert ask(upstream.origin).body == b"first"
    assert ask(upstream.origin).body == b"second"
    assert ask.retries == []
    until(upstream.over)


def test_extra_bytes_that_come_late_poison_only_their_connection(ask: Asker, serve: Serve) -> None:
    taken = Event()
    upstream = serve([REQUEST, answer(b"first"), taken, answer(b"forged")], [REQUEST, answer(b"second")])
    assert ask(upstream.origin).body == b"first"
    taken.set()
    until(upstream.over)
    assert ask(upstream.origin).body == b"second"


def test_each_request_of_two_at_once_has_its_connection(ask: Asker, serve: Serve) -> None:
    go = Event()
    script: list[Step] = [reads(b"GET /"), go, answer(b"hello")]
    upstream = serve(script, script)
    tasks = [ask.begin(upstream.origin) for _ in range(2)]
    until(lambda: upstream.received(0) and upstream.received(1))
    go.set()
    assert [task.result().body for task in tasks] == [b"hello", b"hello"]


def test_a_body_not_read_to_its_end_ends_its_connection(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"first")[:-1]], [REQUEST, answer(b"second")])
    response = ask.open(upstream.origin)
    ask.run(response.close)
    until(upstream.over)
    assert ask(upstream.origin).body == b"second"


# What is sent again (rules 16 and 19).


def after_a_close(ask: Asker, upstream: Upstream, method: str) -> bytes:
    """The body of a second answer, asked for before the loop has heard that the first's connection was closed."""

    def both() -> bytes:
        assert whole(ask.send(upstream.origin)).body == b"first"
        upstream.wait()
        return whole(ask.send(upstream.origin, method)).body

    return ask.run(both)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_pooled_connection_that_was_closed_costs_nothing(method: str, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"first"), close], [REQUEST, answer(b"second")])
    assert after_a_close(ask, upstream, method) == b"second"
    assert ask.retries == []


@needs_source
def test_a_pooled_connection_that_was_not_seen_to_close_costs_one_retry(make_asker: MakeAsker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"first"), close], [REQUEST, answer(b"second")])
    ask = make_asker(Blind(8, 60))
    assert after_a_close(ask, upstream, "GET") == b"second"
    assert len(ask.retries) == 1


@pytest.mark.parametrize("last", [close, reset])
@pytest.mark.parametrize("method", SAFE_AGAIN)
def test_a_close_that_crosses_a_request_costs_one_retry(
    method: str, last: Step, make_asker: MakeAsker, serve: Serve
) -> None:
    head = b"HTTP/1.1 204 Done\r\n\r\n"
    upstream = serve([REQUEST, answer(b"first"), REQUEST, last], [REQUEST, head])
    ask = make_asker()
    assert ask(upstream.origin).body == b"first"
    assert ask(upstream.origin, method, target=b"/again").status == 204
    assert upstream.received(0).endswith(upstream.received(1))
    assert len(ask.retries) == 1


@pytest.mark.parametrize("last", [close, reset])
@pytest.mark.parametrize("method", NEVER_AGAIN)
def test_a_post_that_was_written_is_not_sent_again(method: str, last: Step, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"first"), reads(b"body"), last])
    assert ask(upstream.origin).body == b"first"
    with pytest.raises(UpstreamGarbled, match="closed without an answer"):
        ask(upstream.origin, method, body=b"body")
    assert upstream.count == 1
    assert ask.retries == []


@needs_source
@pytest.mark.parametrize("method", SAFE_AGAIN + NEVER_AGAIN)
def test_what_was_not_written_at_all_is_sent_again(method: str, make_asker: MakeAsker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"first")], [reads(b"body"), b"HTTP/1.1 204 Done\r\n\r\n"])
    ask = make_asker(Broken(8, 60))
    assert ask(upstream.origin).body == b"first"
    assert ask(upstream.origin, method, body=Upload(b"bo", b"dy", length=4)).status == 204
    assert len(ask.retries) == 1
    assert upstream.received(0).count(b" HTTP/1.1\r\n") == 1


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_it_is_sent_again_once_only(method: str, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, close], [REQUEST, close])
    with pytest.raises(UpstreamGarbled, match="twice"):
        ask(upstream.origin, method)
    assert upstream.count == 2
    assert len(ask.retries) == 1


def test_a_second_try_takes_no_connection_from_the_pool(ask: Asker, serve: Serve) -> None:
    """It may be as stale as the first."""
    both = Event()
    first: list[Step] = [REQUEST, both, answer(b"old"), Conversation.receive, close]
    upstream = serve(first, first, [REQUEST, answer(b"new")])
    tasks = [ask.begin(upstream.origin) for _ in range(2)]
    until(lambda: upstream.received(0) and upstream.received(1))
    both.set()
    assert [task.result().body for task in tasks] == [b"old", b"old"]
    assert ask(upstream.origin).body == b"new"
    assert len(ask.retries) == 1


@pytest.mark.parametrize("length", [65536, 65537, None])
def test_only_a_body_within_the_replay_limit_is_sent_again(length: int | None, ask: Asker, serve: Serve) -> None:
    size = length or 10
    end: Step = reads(b"\r\n\r\n" + b"x" * size) if length else reads(b"0\r\n\r\n")
    again = length == 65536
    upstream = serve([end, close], *([[end, answer(b"ok")]] if again else []))
    upload = Upload(b"x" * (size - 1), b"x", length=length)
    if again:
        assert ask(upstream.origin, "PUT", body=upload).body == b"ok"
        assert upstream.received(0) == upstream.received(1)
    else:
        with pytest.raises(UpstreamGarbled, match="closed without an answer"):
            ask(upstream.origin, "PUT", body=upload)
    assert upstream.count == 1 + again


def test_a_timeout_is_no_reason_to_send_again(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST])
    with pytest.raises(UpstreamTimeout):
        ask(upstream.origin, response=SOON)
    assert upstream.count == 1
    assert ask.retries == []


@pytest.mark.parametrize("method", ["send", "fetch"])
def test_the_second_try_has_what_the_first_left_of_the_time(method: str, ask: Asker, serve: Serve) -> None:
    """A request that is sent again is answered no later than one that is not."""
    upstream = serve([REQUEST, lambda _: time.sleep(0.6), close], [REQUEST])
    began = time.monotonic()
    fetch = partial(ask.client.fetch, upstream.origin, "GET", b"/", [], connect_timeout=9, response_timeout=1.0)
    sent = partial(ask.send, upstream.origin, response=1.0)
    with pytest.raises(UpstreamTimeout, match="begin its answer"):
        ask.run(fetch if method == "fetch" else sent)
    assert 0.9 < time.monotonic() - began < 1.4
    assert (upstream.count, len(ask.retries)) == (2, 1)


def test_in_a_storm_of_failures_a_share_is_sent_again(make_asker: MakeAsker, serve: Serve) -> None:
    """However many fail, the upstream gets a fifth more, and ten at first: here of all but the first."""
    ask = make_asker(retry_share=0.2)
    upstream = serve(*[[REQUEST, close]] * (50 + 10 + 9))
    for _ in range(50):
        with pytest.raises(UpstreamGarbled):
            ask(upstream.origin)
    assert len(ask.retries) == 19


# An answer that comes before the request's end.


@pytest.mark.parametrize("length", [None, 1 << 20])
def test_an_early_answer_ends_the_upload(length: int | None, ask: Asker, serve: Serve) -> None:
    """The next piece never comes: the answer is told while it is waited for."""
    upstream = serve(
        [reads(b"first"), answer(b"no", status=b"413 Too Large")],
        [REQUEST, answer(b"next")],
    )

    got = ask(upstream.origin, "POST", body=Upload(b"first", ask.never, length=length))
    assert (got.status, got.body) == (413, b"no")
    until(upstream.over)
    assert b"unwanted" not in upstream.received()
    assert ask(upstream.origin).body == b"next"  # not on the connection where the rest of a body is due


@pytest.mark.parametrize("length", [None, 1 << 30])
def test_an_early_answer_is_told_while_the_upstream_takes_no_more(length: int | None, ask: Asker, serve: Serve) -> None:
    read = Event()
    upstream = serve([REQUEST, answer(b"no", status=b"413 Too Large"), read])
    upload = Upload(*[bytes(1 << 16)] * (1 << 14), length=length)
    assert ask(upstream.origin, "POST", body=upload).status == 413
    assert upload.taken < 32 << 20
    read.set()


def test_an_early_success_does_not_end_the_upload(ask: Asker, serve: Serve) -> None:
    answered = Event()
    upstream = serve([reads(b"first"), answer(b"hello"), lambda _: answered.set(), reads(b"second")])

    def second() -> bytes:
        until(answered.is_set)
        return b"second"

    got = ask(upstream.origin, "POST", body=Upload(b"first", second, b"third", length=None))
    assert (got.status, got.body) == (200, b"hello")
    until(lambda: b"third" in upstream.received())


def test_an_early_answer_may_go_on_after_the_upload_was_given_up(ask: Asker, serve: Serve) -> None:
    opened = Event()
    upstream = serve([reads(b"first"), answer(b"hello", status=b"413 Too Large")[:-2], opened, b"lo"])
    response = ask.open(upstream.origin, "POST", body=Upload(b"first", ask.never))
    opened.set()
    assert ask.run(lambda: whole(response)).body == b"hello"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_early_answer_that_is_followed_by_a_reset_is_told(method: str, ask: Asker, serve: Serve) -> None:
    """RFC 9112, 9.5: sending fails, and the answer that says why is already here."""
    upstream = serve([reads(b"first"), answer(b"no", b"Connection: close", status=b"413 Too Large"), reset])

    def second() -> bytes:
        upstream.wait()
        return b"second"

    got = ask(upstream.origin, method, body=Upload(b"first", second, b"third", b"fourth", length=1 << 20))
    assert (got.status, got.body) == (413, b"no")


def test_an_upstream_that_dies_during_an_upload_is_an_error(ask: Asker, serve: Serve) -> None:
    upstream = serve([reads(b"first"), reset])
    with pytest.raises(UpstreamGarbled, match="closed without an answer"):
        ask(upstream.origin, "PUT", body=Upload(b"first", ask.never))
    assert upstream.count == 1


# Names.


def test_the_second_address_is_tried_when_the_first_is_dead(
    ask: Asker, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = serve([REQUEST, answer(b"hi")])
    port = upstream.origin.port
    resolves(monkeypatch, (socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port)))
    assert ask(Origin("http", "plugin.example", port)).body == b"hi"
    assert b"Host: plugin.example:%d\r\n" % port in upstream.received()


def test_the_last_address_says_why_none_was_reached(
    ask: Asker, dead: Origin, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, (socket.AF_INET6, ("::1", dead.port, 0, 0)), (socket.AF_INET, ("127.0.0.1", dead.port)))
    with pytest.raises(UpstreamRefused, match="Connection refused"):
        ask(Origin("http", "plugin.example", dead.port))


def test_an_ipv6_literal(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"hi")], host="::1")
    assert ask(upstream.origin).body == b"hi"
    assert b"Host: [::1]:%d\r\n" % upstream.origin.port in upstream.received()


def test_a_name_that_is_not_there(ask: Asker, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UpstreamRefused, match=r"no host plugin\.example"):
        ask(Origin("http", "plugin.example", 80))


# A client that goes.


@pytest.mark.parametrize(
    "script", [[REQUEST], [REQUEST, CHUNKED + b"3\r\nhel\r\n"]], ids=["before the head", "within the body"]
)
def test_a_client_that_goes_ends_its_upstream_request(script: list[Step], ask: Asker, serve: Serve) -> None:
    upstream = serve(script)
    task = ask.begin(upstream.origin)
    until(upstream.received)
    task.kill()
    with pytest.raises(ClientGone):
        task.result()
    until(upstream.over)


def test_a_client_that_goes_within_its_upload_ends_it(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST])
    task = ask.begin(upstream.origin, "POST", body=Upload(b"half", ask.never))
    until(lambda: b"half" in upstream.received())
    task.kill()
    with pytest.raises(ClientGone):
        task.result()
    until(upstream.over)
    assert not upstream.received().endswith(b"0\r\n\r\n")


def test_a_client_that_goes_during_the_handshake_ends_it(ask: Asker, serve: Serve) -> None:
    upstream = serve([])
    task = ask.begin(upstream.origin._replace(scheme="https"))
    until(upstream.received)
    task.kill()
    with pytest.raises(ClientGone):
        task.result()
    until(upstream.over)


def test_one_that_goes_leaves_the_others_be(ask: Asker, serve: Serve) -> None:
    go = Event()
    script: list[Step] = [REQUEST, go, answer(b"hi")]
    upstream = serve(script, script)
    first = ask.begin(upstream.origin, target=b"/first")
    until(upstream.received)
    second = ask.begin(upstream.origin, target=b"/second")
    until(lambda: upstream.received(1))
    first.kill()
    with pytest.raises(ClientGone):
        first.result()
    go.set()
    assert second.result().body == b"hi"


# A small request, whole.


def test_fetch(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"one"), reads(b"{}"), CHUNKED + b"3\r\ntwo\r\n0\r\n\r\n"])
    fetch = partial(ask.client.fetch, upstream.origin, connect_timeout=60, response_timeout=60)
    assert ask.run(lambda: fetch("GET", b"/a", [(b"A", b"b")])).body == b"one"
    assert ask.run(lambda: fetch("PUT", b"/b", [], b"{}")).body == b"two"
    host = b"Host: 127.0.0.1:%d\r\n" % upstream.origin.port
    assert upstream.received() == (
        b"GET /a HTTP/1.1\r\n%bA: b\r\n\r\nPUT /b HTTP/1.1\r\n%bContent-Length: 2\r\n\r\n{}" % (host, host)
    )


def test_fetch_tells_an_empty_body_where_one_is_expected(ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"")])
    ask.run(lambda: ask.client.fetch(upstream.origin, "POST", b"/", [], connect_timeout=60, response_timeout=60))
    assert b"\r\nContent-Length: 0\r\n" in upstream.received()


@pytest.mark.parametrize("size", [100, 101])
def test_fetch_takes_no_more_than_its_limit(size: int, ask: Asker, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"x" * size)])

    def fetch() -> bytes:
        return ask.client.fetch(
            upstream.origin, "GET", b"/", [], connect_timeout=60, response_timeout=60, limit=100
        ).body

    if size == 100:
        assert ask.run(fetch) == b"x" * 100
    else:
        with pytest.raises(UpstreamGarbled, match="longer than 100 bytes"):
            ask.run(fetch)


def test_fetch_ends_in_time_even_if_the_answer_drips(ask: Asker, serve: Serve) -> None:
    def drip(conversation: Conversation) -> None:
        while True:
            conversation.sock.sendall(b"1\r\nx\r\n")
            conversation.over.wait(0.01)

    upstream = serve([REQUEST, CHUNKED, drip])
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout, match=r"in time|too long"):
        ask.run(lambda: ask.client.fetch(upstream.origin, "GET", b"/", [], connect_timeout=60, response_timeout=SOON))
    assert time.monotonic() - began < 2
    until(upstream.over)
