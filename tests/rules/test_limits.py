"""Rules 17, 20 and 21: each phase has its limit and its own error; sizes are bounded; overload is told at once."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.conftest import FRAMEWORKS, Process, a_broker, read_all
from tests.rules.conftest import TYPES, X, last, request, scene_of
from tests.rules.plugin import Asked, Plugin, Step, Wire, says, says_and_waits
from tests.rules.reading import Answer, Session, ask, read

LIMITS = {
    "BROKER_UPSTREAM_CONNECT_TIMEOUT": "0.3",
    "BROKER_UPSTREAM_RESPONSE_TIMEOUT": "0.6",
    "BROKER_UPSTREAM_IDLE_TIMEOUT": "0.5",
    "BROKER_SERVER_HEADER_TIMEOUT": "0.5",
    "BROKER_SERVER_BODY_TIMEOUT": "0.7",
    "BROKER_SERVER_IDLE_TIMEOUT": "0.5",
    "BROKER_SERVER_REQUESTS_MAX": "2",
}
HELLO = b"HTTP/1.1 200 OK\r\n"
FULL = b"/api/multicloud/v0/owner_full/x"
"""A path below a region whose plugin's queue of connections is full."""
PROBES = (b"/livez", b"/readyz", b"/startupz", b"/healthz")


@contextlib.contextmanager
def full() -> Iterator[int]:
    """A port that takes no more connections, and refuses none: the kernel drops what would fill its queue."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def hasty(_plugin: Plugin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Process]]:
    """Brokers with short limits."""
    with contextlib.ExitStack() as stack:
        scene = scene_of(_plugin.port, tmp_path_factory.mktemp("hasty"), full=stack.enter_context(full()))
        yield {name: stack.enter_context(a_broker(name, 1, **scene, **LIMITS)) for name in FRAMEWORKS}


@pytest.fixture
def broker(hasty: dict[str, Process], framework: str) -> Process:
    return hasty[framework]


def timed(broker: Process, data: bytes, method: str = "GET") -> tuple[Answer, float]:
    started = time.monotonic()
    answer = ask(broker, data, method)
    return answer, time.monotonic() - started


def test_rule_17_the_connect_limit_is_a_504_that_names_it(broker: Process) -> None:
    answer, seconds = timed(broker, last(target=FULL))
    assert answer.status == 504
    assert "multicloud-full at http://127.0.0.1:" in answer.error
    assert "did not take a connection in time" in answer.error
    assert 0.25 < seconds < 5


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 ", HELLO + b"Content-Length: 2\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"]
)
def test_rule_17_the_response_limit_is_a_504_that_names_it(broker: Process, plugin: Plugin, raw: bytes) -> None:
    plugin.answers(says_and_waits(raw))
    answer, seconds = timed(broker, last())
    assert (answer.status, len(plugin.asked)) == (504, 1)
    assert "did not begin its answer in time" in answer.error
    assert "multicloud-vio at http://127.0.0.1:" in answer.error
    assert 0.5 < seconds < 5
    assert plugin.only.ended.wait(5)


def drips(raw: bytes, pause: float = 0.1) -> Step:
    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        for byte in raw * 1000:
            wire.send(bytes([byte]))
            time.sleep(pause)  # what the broker is to end

    return step


def test_rule_17_a_head_that_drips_ends_by_the_response_limit(broker: Process, plugin: Plugin) -> None:
    plugin.answers(drips(HELLO))
    answer, seconds = timed(broker, last())
    assert (answer.status, 0.5 < seconds < 5) == (504, True)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    "raw",
    [
        HELLO + b"Content-Length: 100\r\n\r\nhalf",
        HELLO + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        HELLO + b"\r\nhalf",
    ],
)
def test_rule_17_the_idle_limit_cuts_an_answer_that_has_begun(
    broker: Process, plugin: Plugin, raw: bytes, version: bytes
) -> None:
    plugin.answers(says_and_waits(raw))
    answer, seconds = timed(broker, request(b"Connection: close", version=version))
    assert (answer.status, answer.body, answer.whole) == (200, b"half", False)
    assert 0.4 < seconds < 5
    assert plugin.only.ended.wait(5)


def test_rule_17_the_idle_limit_of_an_upload_is_a_504_that_names_it(broker: Process, plugin: Plugin) -> None:
    """The plugin takes no more of the request."""

    told_so = threading.Event()

    def step(wire: Wire, _: Asked) -> None:
        assert told_so.wait(10)
        wire.close()

    plugin.answers(step)
    size = 30_000_000
    with broker.connect() as sock:
        session = Session(sock)
        with contextlib.suppress(OSError):
            session.send(request(b"Content-Length: %d" % size, method=b"PUT", body=b"x" * size))
        answer = session.answer("PUT")
    told_so.set()
    assert answer.status == 504
    assert "took no more of the request in time" in answer.error


def test_rule_17_refused_and_garbled_are_502(broker: Process, plugin: Plugin) -> None:
    plugin.answers(says(b"\x16\x03\x01 this is no HTTP\r\n\r\n"))
    answer = ask(broker, last())
    assert (answer.status, "no HTTP" in answer.error) == (502, True)


def test_rule_17_a_pause_below_the_limits_costs_nothing(broker: Process, plugin: Plugin) -> None:
    """There is no total limit by default: what goes on is let go on."""
    plugin.answers(drips_once(HELLO + b"Content-Length: 10\r\n\r\n", b"0123456789", 0.2))
    answer, seconds = timed(broker, last())
    assert (answer.body, answer.whole, seconds > 1.5) == (b"0123456789", True, True)


def drips_once(head: bytes, body: bytes, pause: float) -> Step:
    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        wire.send(head)
        for byte in body:
            wire.send(bytes([byte]))
            time.sleep(pause)  # longer in sum than any one limit

    return step


def test_rule_17_the_clients_body_has_a_limit_too(broker: Process, plugin: Plugin) -> None:
    """408, while nothing of an answer was sent."""
    for framing, part in ((b"Content-Length: 100", b"half"), (b"Transfer-Encoding: chunked", b"4\r\nhalf\r\n")):
        started = time.monotonic()
        answer = ask(broker, request(framing, method=b"PUT", body=part), "PUT")
        assert (answer.status, answer.values(b"Connection")) == (408, [b"close"])
        assert 0.6 < time.monotonic() - started < 5
    for asked in plugin.asked:
        assert asked.ended.wait(5)
        assert not asked.complete


def test_rule_21_a_head_that_does_not_come_in_time_is_408(broker: Process) -> None:
    line = b"GET %b HTTP/1.1\r\n" % X
    with contextlib.ExitStack() as stack:
        started = time.monotonic()
        sessions = []
        for part in (b"G", b"\r\n", line, line + b"Host: x\r\n", line + b"Host: x\r\n\r"):
            sessions.append(Session(stack.enter_context(broker.connect())))
            sessions[-1].send(part)
        for session in sessions:
            answer = session.answer()
            assert (answer.status, answer.values(b"Connection")) == (408, [b"close"])
            assert 0.4 < time.monotonic() - started < 5
            assert session.ended


def test_rule_21_a_head_that_drips_has_one_deadline_for_all_of_it(broker: Process) -> None:
    with broker.connect() as sock:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in request(b"X-A: " + b"a" * 500):
                sock.sendall(bytes([byte]))
                sock.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    if data := sock.recv(4096):
                        break
        sock.settimeout(10)
        (answer,) = read(data + read_all(sock), "GET")
    assert (answer.status, 0.4 < time.monotonic() - started < 5) == (408, True)


def test_rule_21_a_silent_connection_is_closed_without_a_word(broker: Process) -> None:
    """Between two requests nothing is lost by that (RFC 9112, 9.5)."""
    with broker.connect() as sock:
        session = Session(sock)
        assert session.ask(request(target=TYPES)).status == 200
        started = time.monotonic()
        assert session.ended
        assert 0.3 < time.monotonic() - started < 5


SIZES = {
    "target": (lambda n: request(target=X + b"/" + b"a" * n), 8192, 414),
    "query": (lambda n: request(target=X + b"?" + b"a" * n), 8192, 414),
    "value": (lambda n: request(b"X-A: " + b"a" * n), 65536, 431),
    "name": (lambda n: request(b"a" * n + b": a"), 65536, 431),
    "many headers": (
        lambda n: request(*[b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] * (n // 64)),
        65536,
        431,
    ),
}


@pytest.mark.parametrize("case", SIZES)
def test_rule_21_sizes_are_bounded(broker: Process, plugin: Plugin, case: str) -> None:
    """414 for the target, 431 for the head, as soon as it is too much; what is below goes through."""
    make, limit, status = SIZES[case]
    answer = ask(broker, make(limit))
    assert (answer.status, answer.values(b"Connection"), plugin.asked) == (status, [b"close"], [])
    unended = make(limit).partition(b"\r\n\r\n")[0] if case != "target" else b"GET /" + b"a" * limit
    assert ask(broker, unended).status == status
    with broker.connect() as sock:
        assert Session(sock).ask(make(limit // 2 if case != "many headers" else 6400)).status == 200


def test_rule_21_the_number_of_headers_is_bounded(broker: Process, plugin: Plugin) -> None:
    assert ask(broker, last(*[b"A: b"] * 200)).status == 431
    assert ask(broker, last(*[b"A: b"] * 126)).status == 200
    assert len(plugin.only.values(b"A")) == 126


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_rule_21_a_capacity_request_is_at_most_a_mebibyte(broker: Process, framing: str) -> None:
    body = b" " * (1 << 20) + b"{}"
    head = b"Content-Length: %d" % len(body)
    if framing == "chunked":
        head, body = b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    target = b"/api/multicloud/v0/check_vim_capacity"
    with broker.connect() as sock:
        session = Session(sock)
        with contextlib.suppress(OSError):
            session.send(last(head, method=b"POST", target=target, body=body))
        answer = session.answer("POST")
    assert (answer.status, "1048576" in answer.error) == (413, True)


def test_rule_20_past_the_bound_a_quick_503_and_health_still_answers(broker: Process, plugin: Plugin) -> None:
    """`requests_max` is 2 here."""
    plugin.answers(says_and_waits(), says_and_waits())
    with broker.connect() as one, broker.connect() as two:
        one.sendall(request())
        two.sendall(request())
        plugin.wait(2)
        for method, data in (("GET", last()), ("GET", last(target=TYPES)), ("HEAD", last(method=b"HEAD"))):
            answer, seconds = timed(broker, data, method)
            (after,) = answer.values(b"Retry-After")
            assert (answer.status, after.isdigit(), answer.values(b"Connection")) == (503, True, [b"close"])
            assert seconds < 0.4
        upload = last(b"Content-Length: 1000000", method=b"PUT", body=b"x" * 1000)
        assert ask(broker, upload, "PUT").status == 503
        for probe in (*PROBES, b"/livez?verbose"):
            assert ask(broker, last(target=probe)).status == 200
        assert ask(broker, last(target=b"/metrics")).status == 200
        for sock in (one, two):
            assert Session(sock).answer().status == 504
    assert ask(broker, last()).status == 200
    assert len(plugin.asked) == 3


def test_rule_20_a_503_is_an_error_as_any_other(broker: Process, plugin: Plugin) -> None:
    plugin.answers(says_and_waits(), says_and_waits())
    with broker.connect() as one, broker.connect() as two:
        one.sendall(request())
        two.sendall(request())
        plugin.wait(2)
        answer = ask(broker, last(b"X-ONAP-RequestID: mine"))
        error = json.loads(answer.body)["error"]
        assert (error["code"], error["request_id"], answer.values(b"X-ONAP-RequestID")) == (503, "mine", [b"mine"])
    for asked in plugin.asked:
        assert asked.ended.wait(5)
