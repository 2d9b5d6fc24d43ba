"""Rule 16: a request is sent again once, and only where that can do no harm; the plugin counts."""

from __future__ import annotations

import threading

import pytest

from tests.conftest import Process, a_broker, until
from tests.rules.conftest import NOWHERE, chunked, last, request
from tests.rules.plugin import OK, Asked, Plugin, Wire, says, says_and_closes, says_and_resets, says_and_waits
from tests.rules.reading import Session, ask

ENDS = {"close": says_and_closes(), "reset": says_and_resets()}
HELD = 65536
"""Bytes of a body that is held whole (rule 16)."""


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"])
@pytest.mark.parametrize("end", ENDS)
def test_rule_16_an_idempotent_request_without_a_byte_of_an_answer_is_sent_again(
    broker: Process, plugin: Plugin, method: str, end: str
) -> None:
    plugin.answers(ENDS[end])
    answer = ask(broker, last(method=method.encode()), method)
    assert (answer.status, len(plugin.asked)) == (200, 2)
    first, second = plugin.asked
    assert (first.head, first.connection, second.connection) == (second.head, 0, 1)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_rule_16_it_is_sent_again_once(broker: Process, plugin: Plugin, method: str, end: str) -> None:
    plugin.answers(*[ENDS[end]] * 5)
    assert (ask(broker, last(method=method.encode()), method).status, len(plugin.asked)) == (502, 2)


@pytest.mark.parametrize(
    "method", ["POST", "PATCH", "LOCK", "MKCOL", "MOVE", "COPY", "PROPPATCH", "ACL", "LINK", "PURGE"]
)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_rule_16_what_may_not_be_repeated_is_sent_once(
    broker: Process, plugin: Plugin, method: str, end: str, body: bytes
) -> None:
    plugin.answers(*[ENDS[end]] * 5)
    lines = [sized(body)] if body else []
    assert (ask(broker, last(*lines, method=method.encode(), body=body), method).status, len(plugin.asked)) == (502, 1)


@pytest.mark.parametrize(
    "part", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", OK[:-1], b"\r\n", b"garbage"]
)
def test_rule_16_after_a_byte_of_an_answer_nothing_is_sent_again(broker: Process, plugin: Plugin, part: bytes) -> None:
    plugin.answers(*[says_and_closes(part)] * 5)
    answer = ask(broker, last())
    assert (answer.status == 502 or not answer.whole, len(plugin.asked)) == (True, 1)


@pytest.mark.parametrize(("size", "times"), [(1, 2), (HELD, 2), (HELD + 1, 1), (200_000, 1)])
def test_rule_16_a_body_is_sent_again_if_it_is_held_whole(
    broker: Process, plugin: Plugin, size: int, times: int
) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    plugin.answers(ENDS["close"])
    answer = ask(broker, last(sized(body[:size]), method=b"PUT", body=body[:size]), "PUT")
    assert (answer.status, len(plugin.asked)) == (200 if times == 2 else 502, times)
    for asked in plugin.asked:
        assert bytes(asked.body) == body[:size]


def test_rule_16_a_chunked_body_is_not_sent_again(broker: Process, plugin: Plugin) -> None:
    plugin.answers(ENDS["close"])
    answer = ask(broker, last(b"Transfer-Encoding: chunked", method=b"PUT", body=chunked(b"abc")), "PUT")
    assert (answer.status, len(plugin.asked)) == (502, 1)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("reset", [False, True])
def test_rule_16_a_plugin_that_closes_an_idle_connection_costs_nothing(
    session: Session, plugin: Plugin, method: str, reset: bool
) -> None:
    """Not even a POST: the pool sees the end before the connection is used (rule 19)."""
    for number in range(5):
        plugin.answers(says_and_resets(OK) if reset else says_and_closes(OK))
        answer = session.ask(request(b"Content-Length: 2", method=method.encode(), body=b"{}"), method)
        assert plugin.asked[number].ended.wait(5)
        assert answer.status == 200 or (reset and answer.status == 502)  # a reset may overtake the answer
    assert [asked.connection for asked in plugin.asked] == [0, 1, 2, 3, 4] or reset
    assert len(plugin.asked) == 5 or (reset and method == "GET")


def test_rule_16_a_get_on_a_connection_that_closes_meanwhile_costs_nothing(session: Session, plugin: Plugin) -> None:
    """The plugin's idle time ends as the request comes: it is read, and not answered (rule 19)."""
    assert session.ask(request()).status == 200
    plugin.answers(ENDS["reset"])
    assert session.ask(request()).status == 200
    assert [asked.connection for asked in plugin.asked] == [0, 0, 1]


def test_rule_16_a_post_on_a_connection_that_closes_meanwhile_is_told(session: Session, plugin: Plugin) -> None:
    assert session.ask(request()).status == 200
    plugin.answers(ENDS["reset"])
    assert session.ask(request(b"Content-Length: 2", method=b"POST", body=b"{}"), "POST").status == 502
    assert [asked.connection for asked in plugin.asked] == [0, 0]


def test_rule_16_a_garbled_or_late_answer_is_not_asked_for_again(broker: Process, plugin: Plugin) -> None:
    plugin.answers(says(b"\x16\x03\x01\r\n\r\n"))
    assert (ask(broker, last()).status, len(plugin.asked)) == (502, 1)


def test_rule_16_a_client_that_has_left_has_nothing_sent_again(broker: Process, plugin: Plugin) -> None:
    gone = threading.Event()

    def step(wire: Wire, _: Asked) -> None:
        assert gone.wait(10)
        wire.wait_for_end()

    plugin.answers(step)
    with broker.connect() as sock:
        sock.sendall(request())
        asked = plugin.wait()
    gone.set()
    assert asked.ended.wait(5)
    assert ask(broker, last()).status == 200
    assert len(plugin.asked) == 2


def test_rule_16_refused_connections_are_not_tried_for_ever(broker: Process) -> None:
    assert ask(broker, last(target=NOWHERE)).status == 502


def test_rule_16_requests_that_are_sent_again_are_counted(broker: Process, plugin: Plugin) -> None:
    def count() -> float:
        text = broker.ask("GET", "/metrics")[2].decode()
        (line,) = (line for line in text.splitlines() if line.startswith("multicloud_upstream_retries_total"))
        return float(line.rpartition(" ")[2])

    assert ask(broker, last()).status == 200
    before = count()
    plugin.answers(ENDS["close"])
    assert ask(broker, last()).status == 200
    until(lambda: count() == before + 1)


def test_rule_16_the_pool_is_not_grown_by_those_who_wait(broker: Process, plugin: Plugin) -> None:
    """A connection that is waited on is nobody else's."""
    plugin.answers(says_and_waits())
    with broker.connect() as sock:
        sock.sendall(request())
        waiting = plugin.wait()
        assert ask(broker, last()).status == 200
        assert [asked.connection for asked in plugin.asked] == [0, 1]
    assert waiting.ended.wait(5)


@pytest.mark.parametrize(("percent", "again"), [("20", range(10, 17)), ("0", range(1))])
def test_rule_16_what_is_sent_again_is_within_a_budget(
    framework: str, scene: dict[str, str], plugin: Plugin, percent: str, again: range
) -> None:
    """A plugin that fails each request does not get twice as many: ten, and then a share of what is sent."""
    with a_broker(framework, 1, **{**scene, "BROKER_UPSTREAM_RETRY_PERCENT": percent}) as broker:
        session = Session(broker.connect())
        plugin.answers(*[ENDS["close"]] * 100)
        for _ in range(30):
            assert session.ask(request()).status == 502
        assert len(plugin.asked) - 30 in again
        plugin.answers()
        for _ in range(60):
            assert session.ask(request()).status == 200
        plugin.answers(ENDS["close"])
        assert session.ask(request()).status == (502 if percent == "0" else 200)
        session.sock.close()
