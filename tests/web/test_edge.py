from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.message import Headers, Hop, Request
from app.core.quota import AT_ONCE, ROWS, Allowance, Counts, Quota
from app.errors import (
    BadRequest,
    BrokerError,
    CircuitOpen,
    ClientGone,
    MethodNotAllowed,
    PluginBusy,
    Unauthorized,
    Unavailable,
    UpstreamGarbled,
)
from app.web.edge import HEAD, REQUEST, Application, Authenticate, Edge, Environ, Probe, StartResponse
from app.web.guard import guarded

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Head:
    method: str = "GET"
    target: bytes = b"/api/multicloud/v0/a_b?secret=1"
    headers: Headers = field(default_factory=lambda: [(b"X-ONAP-RequestID", b"id-1")])


class Story:
    """One request through an edge: what the client gets, what is counted and what is logged."""

    def __init__(
        self,
        application: Application,
        head: Head | None = None,
        path: str = "/x",
        logs: bool = True,
        authenticate: Authenticate | None = None,
        probe: Probe | None = None,
        quota: Quota | None = None,
    ) -> None:
        self.sent: list[tuple[str, str]] = []
        self.counted: list[tuple[str, str, int]] = []
        self.lines: list[tuple[object, ...]] = []
        self.started: list[tuple[str, dict[str, str], object]] = []
        access = (lambda *line: self.lines.append(line[:-1])) if logs else None
        counted = lambda *what: self.counted.append(what[:3])  # noqa: E731
        probes = {"/livez": probe or alive}
        self.edge = Edge(application, probes, access, counted, authenticate, client_of=by_both, quota=quota)
        self.environ: Environ = {
            "PATH_INFO": path,
            "REMOTE_ADDR": "10.0.0.9",
            "SERVER_PROTOCOL": "HTTP/1.0",
            "HTTP_HOST": "broker:1",
            "wsgi.url_scheme": "https",
            "wsgi.input": object(),
            HEAD: head or Head(),
        }

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], None]:
        self.started.append((status, dict(headers), exc_info))
        self.sent = headers
        return lambda _: None

    def call(self) -> Iterable[bytes]:
        return self.edge(self.environ, self.start_response)

    @property
    def status(self) -> str:
        return self.started[-1][0]

    @property
    def headers(self) -> dict[str, str]:
        return self.started[-1][1]


def by_both(peer: str, headers: Headers) -> str:
    """Stands in for the policy: takes both of what it is asked with."""
    return f"{peer} of {len(headers)}"


def alive(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"alive"]


def answering(
    body: Iterable[bytes], status: str = "200 OK", route: str = "/v0/{vim_id}/{rest}", **headers: str
) -> Application:
    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ[REQUEST].route, environ[REQUEST].plugin = route, "p"
        start_response(status, [(name.replace("_", "-"), value) for name, value in headers.items()])
        return body

    return application


def failing(error: BaseException) -> Application:
    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise error

    return application


class Stream:
    """A body that arrives piece by piece, and can fail or be cancelled."""

    def __init__(self, *pieces: bytes, error: BaseException | None = None) -> None:
        self.pieces, self.error, self.closed = pieces, error, 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


def test_a_request_is_answered_counted_and_logged_once() -> None:
    story = Story(answering([b"body"], "201 Made", X_Own="1"))
    assert story.call() == [b"body"]
    assert (story.status, story.headers) == ("201 Made", {"X-Own": "1", "X-ONAP-RequestID": "id-1"})
    assert story.counted == [("GET", "/v0/{vim_id}/{rest}", 201)]
    assert story.lines == [("id-1", "10.0.0.9 of 1", "", "GET", "/api/multicloud/v0/a_b", "p", 201)]


def test_the_broker_gets_the_request_as_it_came() -> None:
    head = Head("PUT", b"/a%2Fb//?c", [(b"X-RequestID", b"r"), (b"x-A", b"\xff")])
    story = Story(answering([]), head)
    story.call()
    request = story.environ[REQUEST]
    assert (request.method, request.target, request.headers) == ("PUT", b"/a%2Fb//?c", head.headers)
    assert (request.request_id, request.client, request.body) == ("r", "10.0.0.9 of 2", story.environ["wsgi.input"])
    assert request.hop == Hop("10.0.0.9", "https", "broker:1", "1.0")


@pytest.mark.parametrize("headers", [[], [(b"X-ONAP-RequestID", b"not an id")]], ids=["none", "no valid one"])
def test_a_request_without_an_id_gets_one(headers: Headers) -> None:
    ids = []
    for _ in range(2):
        story = Story(answering([]), Head(headers=headers))
        story.call()
        ids.append(story.headers["X-ONAP-RequestID"])
        assert story.lines[0][0] == ids[-1]
    assert all(UUID.fullmatch(found) for found in ids)
    assert ids[0] != ids[1]


@pytest.mark.parametrize("name", ["X-ONAP-RequestID", "x-onap-requestid"])
def test_the_plugins_own_request_id_stays(name: str) -> None:
    story = Story(answering([], **{name: "theirs"}))
    story.call()
    assert story.headers == {name: "theirs"}


@pytest.mark.parametrize(
    ("error", "status", "reason", "headers"),
    [
        (BadRequest("Send more."), "400 Bad Request", "Bad-Request", {}),
        (MethodNotAllowed("Use GET.", ("GET",)), "405 Method Not Allowed", "Method-Not-Allowed", {"Allow": "GET"}),
        (Unavailable("Wait.", 3), "503 Service Unavailable", "Service-Unavailable", {"Retry-After": "3"}),
        (UpstreamGarbled("It is odd."), "502 Bad Gateway", "Upstream-Garbled", {}),
    ],
)
def test_an_error_of_ours_becomes_http_here(
    error: BrokerError, status: str, reason: str, headers: dict[str, str]
) -> None:
    story = Story(failing(error))
    (body,) = story.call()
    code = int(status[:3])
    document = {"code": code, "reason": reason, "message": error.message, "request_id": "id-1"}
    assert json.loads(body) == {"error": document}
    common = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    assert (story.status, story.headers) == (status, {**common, "X-ONAP-RequestID": "id-1", **headers})
    assert story.counted == [("GET", "unmatched", code)]
    assert [line[-1] for line in story.lines] == [code]


def test_any_other_error_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    story = Story(failing(RuntimeError("secret detail")))
    (body,) = story.call()
    assert story.status == "500 Internal Server Error"
    assert b"secret" not in body
    (record,) = caplog.records
    assert (record.levelno, "id-1" in record.getMessage()) == (logging.ERROR, True)
    assert "secret detail" in str(record.exc_info)


def test_an_error_of_ours_is_no_log_record(caplog: pytest.LogCaptureFixture) -> None:
    Story(failing(BadRequest("x"))).call()
    assert caplog.records == []


def test_a_client_that_is_gone_is_counted_and_not_answered() -> None:
    story = Story(failing(ClientGone()))
    with pytest.raises(ClientGone):
        story.call()
    assert story.started == []
    assert story.counted == [("GET", "unmatched", 499)]
    assert story.lines[0][-1] == 499


@pytest.mark.parametrize(
    ("error", "lines"),
    [(Unavailable("Wait."), 1), (CircuitOpen("Wait."), 0), (PluginBusy("Wait."), 0), (BadRequest("No."), 0)],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_ours_has_a_line_unless_one_told_when_such_began(
    caplog: pytest.LogCaptureFixture, error: BrokerError, lines: int
) -> None:
    Story(failing(error)).call()
    assert len(caplog.records) == lines


def test_a_streamed_body_goes_on_piece_by_piece_and_the_call_ends_with_it() -> None:
    stream = Stream(b"a", b"b")
    story = Story(answering(stream))
    body = iter(story.call())
    assert next(body) == b"a"
    assert (story.counted, story.lines, stream.closed) == ([], [], 0)
    assert list(body) == [b"b"]
    assert story.counted == [("GET", "/v0/{vim_id}/{rest}", 200)]
    assert (len(story.lines), stream.closed) == (1, 1)


@pytest.mark.parametrize(
    ("error", "status"), [(ClientGone(), 499), (UpstreamGarbled("cut"), 502)], ids=["client gone", "cut by the plugin"]
)
def test_a_stream_that_breaks_off_is_cancelled_and_counted(error: BaseException, status: int) -> None:
    stream = Stream(b"a", error=error)
    story = Story(answering(stream))
    with pytest.raises(type(error)):
        list(story.call())
    assert stream.closed == 1
    assert [counted[2] for counted in story.counted] == [status]


def test_a_server_that_closes_early_cancels_the_stream() -> None:
    stream = Stream(b"a", b"b")
    story = Story(answering(stream))
    body: Any = story.call()
    next(body)
    body.close()
    assert stream.closed == 1
    assert [counted[2] for counted in story.counted] == [499]  # it was not sent whole


def test_a_probe_is_answered_without_a_line_and_not_counted() -> None:
    story = Story(failing(AssertionError("the application was asked")), path="/livez")
    assert story.call() == [b"alive"]
    assert (story.status, story.headers, story.counted, story.lines) == ("200 OK", {}, [], [])


@pytest.mark.parametrize("path", ["/livez/", "/api/livez", "//livez"])
def test_only_the_very_path_is_a_probe(path: str) -> None:
    assert Story(answering([b"no probe"]), path=path).call() == [b"no probe"]


def test_what_no_route_took_is_counted_so() -> None:
    story = Story(answering([], "404 Not Found", route=""))
    story.call()
    assert story.counted == [("GET", "unmatched", 404)]


def test_what_the_server_refused_is_counted_and_logged() -> None:
    story = Story(answering([]))
    story.edge.refused(BadRequest("x"), "id-2", "10.0.0.7", None)
    assert story.counted == [("other", "unmatched", 400)]
    story.edge.refused(BadRequest("x"), "id-3", "10.0.0.7", Head())
    assert story.lines == [
        ("id-2", "10.0.0.7 of 0", "", "-", "-", "", 400),
        ("id-3", "10.0.0.7 of 1", "", "GET", "/api/multicloud/v0/a_b", "", 400),
    ]


def test_without_an_access_log_requests_are_counted_still() -> None:
    story = Story(answering([]), logs=False)
    story.call()
    story.edge.refused(BadRequest("x"), "id-2", "10.0.0.7", None)
    assert [counted[2] for counted in story.counted] == [200, 400]


def named(request: Request) -> None:
    request.user = "alice"


def nobody(request: Request) -> None:
    raise Unauthorized("Say who you are.", ("Basic", "Bearer"))


def test_who_may_call_is_asked_before_any_route_and_named_in_the_line() -> None:
    story = Story(answering([b"body"]), authenticate=named)
    assert story.call() == [b"body"]
    assert story.environ[REQUEST].user == "alice"
    assert story.lines == [("id-1", "10.0.0.9 of 1", "alice", "GET", "/api/multicloud/v0/a_b", "p", 200)]


def test_who_may_not_call_is_told_how_and_reaches_no_route() -> None:
    story = Story(failing(AssertionError("the application was asked")), authenticate=nobody)
    (body,) = story.call()
    assert json.loads(body)["error"] == {
        "code": 401,
        "reason": "Unauthorized",
        "message": "Say who you are.",
        "request_id": "id-1",
    }
    assert [value for name, value in story.sent if name == "WWW-Authenticate"] == ["Basic", "Bearer"]
    assert (story.status, story.counted) == ("401 Unauthorized", [("GET", "unmatched", 401)])


def test_a_probe_is_for_everybody_unless_it_is_guarded() -> None:
    path = "/livez"
    assert Story(failing(AssertionError()), path=path, authenticate=nobody).call() == [b"alive"]
    for authenticate, status in ((named, "200 OK"), (nobody, "401 Unauthorized")):
        story = Story(failing(AssertionError()), path=path, probe=guarded(alive, authenticate))
        story.call()
        assert story.status == status


def failing_after_its_start(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    raise RuntimeError("as asked")


@pytest.mark.parametrize(
    ("application", "status"),
    [
        (answering([b"body"]), 200),
        (answering(Stream(b"a", b"b")), 200),
        (answering(Stream(b"a", error=ClientGone())), 499),
        (answering(Stream(b"a", error=RuntimeError())), 200),
        (answering(Stream(error=RuntimeError())), 500),
        (answering(Stream(error=UpstreamGarbled("cut"))), 502),
        (answering(Stream(error=ClientGone())), 499),
        (failing(BadRequest("x")), 400),
        (failing(RuntimeError()), 500),
        (failing(ClientGone()), 499),
        (failing_after_its_start, 500),
    ],
)
def test_however_a_request_ends_its_client_is_free_of_it_and_it_is_logged_once(
    application: Application, status: int
) -> None:
    counts = Counts(1)
    quota = Quota(counts, 0, Allowance(at_once=1))
    story = Story(application, quota=quota)
    with contextlib.suppress(ClientGone, RuntimeError):
        list(story.call())
    assert sum(counts.get(0, AT_ONCE, row) for row in range(ROWS)) == 0
    assert [line[6] for line in story.lines] == [status]
