"""Rules 8, 11 and 12: no body where none is allowed, a cut is seen to be one, bytes too many poison nobody."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from tests.conftest import Process, read_all
from tests.rules.conftest import X, last, request, told
from tests.rules.plugin import OK, Plugin, says, says_and_closes, says_and_resets
from tests.rules.reading import Session, ask, read

HELLO = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ZERO_LINGER = struct.pack("ii", 1, 0)

BODIES = {
    "none": b"\r\n",
    "a length": b"Content-Length: 4\r\n\r\n",
    "a length and a body": b"Content-Length: 4\r\n\r\nbody",
    "a length of zero": b"Content-Length: 0\r\n\r\n",
    "a body without a framing": b"\r\nbody",
    "chunked": CHUNKED + b"\r\n",
    "chunked and a body": CHUNKED + b"\r\n4\r\nbody\r\n0\r\n\r\n",
    "a body that looks like an answer": b"Content-Length: 9\r\n\r\nHTTP/1.1 ",
    "another answer": b"Content-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
}
NO_BODY = ["HEAD 200", "HEAD 404", "GET 204", "DELETE 204", "GET 304", "HEAD 304", "HEAD 204"]


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("what", NO_BODY)
def test_rule_08_head_204_and_304_carry_no_body(broker: Process, plugin: Plugin, what: str, case: str) -> None:
    """And what the plugin sent in place of one is nobody's answer: a connection with bytes left is not used again."""
    method, _, status = what.partition(" ")
    clean = b"body" not in BODIES[case] and b"HTTP" not in BODIES[case]
    plugin.answers(says(b"HTTP/1.1 %b Fine\r\nX-A: b\r\n" % status.encode() + BODIES[case]))
    raw = broker.raw(request(method=method.encode()) + request() + last())
    first, second, third = read(raw, method, "GET", "GET")
    assert (first.status, first.body, first.values(b"X-A")) == (int(status), b"", [b"b"])
    assert (second.body, third.body) == (b"ok", b"ok")
    used = [asked.connection for asked in plugin.asked]
    assert used == [0, 1, 1] or (clean and used == [0, 0, 0])


@pytest.mark.parametrize("what", NO_BODY)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_rule_08_the_length_that_a_body_would_have_stays(
    broker: Process, plugin: Plugin, what: str, version: bytes
) -> None:
    """But with a 204, which may have none (RFC 9110, 8.6)."""
    method, _, status = what.partition(" ")
    plugin.answers(says(b"HTTP/1.1 %b Fine\r\nContent-Length: 1234\r\n\r\n" % status.encode()))
    answer = ask(broker, request(b"Connection: close", method=method.encode(), version=version), method)
    assert answer.values(b"Content-Length") == ([] if status == "204" else [b"1234"])


def test_rule_08_the_brokers_own_answers_to_head(broker: Process) -> None:
    for target in (b"/api/multicloud/v0/vim_types", b"/api/multicloud/v1/swagger.json", b"/livez", b"/none"):
        get = ask(broker, last(target=target))
        head = ask(broker, last(method=b"HEAD", target=target), "HEAD")
        length = len(get.body)
        assert (head.status, head.values(b"Content-Length"), head.body) == (get.status, [b"%d" % length], b"")


CUT = {
    "length": HELLO + b"Content-Length: 1000\r\n\r\nhalf",
    "length, nothing of the body": HELLO + b"Content-Length: 1000\r\n\r\n",
    "length, all but a byte": HELLO + b"Content-Length: 5\r\n\r\nhalf",
    "chunked, within a chunk": HELLO + CHUNKED + b"\r\n64\r\nhalf",
    "chunked, after a chunk": HELLO + CHUNKED + b"\r\n4\r\nhalf\r\n",
    "chunked, within a size": HELLO + CHUNKED + b"\r\n4\r\nhalf\r\n1",
    "chunked, within the last chunk": HELLO + CHUNKED + b"\r\n4\r\nhalf\r\n0\r\n",
    "chunked, within the trailer": HELLO + CHUNKED + b"\r\n4\r\nhalf\r\n0\r\nT: t\r\n",
    "chunked, nothing of the body": HELLO + CHUNKED + b"\r\n",
}
HEAD_CUT = {
    "status line": b"HTTP/1.1 20",
    "status": b"HTTP/1.1 200 OK\r\n",
    "head": HELLO + b"Content-Length: 4\r\nX-A",
    "blank line": HELLO + b"Content-Length: 4\r\n",
    "one byte": b"H",
}
ENDS = {"close": says_and_closes, "reset": says_and_resets}
VERSIONS = [b"1.1", b"1.0"]


@pytest.mark.parametrize("case", CUT)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_rule_11_an_answer_that_is_cut_is_never_whole(
    broker: Process, plugin: Plugin, case: str, end: str, version: bytes
) -> None:
    plugin.answers(ENDS[end](CUT[case]))
    answer = ask(broker, request(b"Connection: close", version=version))
    assert answer.status == 502 or not answer.whole, answer
    assert b"half".startswith(answer.body) or answer.status == 502


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("case", ["length", "chunked, within a chunk"])
@pytest.mark.parametrize("version", VERSIONS)
def test_rule_11_a_cut_after_the_client_has_a_part_is_seen(
    broker: Process, plugin: Plugin, case: str, end: str, version: bytes
) -> None:
    """What has gone out cannot be taken back: the connection is cut, without a last chunk."""
    taken = threading.Event()
    step = says_and_resets(CUT[case], taken)
    if end == "close":

        def step(wire, asked):  # type: ignore[no-untyped-def]
            wire.read_body()
            wire.send(CUT[case])
            assert taken.wait(10)
            wire.close()

    plugin.answers(step)
    with broker.connect() as sock:
        sock.sendall(request(version=version))
        got = b""
        while not got.endswith((b"half", b"half\r\n")):
            got += sock.recv(4096)
        taken.set()
        (answer,) = read(got + read_all(sock), "GET")
    assert (answer.status, answer.body, answer.whole) == (200, b"half", False)


@pytest.mark.parametrize("version", VERSIONS)
def test_rule_11_a_close_framed_answer_ends_whole_by_a_close_and_cut_by_a_reset(
    broker: Process, plugin: Plugin, version: bytes
) -> None:
    for raw in (HELLO + b"\r\nbody", b"HTTP/1.0 200 OK\r\n\r\nbody"):
        plugin.reset()
        plugin.answers(says_and_closes(raw))
        answer = ask(broker, request(b"Connection: close", version=version))
        assert (answer.body, answer.whole) == (b"body", True)
        plugin.answers(says_and_resets(raw))
        answer = ask(broker, request(b"Connection: close", version=version))
        assert answer.status == 502 or not answer.whole


@pytest.mark.parametrize("case", HEAD_CUT)
@pytest.mark.parametrize("end", ENDS)
def test_rule_11_a_head_that_is_cut_is_a_502(broker: Process, plugin: Plugin, case: str, end: str) -> None:
    taken = threading.Event()
    taken.set()
    plugin.answers(ENDS[end](HEAD_CUT[case]))
    answer = ask(broker, last())
    assert answer.status == 502
    if end == "close":  # a reset may overtake the bytes, and then nothing of the answer has come (rule 16)
        assert len(plugin.asked) == 1


def test_rule_11_a_whole_answer_before_a_reset_is_whole(broker: Process, plugin: Plugin) -> None:
    with broker.connect() as sock:
        session = Session(sock)
        for _ in range(20):
            plugin.reset()
            plugin.answers(says_and_resets(told(b"x" * 1000)))
            answer = session.ask(request(method=b"POST"), "POST")
            assert (answer.status, len(answer.body)) in ((200, 1000), (502, len(answer.body)))


UPLOADS = {
    "length, large": (b"Content-Length: 1000000", b"x" * 500_000),
    "length, all but a byte": (b"Content-Length: 100000", b"x" * 99_999),
    "chunked, within a chunk": (CHUNKED[:-2], b"186a0\r\n" + b"x" * 90_000),
    "chunked, after a chunk": (CHUNKED[:-2], b"3\r\nabc\r\n"),
    "chunked, within a size": (CHUNKED[:-2], b"3\r\nabc\r\n1"),
    "chunked, within the last chunk": (CHUNKED[:-2], b"3\r\nabc\r\n0\r\n"),
    "chunked, within the trailer": (CHUNKED[:-2], b"3\r\nabc\r\n0\r\nT: t\r\n"),
    "chunked, nothing": (CHUNKED[:-2], b""),
}
LEAVES = ["fin", "rst", "half"]


def leave(sock: socket.socket, how: str) -> None:
    if how == "half":
        sock.shutdown(socket.SHUT_WR)
        read_all(sock)
    elif how == "rst":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ZERO_LINGER)
    sock.close()


@pytest.mark.parametrize("how", LEAVES)
@pytest.mark.parametrize(
    ("version", "case"),
    [*((b"1.1", case) for case in UPLOADS), *((b"1.0", case) for case in UPLOADS if "length" in case)],
)
def test_rule_11_half_an_upload_is_never_passed_on_as_whole(
    broker: Process, plugin: Plugin, case: str, how: str, version: bytes
) -> None:
    """The plugin's connection is closed before the end of the request; nothing is sent again."""
    framing, body = UPLOADS[case]
    with broker.connect() as sock:
        sock.sendall(request(framing, method=b"PUT", version=version, body=body))
        asked = plugin.wait()
        leave(sock, how)
    assert asked.ended.wait(5)
    assert not asked.complete
    assert ask(broker, last()).status == 200
    assert len(plugin.asked) == 2


@pytest.mark.parametrize("how", LEAVES)
def test_rule_11_half_of_a_small_upload_is_never_sent(broker: Process, plugin: Plugin, how: str) -> None:
    """It is held whole before the plugin is asked, so that it could be sent again (rule 16)."""
    with broker.connect() as sock:
        sock.sendall(request(b"Content-Length: 100", method=b"PUT", body=b"x" * 99))
        leave(sock, how)
    assert ask(broker, last()).status == 200
    assert plugin.only.line.startswith(b"GET ")


def test_rule_11_a_bad_chunk_ends_the_upload_that_has_begun(session: Session, plugin: Plugin) -> None:
    session.send(request(CHUNKED[:-2], method=b"PUT", body=b"3\r\nabc\r\n"))
    asked = plugin.wait()
    session.send(b"zz\r\n")
    assert session.answer("PUT").status == 400
    assert asked.ended.wait(5)
    assert (asked.complete, session.ended) == (False, True)


EXTRA = {
    "another answer": HELLO + b"Content-Length: 6\r\n\r\npoison",
    "a blank line": b"\r\n",
    "text": b"poison",
    "one byte": b"H",
    "half an answer": HELLO,
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
}
BEFORE = {
    "length": OK,
    "no body": told(b""),
    "chunked": HELLO + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
}


@pytest.mark.parametrize("extra", EXTRA)
@pytest.mark.parametrize("before", BEFORE)
def test_rule_12_bytes_too_many_poison_only_their_connection(
    broker: Process, plugin: Plugin, before: str, extra: str
) -> None:
    plugin.answers(says(BEFORE[before] + EXTRA[extra]))
    answers = read(broker.raw(request() + request() + last()), "GET", "GET", "GET")
    assert [answer.body for answer in answers[1:]] == [b"ok", b"ok"]
    assert answers[0].body in (b"ok", b"")
    used = [asked.connection for asked in plugin.asked]
    assert used == [0, 1, 1] or (extra == "a blank line" and used == [0, 0, 0])  # which is nobody's answer


@pytest.mark.parametrize("extra", EXTRA)
def test_rule_12_bytes_that_come_while_nobody_asks_end_the_connection(
    session: Session, plugin: Plugin, extra: str
) -> None:
    """RFC 9112, 9.2: whatever an idle connection brings is no answer to the next request."""
    assert session.ask(request()).status == 200
    plugin.wires[0].send(EXTRA[extra])
    assert plugin.asked[0].ended.wait(5)
    assert session.ask(request()).body == b"ok"
    assert [asked.connection for asked in plugin.asked] == [0, 1]


def test_rule_12_bytes_too_many_of_a_client_are_its_next_request(broker: Process, plugin: Plugin) -> None:
    """As RFC 9112, 9.3.2, has it; what is no request ends the connection."""
    answers = read(broker.raw(request(b"Content-Length: 2", method=b"POST", body=b"okpoison\r\n\r\n")), "POST", "GET")
    assert [answer.status for answer in answers] == [200, 400]
    assert bytes(plugin.only.body) == b"ok"
    assert plugin.only.line.startswith(b"POST " + X.replace(b"multicloud", b"multicloud-vio", 1))
