"""What the fuzzer, and attacks by hand, have found: bytes that were once read wrongly, and how they are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tests.fuzz.alternatives import BASE

GET = b"GET " + BASE + b"/next HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH_OF_GET = b"%d" % len(GET)


class Case(NamedTuple):
    """A client's bytes, how many requests they are, and with which status the rest is refused, if it is."""

    data: bytes
    requests: int
    refused: int = 0


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST " + BASE + b"/case " + version + b"\r\nHost: x\r\n" + head + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def hosted(host: bytes) -> bytes:
    return b"GET " + BASE + b"/case HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


def aimed(target: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"


SLACK = b";" + b"e" * 16300
"""An extension that a body may just cost; a second one it may only with enough data between them."""

REQUESTS: Mapping[str, Case] = {
    # A port that does not exist, an address that is none: the regular expression of Host took them.
    "two expectations and a bad chunk": Case(
        post(*[b"Expect: 100-continue"] * 2, b"Transfer-Encoding: chunked", body=b"3 ;a\r\nabc\r\n0\r\n\r\n") + GET,
        0,
        417,
    ),
    "port 0": Case(hosted(b"a:0") + GET, 0, 400),
    "port 65536": Case(hosted(b"a:65536") + GET, 0, 400),
    "port 99999": Case(hosted(b"a:99999") + GET, 0, 400),
    "port 65535": Case(hosted(b"a:65535") + GET, 2),
    "port with zeros before it": Case(hosted(b"a:00080") + GET, 0, 400),
    "an address of two groups": Case(hosted(b"[1:2]") + GET, 0, 400),
    "an address of colons": Case(hosted(b"[:]") + GET, 0, 400),
    "an address with a zone": Case(hosted(b"[fe80::1%25eth0]") + GET, 0, 400),
    "an address": Case(hosted(b"[::ffff:1.2.3.4]:80") + GET, 2),
    "port 65536 in the target": Case(aimed(b"http://o:65536" + BASE) + GET, 0, 400),
    "port 0 in the target": Case(aimed(b"http://o:0" + BASE) + GET, 0, 400),
    # CGI's names: uWSGI's own HTTP router takes Content_Length for a Content-Length.
    "Content_Length": Case(post(b"Content_Length: " + LENGTH_OF_GET) + GET, 0, 400),
    "CONTENT_LENGTH beside Content-Length": Case(post(b"Content-Length: 0", b"CONTENT_LENGTH: 5") + GET, 0, 400),
    "Transfer_Encoding": Case(post(b"Transfer_Encoding: chunked") + GET, 0, 400),
    # Lengths that overflow a signed integer of 64 bits: a plugin could read a negative one.
    "a length of 2^63": Case(post(b"Content-Length: 9223372036854775808") + GET, 0, 400),
    "a length of 2^64 - 1": Case(post(b"Content-Length: 18446744073709551615") + GET, 0, 400),
    "a chunk size of 16 digits": Case(chunked(b"fffffffffffffffd\r\nabc\r\n0\r\n\r\n") + GET, 0, 400),
    # llhttp prefers keep-alive to close in HTTP/1.0, and obeys Proxy-Connection.
    "close and keep-alive in HTTP/1.0": Case(
        post(b"Connection: close", b"Connection: keep-alive", version=b"HTTP/1.0") + GET, 1
    ),
    "keep-alive, close in HTTP/1.0": Case(post(b"Connection: keep-alive, close", version=b"HTTP/1.0") + GET, 1),
    "Proxy-Connection: close": Case(post(b"Proxy-Connection: close") + GET, 2),
    # Fields of a trailer are dropped, whatever they say: llhttp obeyed Connection, and refused the framing ones.
    "close in a trailer": Case(chunked(b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n") + GET, 2),
    "an upgrade in a trailer": Case(chunked(b"0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n") + GET, 2),
    "a length in a trailer": Case(chunked(b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n") + GET, 2),
    "a coding in a trailer": Case(chunked(b"0\r\nTransfer-Encoding: gzip\r\n\r\n") + GET, 2),
    "an empty coding in a trailer": Case(chunked(b"0\r\nTransfer-Encoding:\r\n\r\n") + GET, 2),
    "a Host in a trailer": Case(chunked(b"0\r\nHost: evil\r\nHost: evil\r\n\r\n") + GET, 2),
    # llhttp takes chunk extensions without a name, or without the value that `=` announces.
    "an extension without a name": Case(chunked(b"3;=b\r\nabc\r\n0\r\n\r\n") + GET, 0, 400),
    "an extension of an equals sign": Case(chunked(b"3;=\r\nabc\r\n0\r\n\r\n") + GET, 0, 400),
    "an extension without its value": Case(chunked(b"3;a=\r\nabc\r\n0\r\n\r\n") + GET, 0, 400),
    # The bound on what chunks may cost hung on how their bytes were split.
    "slack that the data has earned": Case(
        chunked(b"1" + SLACK + b"\r\na\r\n1000\r\n" + b"a" * 4096 + b"\r\n1" + SLACK + b"\r\na\r\n0\r\n\r\n") + GET, 2
    ),
    "slack that is earned too late": Case(
        chunked(b"1" + SLACK + b"\r\na\r\n1" + SLACK + b"\r\na\r\n1000\r\n" + b"a" * 4096 + b"\r\n0\r\n\r\n"), 0, 400
    ),
    # Methods of other protocols that llhttp knows are unknown ones here.
    "HTTP/2's PRI": Case(aimed(BASE, b"PRI") + GET, 0, 501),
    "RTSP's DESCRIBE": Case(aimed(BASE, b"DESCRIBE") + GET, 0, 501),
    "RTSP's FLUSH": Case(aimed(BASE, b"FLUSH") + GET, 0, 501),
    # RFC 9112, 3.2.4.
    "OPTIONS for the whole server": Case(aimed(b"http://o", b"OPTIONS") + GET, 2),
    # llhttp's own, which we stay with.
    "a tab after the coding": Case(post(b"Transfer-Encoding: chunked\t", body=b"0\r\n\r\n") + GET, 0, 400),
}


class Answered(NamedTuple):
    """A plugin's bytes; what a strict peer reads: the status (0: refused), the body, whether it is whole."""

    data: bytes
    status: int
    body: bytes = b""
    whole: bool = True
    method: bytes = b"GET"
    reusable: bool = True


def answer(*lines: bytes, body: bytes = b"", status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return version + b" " + status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


ABC = answer(b"Content-Length: 3", body=b"abc")
CODED = b"Transfer-Encoding: chunked"
FORGED = answer(b"X-Forged: 1", b"Content-Length: 6", body=b"forged")

RESPONSES: Mapping[str, Answered] = {
    # Fields of a trailer: llhttp closed, or refused the next answer on the connection.
    "close in a trailer": Answered(answer(CODED, body=b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n"), 200, b"abc"),
    "Proxy-Connection in a trailer": Answered(
        answer(CODED, body=b"3\r\nabc\r\n0\r\nProxy-Connection: close\r\n\r\n"), 200, b"abc"
    ),
    "a length in a trailer": Answered(answer(CODED, body=b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n"), 200, b"abc"),
    "an extension without a name": Answered(answer(CODED, body=b"3;=\r\nabc\r\n0\r\n\r\n"), 0),
    "a length of 2^63": Answered(answer(b"Content-Length: 9223372036854775808", body=b"abc"), 0),
    "close and keep-alive in HTTP/1.0": Answered(
        answer(b"Connection: close", b"Connection: keep-alive", b"Content-Length: 3", body=b"abc", version=b"HTTP/1.0"),
        200,
        b"abc",
        reusable=False,
    ),
    # An interim answer ends at its empty line, whatever it says; for llhttp `close` in it was the connection's end.
    "a length in an interim answer": Answered(
        answer(b"Content-Length: 3", status=b"103 Early Hints") + ABC, 200, b"abc"
    ),
    "a length in 100": Answered(
        answer(b"Content-Length: %d" % len(FORGED), status=b"100 Continue") + FORGED, 200, b"forged"
    ),
    "chunked in an interim answer": Answered(answer(CODED, status=b"102 Processing") + ABC, 200, b"abc"),
    "a coding that is none in an interim answer": Answered(
        answer(b"Transfer-Encoding: 3", status=b"100 Continue") + ABC, 0
    ),
    "a long length in an interim answer": Answered(
        answer(b"Content-Length: " + b"0" * 20 + b"3", status=b"100 Continue") + ABC, 0
    ),
    "close in an interim answer": Answered(answer(b"Connection: close", status=b"100 Continue") + ABC, 200, b"abc"),
    # Where no body may be: whatever comes belongs to nothing.
    "a body after 204": Answered(
        answer(b"Content-Length: %d" % len(FORGED), body=FORGED, status=b"204 No Content"), 204, reusable=False
    ),
    "a body after 304": Answered(
        answer(b"Content-Length: %d" % len(FORGED), body=FORGED, status=b"304 Not Modified"), 304, reusable=False
    ),
    "a chunked body after 304": Answered(
        answer(CODED, body=b"3\r\nabc\r\n0\r\n\r\n", status=b"304 Not Modified"), 304, reusable=False
    ),
    "a body after HEAD": Answered(
        answer(b"Content-Length: %d" % len(FORGED), body=FORGED), 200, method=b"HEAD", reusable=False
    ),
    "a chunked body after HEAD": Answered(
        answer(CODED, body=b"3\r\nabc\r\n0\r\n\r\n"), 200, method=b"HEAD", reusable=False
    ),
    "two answers": Answered(ABC + FORGED, 200, b"abc", reusable=False),
    "an answer and the beginning of one": Answered(ABC + b"H", 200, b"abc", reusable=False),
    "both framings": Answered(answer(b"Content-Length: 3", CODED, body=b"3\r\nabc\r\n0\r\n\r\n"), 0),
    "both framings, the other way": Answered(answer(CODED, b"Content-Length: 3", body=b"3\r\nabc\r\n0\r\n\r\n"), 0),
    "both framings after HEAD": Answered(answer(b"Content-Length: 3", CODED), 0, method=b"HEAD"),
    "both framings in 304": Answered(answer(b"Content-Length: 3", CODED, status=b"304 Not Modified"), 0),
    "a forged header in a reason": Answered(answer(b"Content-Length: 0", status=b"200 OK\rX-Forged: 1"), 0),
    "a forged header in a value": Answered(answer(b"A: b\nX-Forged: 1", b"Content-Length: 0"), 0),
    "a forged answer in a value": Answered(answer(b"A: b\n\n" + FORGED, b"Content-Length: 0"), 0),
    "101": Answered(answer(b"Connection: upgrade", b"Upgrade: websocket", status=b"101 Switching Protocols") + ABC, 0),
}
"""Each is followed, on a connection that goes on or on another, by an answer that has to come through unharmed."""
