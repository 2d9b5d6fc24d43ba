"""From an upstream's bytes to a response: every framing, split anywhere, and what is refused."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from app.core.message import Headers
from app.errors import UpstreamGarbled
from app.upstream.protocol import HEAD_LIMIT, ResponseParser

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def parse(data: bytes, method: str = "GET", step: int = 1 << 30) -> ResponseParser:
    parser = ResponseParser()
    parser.begin(method)
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
    return parser


def result(parser: ResponseParser) -> tuple[int, bytes, Headers, bytes, bool, bool]:
    return parser.status, parser.reason, parser.headers, b"".join(parser.pieces), parser.complete, parser.reusable


class Case(NamedTuple):
    data: bytes
    body: bytes = b""
    status: int = 200
    reason: bytes = b"OK"
    method: str = "GET"
    length: int | None = 0
    reusable: bool = True


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

WHOLE = {
    "length": Case(OK, b"ok", length=2),
    "length of zero": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "length with zeros before it": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nok", b"ok", length=2),
    "binary": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\0\r\n\xff\r\n", b"\0\r\n\xff\r\n", length=6),
    "chunked": Case(CHUNKED + b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", b"hello world", length=None),
    "chunked, empty": Case(CHUNKED + b"0\r\n\r\n", length=None),
    "chunk sizes in both cases": Case(CHUNKED + b"a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", b"0123456789" * 2,
                                      length=None),
    "chunk that looks like an end": Case(CHUNKED + b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n", length=None),
    "chunk extension": Case(CHUNKED + b'2;a="b;c"\r\nok\r\n0;d\r\n\r\n', b"ok", length=None),
    "Chunked": Case(CHUNKED.replace(b"chunked", b"Chunked") + b"2\r\nok\r\n0\r\n\r\n", b"ok", length=None),
    "no reason": Case(b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", status=299, reason=b""),
    "no reason, no space": Case(b"HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n", status=299, reason=b""),
    "reason of words": Case(b"HTTP/1.1 418 I'm a \xe9\r\nContent-Length: 0\r\n\r\n", status=418, reason=b"I'm a \xe9"),
    "unregistered status": Case(b"HTTP/1.1 599 OK\r\nContent-Length: 0\r\n\r\n", status=599),
    "HEAD, length": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", method="HEAD"),
    "HEAD, chunked": Case(CHUNKED, method="HEAD"),
    "HEAD, no framing": Case(b"HTTP/1.1 200 OK\r\n\r\n", method="HEAD", reusable=False),
    "204": Case(b"HTTP/1.1 204 OK\r\n\r\n", status=204),
    "204, length": Case(b"HTTP/1.1 204 OK\r\nContent-Length: 9\r\n\r\n", status=204),
    "304": Case(b"HTTP/1.1 304 OK\r\n\r\n", status=304),
    "304, length": Case(b"HTTP/1.1 304 OK\r\nContent-Length: 9\r\n\r\n", status=304),
    "304, chunked": Case(b"HTTP/1.1 304 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status=304),
    "100": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok", length=2),
    "102, 103, 103": Case(
        b"HTTP/1.1 102 Processing\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + OK, b"ok", length=2
    ),
    "100 before HEAD's": Case(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", method="HEAD"
    ),
    "Connection: close": Case(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), b"ok", length=2, reusable=False),
    "HTTP/1.0": Case(OK.replace(b"1.1", b"1.0"), b"ok", length=2, reusable=False),
    "HTTP/1.0, keep-alive": Case(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok", length=2
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("step", [1, 2, 3, 1 << 30])
def test_a_response_is_whole(name: str, step: int) -> None:
    case = WHOLE[name]
    parser = parse(case.data, case.method, step)
    assert (parser.status, parser.reason, parser.length) == (case.status, case.reason, case.length)
    assert b"".join(parser.pieces) == case.body
    assert (parser.head_complete, parser.complete, parser.reusable) == (True, True, case.reusable)


@pytest.mark.parametrize("name", WHOLE)
def test_where_it_is_split_makes_no_difference(name: str) -> None:
    case = WHOLE[name]
    expected = result(parse(case.data, case.method))
    for cut in range(1, len(case.data)):
        parser = parse(case.data[:cut], case.method)
        parser.feed(case.data[cut:])
        assert result(parser) == expected


@pytest.mark.parametrize("name", WHOLE)
def test_cut_anywhere_it_is_never_whole(name: str) -> None:
    case = WHOLE[name]
    for cut in range(len(case.data)):
        parser = parse(case.data[:cut], case.method)
        assert not parser.complete
        assert not parser.end()
        assert not parser.reusable


@pytest.mark.parametrize("name", [name for name, case in WHOLE.items() if case.reusable])
def test_the_next_response_is_read_afresh(name: str) -> None:
    case = WHOLE[name]
    parser = parse(case.data, case.method)
    for _ in range(2):
        parser.begin("GET")
        assert not parser.started
        parser.feed(OK)
        assert result(parser) == (200, b"OK", [(b"Content-Length", b"2")], b"ok", True, True)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("step", [1, 1 << 30])
def test_without_framing_the_body_ends_with_the_connection(version: bytes, step: int) -> None:
    parser = parse(b"HTTP/%b 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" % version, step=step)
    assert (parser.complete, parser.length) == (False, None)
    assert parser.end()
    assert b"".join(parser.pieces) == b"HTTP/1.1 200 OK\r\n\r\n"
    assert not parser.reusable


def test_headers_keep_order_spelling_and_repetition() -> None:
    lines = b"set-cookie: a=1\r\nX-Empty:\r\nSET-Cookie: b=2, c\r\nX-B:  \xe9 \t \r\nx-b:\ty\r\nContent-Length: 0\r\n"
    for step in (1, 1000):
        assert parse(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n", step=step).headers == [
            (b"set-cookie", b"a=1"),
            (b"X-Empty", b""),
            (b"SET-Cookie", b"b=2, c"),
            (b"X-B", b"\xe9"),
            (b"x-b", b"y"),
            (b"Content-Length", b"0"),
        ]


def test_trailers_are_not_merged() -> None:
    trailers = b"0\r\nX-Late: 1\r\nSet-Cookie: a\r\n\r\n"
    for step in (1, 1000):
        parser = parse(CHUNKED + b"2\r\nok\r\n" + trailers, step=step)
        expected = [(b"Transfer-Encoding", b"chunked")]
        assert result(parser) == (200, b"OK", expected, b"ok", True, True)


def test_nothing_of_an_interim_answer_remains() -> None:
    parser = parse(b"HTTP/1.1 103 Early\r\nLink: </a>\r\nServer: x\r\n\r\n" + OK)
    assert (parser.reason, parser.headers) == (b"OK", [(b"Content-Length", b"2")])


EXTRA = {
    "junk": b"junk",
    "zero": b"\0",
    "response": b"HTTP/1.1 200 OK\r\nX-Forged: 1\r\nContent-Length: 6\r\n\r\nforged",
    "start of one": b"HTTP/1.1 2",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("extra", EXTRA.values(), ids=EXTRA)
@pytest.mark.parametrize("name", [name for name, case in WHOLE.items() if case.reusable])
def test_bytes_after_the_end_only_poison_the_connection(name: str, extra: bytes) -> None:
    case = WHOLE[name]
    together = parse(case.data + extra, case.method)
    apart = parse(case.data, case.method)
    apart.feed(extra)
    for parser in (together, apart):
        assert result(parser) == (*result(parse(case.data, case.method))[:-1], False)


def head(*lines: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED = {
    "two lengths": head(b"Content-Length: 2", b"Content-Length: 3") + b"abc",
    "two lengths that agree, one empty": head(b"Content-Length: 2", b"Content-Length:") + b"ab",
    "a list of lengths": head(b"Content-Length: 2, 3") + b"abc",
    "signed length": head(b"Content-Length: +2") + b"ab",
    "negative length": head(b"Content-Length: -2") + b"ab",
    "hexadecimal length": head(b"Content-Length: 0x2") + b"ab",
    "empty length": head(b"Content-Length:") + b"ab",
    "huge length": head(b"Content-Length: 99999999999999999999999"),
    "length and chunked": head(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked and length": head(b"Transfer-Encoding: chunked", b"Content-Length: 2") + b"0\r\n\r\n",
    "length and identity": head(b"Content-Length: 2", b"Transfer-Encoding: identity") + b"ab",
    "two codings": head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "two chunked": head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "chunked twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "gzip then chunked": head(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "gzip": head(b"Transfer-Encoding: gzip") + b"ab",
    "identity": head(b"Transfer-Encoding: identity") + b"ab",
    "xchunked": head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "empty coding": head(b"Transfer-Encoding:") + b"0\r\n\r\n",
    "chunked in 1.0": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "chunked in 1.0, kept alive": head(b"Connection: keep-alive", b"Transfer-Encoding: chunked").replace(b"1.1", b"1.0")
    + b"0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "101 without Upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "101 after 100": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n",
    "garbage that begins well": b"HTTP/1.1 hello\r\n\r\n",
    "empty line first": b"\r\n" + OK,
    "no status line": b"Content-Length: 2\r\n\r\nok",
    "a request": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "RTSP": OK.replace(b"HTTP/1.1", b"RTSP/1.0"),
    "ICY": OK.replace(b"HTTP/1.1", b"ICY"),
    "lower case": OK.replace(b"HTTP", b"http"),
    "HTTP/0.9": OK.replace(b"1.1", b"0.9"),
    "HTTP/1.2": OK.replace(b"1.1", b"1.2"),
    "HTTP/2.0": OK.replace(b"1.1", b"2.0"),
    "HTTP/2": OK.replace(b"1.1", b"2"),
    "status 000": OK.replace(b"200", b"000"),
    "status 099": OK.replace(b"200", b"099"),
    "status of two digits": OK.replace(b"200", b"20"),
    "status of four digits": OK.replace(b"200", b"2000"),
    "status of letters": OK.replace(b"200", b"2xx"),
    "two spaces before the status": OK.replace(b" 200", b"  200"),
    "bare LF": OK.replace(b"\r\n", b"\n"),
    "bare LF in the status line": OK.replace(b"\r\n", b"\n", 1),
    "bare CR in the reason": OK.replace(b"OK", b"O\rK"),
    "NUL in the reason": OK.replace(b"OK", b"O\0K"),
    "obs-fold": head(b"A: b", b" c", b"Content-Length: 0"),
    "space before the colon": head(b"Content-Length : 0"),
    "bare CR in a value": head(b"A: b\rc", b"Content-Length: 0"),
    "NUL in a value": head(b"A: b\0c", b"Content-Length: 0"),
    "NUL in a name": head(b"A\0: b", b"Content-Length: 0"),
    "no name": head(b": b", b"Content-Length: 0"),
    "no colon": head(b"A", b"Content-Length: 0"),
    "chunk size 0x2": CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    "chunk size +2": CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
    "chunk size with a space": CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
    "chunk size without digits": CHUNKED + b"\r\nok\r\n0\r\n\r\n",
    "chunk size that is huge": CHUNKED + b"fffffffffffffffff\r\nok",
    "chunk that is longer": CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
    "chunk without its end": CHUNKED + b"2\r\nok0\r\n\r\n",
    "chunks with bare LF": CHUNKED + b"2\nok\n0\n\n",
    "trailer with a space before the colon": CHUNKED + b"0\r\nA : b\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("step", [1, 1 << 30])
def test_what_is_no_valid_response_is_refused(name: str, step: int) -> None:
    with pytest.raises(UpstreamGarbled):
        parse(REFUSED[name], step=step)


FLOOD = 4 * HEAD_LIMIT
ENDLESS = {
    "one long header": b"HTTP/1.1 200 OK\r\nA: " + b"a" * FLOOD,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (FLOOD // 6),
    "a long reason": b"HTTP/1.1 200 " + b"a" * FLOOD,
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * (FLOOD // 25),
    "chunk extensions": CHUNKED + b"1;" + b"a" * FLOOD,
    "one long trailer": CHUNKED + b"0\r\nA: " + b"a" * FLOOD,
    "many trailers": CHUNKED + b"0\r\n" + b"A: b\r\n" * (FLOOD // 6),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_is_refused(name: str) -> None:
    with pytest.raises(UpstreamGarbled):
        parse(ENDLESS[name], step=65536)


def test_a_large_head_below_the_limit_is_taken() -> None:
    value = b"a" * (HEAD_LIMIT - 100)
    assert parse(head(b"A: " + value, b"Content-Length: 0"), step=4096).headers[0] == (b"A", value)


def test_a_body_may_be_larger_than_a_head() -> None:
    data = b"x" * FLOOD
    parser = parse(head(b"Content-Length: %d" % FLOOD) + data, step=65536)
    assert b"".join(parser.pieces) == data
    assert parser.complete
