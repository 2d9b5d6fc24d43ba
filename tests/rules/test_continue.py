"""Rules 6 and 7: `Expect: 100-continue` is answered here, and an interim answer of a plugin is never the final one."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.conftest import Process, read_all
from tests.rules.conftest import NOWHERE, THERE, TYPES, last, request, told
from tests.rules.plugin import OK, Asked, Plugin, Step, Wire, says, says_and_closes
from tests.rules.reading import Session, ask, read

EXPECT = b"Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LARGE = 100_000
"""More than is held back to be sent again: it is streamed."""
CHUNKED = b"Transfer-Encoding: chunked"


def sized(size: int) -> bytes:
    return b"Content-Length: %d" % size


def interim(session: Session) -> bytes:
    """The next bytes, which are to be an interim answer."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        data = session.sock.recv(1)
        assert data, got
        got += data
    return got


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize("expect", [EXPECT, b"expect: 100-Continue"])
def test_rule_06_100_comes_when_the_body_is_about_to_be_read(
    session: Session, plugin: Plugin, size: int, expect: bytes
) -> None:
    session.send(request(expect, sized(size), method=b"PUT"))
    assert interim(session) == CONTINUE
    session.send(b"x" * size)
    answer = session.answer("PUT")
    asked = plugin.only
    assert (answer.status, answer.interim, len(asked.body), asked.values(b"Expect")) == (200, [], size, [])
    assert session.ask(request()).status == 200  # the connection goes on


def test_rule_06_100_comes_for_a_chunked_body(session: Session, plugin: Plugin) -> None:
    session.send(request(EXPECT, CHUNKED, method=b"POST"))
    assert interim(session) == CONTINUE
    session.send(b"3\r\nabc\r\n0\r\n\r\n")
    assert (session.answer("POST").status, bytes(plugin.only.body)) == (200, b"abc")


@pytest.mark.parametrize("size", [3, LARGE])
def test_rule_06_a_client_that_does_not_wait_is_served_too(session: Session, plugin: Plugin, size: int) -> None:
    """Then no 100 is owed, and at most one is sent (RFC 9110, 10.1.1)."""
    answer = session.ask(request(EXPECT, sized(size), method=b"PUT", body=b"x" * size), "PUT")
    assert (answer.status, answer.interim in ([], [100]), len(plugin.only.body)) == (200, True, size)
    assert session.ask(request()).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/api/multicloud/v0/nounderscore/x", 400),
        (b"/api/multicloud/v0/o_unknown/x", None),
        (TYPES, 405),
        (b"/none", 404),
    ],
)
def test_rule_06_a_refusal_comes_instead_of_100(
    session: Session, plugin: Plugin, target: bytes, status: int | None
) -> None:
    """And since the body may come or not, the connection ends with it."""
    answer = session.ask(request(EXPECT, sized(LARGE), method=b"PUT", target=target), "PUT")
    assert (answer.interim, answer.values(b"Connection"), plugin.asked) == ([], [b"close"], [])
    assert answer.status == status or (status is None and answer.status >= 400)
    assert session.ended


def test_rule_06_a_plugin_that_is_not_there_is_told_instead_of_100(session: Session) -> None:
    answer = session.ask(request(EXPECT, sized(LARGE), method=b"PUT", target=NOWHERE), "PUT")
    assert (answer.status, answer.interim, answer.values(b"Connection")) == (502, [], [b"close"])


def early(raw: bytes) -> Step:
    """Answers before the body; then reads on, or the rest of what the client sends would reset the connection."""

    def step(wire: Wire, _: Asked) -> None:
        wire.send(raw)
        wire.wait_for_end()

    return step


@pytest.mark.parametrize(
    ("status", "framing"),
    [
        (b"413 Content Too Large", sized(50_000_000)),
        (b"401 Unauthorized", sized(50_000_000)),
        (b"503 Service Unavailable", sized(50_000_000)),
        (b"413 Content Too Large", CHUNKED),
    ],
)
def test_rule_06_a_plugins_early_refusal_reaches_a_client_that_waits(
    session: Session, plugin: Plugin, status: bytes, framing: bytes
) -> None:
    """The final status comes while the body is still wanted of the client; the body is not waited for."""
    plugin.answers(early(told(b"no", status=status)))
    session.send(request(EXPECT, framing, method=b"PUT"))
    answer = session.answer("PUT")
    assert (answer.status, answer.body, answer.interim in ([], [100])) == (int(status[:3]), b"no", True)
    assert answer.values(b"Connection") == ([] if framing == CHUNKED else [b"close"])  # it may end within the drain
    assert plugin.only.ended.wait(5)
    assert (session.ended, plugin.only.complete) == (True, False)


@pytest.mark.parametrize("framing", [sized(8_000_000), CHUNKED])
def test_rule_06_a_plugins_early_refusal_reaches_a_client_that_sends_on(
    broker: Process, plugin: Plugin, framing: bytes
) -> None:
    """The answer is not lost to a reset (RFC 9112, 9.6)."""
    plugin.answers(early(told(b"no", status=b"413 Content Too Large")))
    piece = b"10000\r\n%b\r\n" % (b"x" * 65536) if framing == CHUNKED else b"x" * 65536
    with broker.connect() as sock:
        stop = threading.Event()

        def send() -> None:
            try:
                while not stop.is_set():
                    sock.sendall(piece)
            except OSError:
                return

        session = Session(sock)
        session.send(request(framing, method=b"PUT"))
        sender = threading.Thread(target=send)
        sender.start()
        try:
            answer = session.answer("PUT")
        finally:
            stop.set()
            with contextlib.suppress(OSError):  # the broker has closed
                sock.shutdown(socket.SHUT_RDWR)
            sender.join(10)
        assert (answer.status, answer.body) == (413, b"no")
        assert not plugin.only.complete


def test_rule_06_an_early_success_does_not_end_the_upload(session: Session, plugin: Plugin) -> None:
    """A plugin may begin its answer and read on."""

    def step(wire: Wire, _: Asked) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"2\r\nok\r\n0\r\n\r\n" if len(wire.read_body()) == LARGE else b"2\r\nno\r\n0\r\n\r\n")

    plugin.answers(step)
    answer = session.ask(request(sized(LARGE), method=b"PUT", body=b"x" * LARGE), "PUT")
    assert (answer.body, plugin.only.complete) == (b"ok", True)


@pytest.mark.parametrize(
    "value", [b"", b"100", b"200-ok", b"100-continue, more", b"100-continue;q=1", b'"100-continue"']
)
def test_rule_06_other_expectations_are_417(broker: Process, plugin: Plugin, value: bytes) -> None:
    answer = ask(broker, last(b"Expect: " + value, sized(3), method=b"PUT", body=b"abc"), "PUT")
    assert (answer.status, answer.interim, plugin.asked) == (417, [], [])


def test_rule_06_two_expectations_are_417(broker: Process, plugin: Plugin) -> None:
    answer = ask(broker, last(EXPECT, EXPECT, sized(3), method=b"PUT", body=b"abc"), "PUT")
    assert (answer.status, plugin.asked) == (417, [])


def test_rule_06_http_1_0_has_no_expectation(session: Session, plugin: Plugin) -> None:
    """RFC 9110, 10.1.1: ignored there, since such a client knows no interim answer."""
    session.send(request(EXPECT, sized(LARGE), method=b"PUT", version=b"1.0"))
    asked = plugin.wait()  # so that the body is waited for
    session.send(b"x" * LARGE)
    answer = session.answer("PUT")
    assert (answer.status, answer.interim) == (200, [])
    assert (len(asked.body), asked.values(b"Expect")) == (LARGE, [])


@pytest.mark.parametrize("framing", [(), (b"Content-Length: 0",)])
def test_rule_06_without_a_body_no_100_is_sent(broker: Process, plugin: Plugin, framing: tuple[bytes, ...]) -> None:
    answer = ask(broker, last(EXPECT, *framing, method=b"POST"), "POST")
    assert (answer.status, answer.interim, plugin.only.values(b"Expect")) == (200, [], [])


INTERIM = {
    "100": [b"100 Continue"],
    "102": [b"102 Processing"],
    "103": [b"103 Early Hints\r\nLink: </x>; rel=preload\r\nSet-Cookie: never"],
    "another": [b"199 Whatever"],
    "no reason": [b"100 "],
    "all of them": [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </x>"],
    "many": [b"102 Processing"] * 300,
}


@pytest.mark.parametrize("case", INTERIM)
@pytest.mark.parametrize("apart", [True, False])
def test_rule_07_interim_answers_are_not_the_answer(broker: Process, plugin: Plugin, case: str, apart: bool) -> None:
    """They and their headers stay here: a gateway may (RFC 9110, 3.7), and HTTP/1.0 and PEP 3333 know none."""
    pieces = [b"HTTP/1.1 %b\r\n\r\n" % line for line in INTERIM[case]] + [told(b"body", b"X-A: b")]

    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        for piece in pieces if apart else [b"".join(pieces)]:
            wire.send(piece)

    plugin.answers(step, OK)
    first, second = read(broker.raw(request() + last()), "GET", "GET")
    assert (first.status, first.body, first.values(b"X-A"), first.interim) == (200, b"body", [b"b"], [])
    assert first.names & {b"link", b"set-cookie"} == set()
    assert (second.body, [asked.connection for asked in plugin.asked]) == (b"ok", [0, 0])


def test_rule_07_a_100_before_the_body_has_gone_does_not_end_the_upload(session: Session, plugin: Plugin) -> None:
    def step(wire: Wire, _: Asked) -> None:
        wire.send(CONTINUE)
        wire.read_body()
        wire.send(OK)

    plugin.answers(step)
    answer = session.ask(request(sized(LARGE), method=b"PUT", body=b"x" * LARGE), "PUT")
    assert (answer.status, answer.interim, len(plugin.only.body)) == (200, [], LARGE)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + OK,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 2\r\n\r\nok",
    ],
)
@pytest.mark.parametrize("asking", [(), (b"Connection: Upgrade", b"Upgrade: websocket")])
def test_rule_07_a_101_is_a_502(broker: Process, plugin: Plugin, raw: bytes, asking: tuple[bytes, ...]) -> None:
    plugin.answers(says(raw))
    answer = ask(broker, last(*asking))
    assert (answer.status, plugin.only.names & {b"upgrade", b"connection"}) == (502, set())
    assert plugin.only.ended.wait(5)
    assert ask(broker, last()).status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("body", [b"hello", b"5\r\nhello\r\n0\r\n\r\n", b""])
def test_rule_07_an_interim_answer_with_a_body_is_never_mixed_with_the_final_one(
    broker: Process, plugin: Plugin, framing: bytes, body: bytes
) -> None:
    """RFC 9110, 15.2: it ends at its blank line, so whatever follows is no answer, or the final one alone."""
    plugin.answers(says(b"HTTP/1.1 103 Early Hints\r\n" + framing + b"\r\n\r\n" + body + told(b"final")))
    answer = ask(broker, last())
    assert (answer.status, answer.body) == (200, b"final") if not body else answer.status == 502
    assert plugin.only.line == b"GET %b HTTP/1.1" % THERE


def test_rule_07_interim_answers_without_end_are_a_502(broker: Process, plugin: Plugin) -> None:
    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        while True:
            wire.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    plugin.answers(step)
    assert ask(broker, last()).status == 502
    assert plugin.only.ended.wait(5)


def test_rule_07_an_interim_answer_alone_is_no_answer(broker: Process, plugin: Plugin) -> None:
    """Nor is the request sent again: the plugin has begun (rule 16)."""
    plugin.answers(says_and_closes(CONTINUE))
    assert ask(broker, last()).status == 502
    assert len(plugin.asked) == 1


def test_rule_06_a_client_that_leaves_instead_of_sending_its_body(broker: Process, plugin: Plugin) -> None:
    """A small body is held before the plugin is asked, so that it hears nothing of this."""
    with broker.connect() as sock:
        sock.sendall(last(EXPECT, sized(3), method=b"PUT"))
        assert sock.recv(100) == CONTINUE
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) in (b"", b"<reset>")
    assert plugin.asked == []
