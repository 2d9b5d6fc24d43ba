"""Rules 9 and 10: chunked both ways, split anywhere; what is beside the data is bounded, dropped and no header."""

from __future__ import annotations

import pytest

from tests.conftest import Process
from tests.rules.conftest import TYPES, chunked, last, request, told
from tests.rules.plugin import Plugin, byte_by_byte, says, says_and_closes
from tests.rules.reading import Session, ask, read

CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"HTTP/1.1 200 OK\r\n"
FORBIDDEN = [b"Host: other", b"Authorization: Basic eDp5", b"X-A: b"]


@pytest.mark.parametrize("field", FORBIDDEN)
def test_rule_03_and_10_a_trailer_is_dropped_and_no_header(broker: Process, plugin: Plugin, field: bytes) -> None:
    body = b"3\r\nabc\r\n0\r\n" + field + b"\r\nX-B: c\r\n\r\n"
    plugin.answers(says(HELLO + CHUNKED + b"\r\n\r\n" + body), told())
    lines = (CHUNKED, b"Trailer: X-A, X-B")
    first, second = read(broker.raw(request(*lines, method=b"POST", body=body) + last()), "POST", "GET")
    asked = plugin.asked[0]
    name = field.partition(b":")[0]
    assert (bytes(asked.body), bytes(asked.wire)) == (b"abc", b"3\r\nabc\r\n0\r\n\r\n")
    assert (asked.values(b"X-A"), asked.values(b"X-B"), asked.values(b"Trailer")) == ([], [], [])
    assert asked.values(name) == {b"Host": [b"127.0.0.1:%d" % plugin.port], b"Transfer-Encoding": [b"chunked"]}.get(
        name, []
    )
    assert (first.body, first.whole, first.values(b"X-A"), first.values(b"X-B")) == (b"abc", True, [], [])
    assert (second.status, len(plugin.asked)) == (200, 2)


STEPS = [1, 2, 3, 5, 8, 64]
BODY = bytes(range(256)) * 3
SPLIT = b"".join(b'%x;e="v"\r\n%b\r\n' % (len(p), p) for p in (BODY[i : i + 97] for i in range(0, len(BODY), 97)))


@pytest.mark.parametrize("step", STEPS)
def test_rule_09_a_chunked_request_may_be_split_anywhere(session: Session, plugin: Plugin, step: int) -> None:
    data = request(CHUNKED, method=b"POST", body=SPLIT + b"000\r\nT: t\r\n\r\n") + request(target=TYPES)
    for start in range(0, len(data), step):
        session.send(data[start : start + step])
    assert (session.answer("POST").status, session.answer().status) == (200, 200)
    assert bytes(plugin.only.body) == BODY


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_rule_09_a_chunked_answer_may_come_byte_by_byte(broker: Process, plugin: Plugin, version: bytes) -> None:
    plugin.answers(byte_by_byte(HELLO + CHUNKED + b"\r\n\r\n" + SPLIT + b"00\r\nT: t\r\n\r\n"))
    answer = ask(broker, request(b"Connection: close", version=version))
    assert (answer.body, answer.whole) == (BODY, True)


def test_rule_09_an_answer_with_a_length_may_come_byte_by_byte(broker: Process, plugin: Plugin) -> None:
    plugin.answers(byte_by_byte(told(b"a body", b"X-A: b")))
    answer = ask(broker, last())
    assert (answer.body, answer.values(b"X-A"), answer.values(b"Content-Length")) == (b"a body", [b"b"], [b"6"])


@pytest.mark.parametrize("size", [b"3", b"03", b"0000000003", b"3;a", b'3;a=b;c="d"'])
def test_rule_09_chunk_sizes_as_they_may_be_written(broker: Process, plugin: Plugin, size: bytes) -> None:
    body = size + b"\r\nabc\r\n0\r\n\r\n"
    plugin.answers(says(HELLO + CHUNKED + b"\r\n\r\n" + body))
    answer = ask(broker, last(CHUNKED, method=b"POST", body=body), "POST")
    assert (answer.body, bytes(plugin.only.body)) == (b"abc", b"abc")


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"])
def test_rule_09_a_length_of_zero_stays_and_none_is_made_up(broker: Process, plugin: Plugin, method: str) -> None:
    """VF-C's GET and DELETE carry one (contract, section 3)."""
    name = method.encode()
    raw = broker.raw(request(b"Content-Length: 0", method=name) + last(method=name))
    assert [answer.status for answer in read(raw, method, method)] == [200, 200]
    first, second = plugin.asked
    assert (first.values(b"Content-Length"), first.values(b"Transfer-Encoding")) == ([b"0"], [])
    assert (second.values(b"Content-Length"), second.values(b"Transfer-Encoding")) == ([], [])


def test_rule_09_an_empty_chunked_request_stays_chunked(broker: Process, plugin: Plugin) -> None:
    assert ask(broker, last(CHUNKED, method=b"POST", body=b"0\r\n\r\n")).status == 200
    assert (plugin.only.values(b"Transfer-Encoding"), bytes(plugin.only.wire)) == ([b"chunked"], b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (told(b""), True),
        (HELLO + CHUNKED + b"\r\n\r\n0\r\n\r\n", True),
        (HELLO + b"Connection: close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_rule_09_an_empty_answer_however_framed(broker: Process, plugin: Plugin, raw: bytes, kept: bool) -> None:
    plugin.answers(says(raw) if kept else says_and_closes(raw))
    first, second = read(broker.raw(request() + last()), "GET", "GET")
    assert (first.status, first.body, first.whole, second.status) == (200, b"", True, 200)
    assert [asked.connection for asked in plugin.asked] == [0, 0 if kept else 1]


def test_rule_10_a_requests_extensions_and_trailers_are_bounded(broker: Process, plugin: Plugin) -> None:
    for body in (
        b"3;" + b"e" * 40_000 + b"\r\nabc\r\n0\r\n\r\n",
        b"".join(b"1;%b\r\nx\r\n" % (b"e" * 100) for _ in range(2000)) + b"0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nT: " + b"t" * 40_000 + b"\r\n\r\n",
        b"3\r\nabc\r\n0\r\n" + b"T: t\r\n" * 10_000 + b"\r\n",
    ):
        plugin.reset()
        assert ask(broker, last(CHUNKED, method=b"POST", body=body), "POST").status == 400
        for asked in plugin.asked:
            assert asked.ended.wait(5)
            assert not asked.complete


def test_rule_10_an_answers_extensions_and_trailers_are_bounded(broker: Process, plugin: Plugin) -> None:
    for body in (
        b"3;" + b"e" * 40_000 + b"\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nT: " + b"t" * 40_000 + b"\r\n\r\n",
        b"3\r\nabc\r\n0\r\n" + b"T: t\r\n" * 10_000 + b"\r\n",
    ):
        plugin.reset()
        plugin.answers(says(HELLO + CHUNKED + b"\r\n\r\n" + body))
        answer = ask(broker, last())
        assert answer.status == 502 or not answer.whole


@pytest.mark.parametrize("count", [100, 1000])
def test_rule_10_small_chunks_are_no_attack(broker: Process, plugin: Plugin, count: int) -> None:
    body = chunked(*[b"x"] * count)
    plugin.answers(says(HELLO + CHUNKED + b"\r\n\r\n" + body))
    answer = ask(broker, last(CHUNKED, method=b"POST", body=body), "POST")
    assert (answer.body, bytes(plugin.only.body)) == (b"x" * count, b"x" * count)
