"""The life of a client's connection: kept, pipelined, closed, each in its order (RFC 9112, 9)."""

from __future__ import annotations

import pytest

from tests.conftest import Process
from tests.rules.conftest import CLOSE, NOWHERE, TYPES, X, chunked, last, request, told
from tests.rules.plugin import OK, Asked, Plugin, Wire, says_and_closes
from tests.rules.reading import Session, ask, read

KEEP = b"Connection: keep-alive"


def test_a_connection_is_kept_and_so_is_the_plugins(session: Session, plugin: Plugin) -> None:
    for method in ("GET", "POST", "HEAD", "DELETE", "GET"):
        plugin.answers(told(b"") if method == "HEAD" else OK)
        answer = session.ask(request(b"Content-Length: 0", method=method.encode()), method)
        assert (answer.status, answer.values(b"Connection")) == (200, [])
    assert [asked.connection for asked in plugin.asked] == [0] * 5


@pytest.mark.parametrize(
    ("version", "line", "kept"),
    [
        (b"1.1", None, True), (b"1.1", KEEP, True), (b"1.1", CLOSE, False), (b"1.1", b"connection: CLOSE", False),
        (b"1.1", b"Connection: x-a, close", False), (b"1.1", b"Connection: close, keep-alive", False),
        (b"1.0", None, False), (b"1.0", KEEP, True), (b"1.0", CLOSE, False), (b"1.0", b"Connection: x-a", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", [X, TYPES, NOWHERE])
def test_who_closes_says_so(
    session: Session, plugin: Plugin, version: bytes, line: bytes | None, kept: bool, target: bytes
) -> None:
    answer = session.ask(request(*([line] if line else []), version=version, target=target))
    said = b"keep-alive" if version == b"1.0" else None
    assert answer.values(b"Connection") == ([said] if said else []) if kept else [b"close"]
    if kept:
        assert session.ask(last(target=TYPES)).status == 200
    assert session.ended


def test_a_plugin_that_closes_does_not_close_the_clients(session: Session, plugin: Plugin) -> None:
    plugin.answers(says_and_closes(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
    assert session.ask(request()).values(b"Connection") == []
    assert session.ask(request()).status == 200


def test_an_error_of_a_request_that_could_be_read_keeps_the_connection(session: Session, plugin: Plugin) -> None:
    for target, status in ((NOWHERE, 502), (b"/none", 404), (X.replace(b"/x", b"/../x"), 400), (X, 200)):
        assert session.ask(request(target=target)).status == status


def test_pipelined_requests_are_answered_in_order(broker: Process, plugin: Plugin) -> None:
    """However long the plugin takes for the first, and whoever answers (RFC 9112, 9.3.2)."""
    body = b"12345"

    def echo(wire: Wire, asked: Asked) -> None:
        wire.read_body()
        wire.send(told(asked.line.split()[1].rpartition(b"/")[2] + bytes(asked.body)))

    plugin.answers(*[echo] * 9)
    kinds = [
        lambda target: request(target=target),
        lambda target: request(b"Content-Length: 5", method=b"PUT", target=target, body=body),
        lambda target: request(
            b"Transfer-Encoding: chunked", method=b"POST", target=target, body=chunked(b"123", b"45")
        ),
    ]
    requests = [kinds[number % 3](X + b"/%d" % number) for number in range(9)]
    requests[4:4] = [request(target=TYPES), request(target=b"/none"), request(method=b"HEAD", target=TYPES)]
    methods = ["GET", "PUT", "POST", "GET", "GET", "GET", "HEAD", "PUT", "POST", "GET", "PUT", "POST", "GET"]
    answers = read(broker.raw(b"".join(requests) + last(target=TYPES)), *methods)
    assert [answer.status for answer in answers] == [200] * 5 + [404] + [200] * 7
    own = [answer.body for place, answer in enumerate(answers) if place not in (4, 5, 6, 12)]
    assert own == [b"%d" % number + (body if number % 3 else b"") for number in range(9)]


def test_pipelined_requests_split_anywhere(session: Session, plugin: Plugin) -> None:
    data = request(b"Content-Length: 3", method=b"PUT", body=b"abc") * 3
    for start in range(0, len(data), 7):
        session.send(data[start : start + 7])
    assert [session.answer("PUT").status for _ in range(3)] == [200, 200, 200]
    assert [bytes(asked.body) for asked in plugin.asked] == [b"abc"] * 3


def test_nothing_is_read_after_a_close_or_a_refusal(broker: Process, plugin: Plugin) -> None:
    assert [answer.status for answer in read(broker.raw(last() + request()), "GET")] == [200]
    assert len(plugin.asked) == 1
    plugin.reset()
    for bad in (b"nonsense\r\n\r\n", request(b"X A: b"), request(b"Content-Length: 1", b"Content-Length: 1")):
        answers = read(broker.raw(request(target=TYPES) + bad + request()), "GET", "GET")
        assert [answer.status for answer in answers] == [200, 400]
    assert plugin.asked == []


@pytest.mark.parametrize("size", [10, 60_000, 3_000_000])
def test_a_body_that_nobody_reads_is_never_the_next_request(session: Session, plugin: Plugin, size: int) -> None:
    """It is dropped, or the connection ends with the answer."""
    hidden = request(target=X + b"/hidden")
    body = hidden + b"x" * (size - len(hidden)) if size > len(hidden) else b"x" * size
    session.send(request(b"Content-Length: %d" % len(body), method=b"PUT", target=b"/none"))
    try:
        session.send(body + last(target=TYPES))
    except OSError:
        assert size > 65536
    answer = session.answer("PUT")
    assert answer.status == 404
    if not answer.values(b"Connection"):
        assert session.answer().status == 200
    assert plugin.asked == []


def test_empty_lines_before_a_request_are_passed_over(broker: Process, plugin: Plugin) -> None:
    """RFC 9112, 2.2: of old clients, which send one after a body."""
    raw = broker.raw(request(b"Content-Length: 3", method=b"POST", body=b"abc") + b"\r\n" + last())
    assert [answer.status for answer in read(raw, "POST", "GET")] == [200, 200]
    assert ask(broker, b"\r\n" * 100 + last()).status == 400


def test_the_answer_to_http_1_0_is_framed_for_it(session: Session, plugin: Plugin) -> None:
    plugin.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    answer = session.ask(request(KEEP, version=b"1.0"))
    assert (answer.body, answer.values(b"Transfer-Encoding"), answer.whole) == (b"ok", [], True)


def test_a_client_may_be_slow_within_the_limits(session: Session, plugin: Plugin) -> None:
    data = request(b"Transfer-Encoding: chunked", method=b"PUT", body=chunked(b"abc", b"def"))
    for byte in data:
        session.send(bytes([byte]))
    assert session.answer("PUT").status == 200
    assert bytes(plugin.only.body) == b"abcdef"
