"""A request to a plugin and its answer: unchanged but for the headers of a hop, and observed."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from app.core.address import Destination
from app.core.circuits import Circuits
from app.core.forwarded import Forwarding
from app.core.message import Body, Headers, Hop, Request, Response
from app.core.origin import Origin
from app.errors import BadRequest, BrokerError, UpstreamGarbled, UpstreamRefused, UpstreamTimeout
from app.upstream.client import Timeouts
from app.upstream.forward import Forwarder
from app.upstream.guards import Guards, GuardSettings
from tests.upstream.conftest import (
    CHUNKED,
    PATIENT,
    REQUEST,
    SOON,
    Asker,
    Serve,
    Upload,
    answer,
    close,
    reads,
    until,
)


class Forward(NamedTuple):
    """Forwards, and keeps what was observed."""

    ask: Asker
    observed: list[tuple[str, int, float]]
    guards: Guards

    def __call__(
        self,
        origin: Origin,
        method: str = "GET",
        headers: Headers | None = None,
        body: Body | None = None,
        timeouts: Timeouts = PATIENT,
        dropped: frozenset[bytes] = frozenset(),
    ) -> Response:
        nothing = Upload(length=0)
        nothing.present = False
        hop = Hop("10.0.0.9", "https", "broker:1", "1.0")
        request = Request(method, b"/from", headers or [], body or nothing, "the-id", "client", hop)
        forwarding = Forwarding(via="own", via_back="own")
        observed = lambda *seen: self.observed.append(seen)  # noqa: E731
        forwarder = Forwarder(self.ask.client, timeouts, observed, forwarding, self.guards, dropped)
        return self.ask.run(lambda: forwarder.forward(request, Destination(origin, b"/to?a=%2F", "multicloud-x")))

    def fails(self, error: type[BrokerError], origin: Origin, timeouts: Timeouts = PATIENT) -> BrokerError:
        with pytest.raises(error) as caught:
            self(origin, timeouts=timeouts)
        return caught.value


@pytest.fixture
def forward(ask: Asker) -> Forward:
    return Forward(ask, [], Guards(ask.loop, Circuits(), GuardSettings(None, 0, 0, 1.0)))


def test_a_request_is_sent_to_its_destination(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"ok")])
    headers = [
        (b"Host", b"broker"),
        (b"x-Auth-Token", b"t"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Cookie", b"a"),
        (b"Expect", b"100-continue"),
        (b"cookie", b"b"),
    ]
    assert forward(upstream.origin, headers=headers).body == [b"ok"]
    invocation = rb"(\S{36})"
    assert re.fullmatch(
        rb"GET /to\?a=%2F HTTP/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nx-Auth-Token: t\r\nCookie: a\r\ncookie: b\r\n"
        rb"X-ONAP-RequestID: the-id\r\nX-InvocationID: " + invocation + rb"\r\nX-ONAP-InvocationID: \1\r\n"
        rb"X-Forwarded-For: 10\.0\.0\.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: broker:1\r\nVia: 1\.0 own\r\n\r\n",
        upstream.received(),
    )


def test_a_header_may_be_kept_from_plugins(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"ok")])
    headers = [(b"AUTHORIZATION", b"secret"), (b"Authorization-X", b"1"), (b"Connection", b"authorization")]
    forward(upstream.origin, headers=headers, dropped=frozenset((b"authorization",)))
    assert (b"secret" in upstream.received(), b"Authorization-X: 1" in upstream.received()) == (False, True)
    upstream = serve([REQUEST, answer(b"ok")])
    forward(upstream.origin, headers=headers)
    assert b"AUTHORIZATION: secret" in upstream.received()


def test_each_request_has_an_invocation_id_of_its_own(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b""), REQUEST, answer(b"")])
    forward(upstream.origin)
    forward(upstream.origin)
    assert len(set(re.findall(rb"X-InvocationID: (\S+)", upstream.received()))) == 2


@pytest.mark.parametrize(
    ("length", "sent"),
    [
        (5, b"\r\nContent-Length: 5\r\n(.*\r\n)+\r\nhello"),
        (None, b"\r\nTransfer-Encoding: chunked\r\n(.*\r\n)+\r\n5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_a_body_is_framed_anew(length: int | None, sent: bytes, forward: Forward, serve: Serve) -> None:
    upstream = serve([reads(b"hello" if length else b"0\r\n\r\n"), answer(b"ok")])
    headers = [(b"content-length", b"99"), (b"transfer-encoding", b"gzip")]
    forward(upstream.origin, "POST", headers, Upload(b"hello", length=length))
    assert re.search(sent + rb"\Z", upstream.received())
    assert b"content-length" not in upstream.received()
    assert b"transfer-encoding" not in upstream.received()


def test_an_empty_body_stays_one(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST, answer(b"ok")])
    forward(upstream.origin, "POST", body=Upload(length=0))
    assert b"\r\nContent-Length: 0\r\n" in upstream.received()


def test_the_answer_keeps_all_but_a_hops_headers(forward: Forward, serve: Serve) -> None:
    lines = (
        b"set-cookie: a",
        b"Connection: X-Hop",
        b"Keep-Alive: timeout=5",
        b"X-Hop: 1",
        b"SET-COOKIE: \xe9",
        b"x-onap-requestid: its-own",
    )
    got = forward(serve([REQUEST, answer(b"\0gone", *lines, status=b"410 Gone away")]).origin)
    assert (got.status, got.reason, got.body) == (410, "Gone away", [b"\0gone"])
    assert got.headers == [
        ("set-cookie", "a"),
        ("SET-COOKIE", "\xe9"),
        ("x-onap-requestid", "its-own"),
        ("Content-Length", "5"),
        ("Via", "1.1 own"),
    ]


def test_via_tells_the_version_in_which_the_answer_came(forward: Forward, serve: Serve) -> None:
    got = forward(serve([REQUEST, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nVia: 1.1 before\r\n\r\n"]).origin)
    assert [value for name, value in got.headers if name == "Via"] == ["1.1 before", "1.0 own"]


def test_the_request_id_is_returned(forward: Forward, serve: Serve) -> None:
    got = forward(serve([REQUEST, answer(b"")]).origin)
    assert ("X-ONAP-RequestID", "the-id") in got.headers


def test_head_keeps_the_length_that_get_would_have(forward: Forward, serve: Serve) -> None:
    got = forward(serve([REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]).origin, "HEAD")
    assert ("Content-Length", "9") in got.headers
    assert got.body == [b""]


def test_a_body_that_is_still_coming_is_streamed(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST, CHUNKED + b"3\r\nhel\r\n", close])
    got = forward(upstream.origin)
    assert [name for name, _ in got.headers] == ["X-ONAP-RequestID", "Via"]  # the next hop's framing is not ours to say
    with pytest.raises(UpstreamGarbled):
        forward.ask.run(lambda: b"".join(got.body))


def test_an_answer_is_observed(forward: Forward, serve: Serve) -> None:
    forward(serve([REQUEST, answer(b"", status=b"503 No")]).origin)
    [(plugin, status, seconds)] = forward.observed
    assert (plugin, status) == ("multicloud-x", 503)
    assert 0 < seconds < 10


def test_a_failure_names_the_plugin_and_is_observed(forward: Forward, dead: Origin, settled: None) -> None:
    error = forward.fails(UpstreamRefused, dead)
    assert error.message == f"multicloud-x at {dead}: The upstream took no connection: Connection refused."
    assert [seen[:2] for seen in forward.observed] == [("multicloud-x", 502)]


def test_a_timeout_names_the_plugin_and_is_observed(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST])
    error = forward.fails(UpstreamTimeout, upstream.origin, Timeouts(60, SOON, 60))
    assert error.message.startswith(f"multicloud-x at {upstream.origin}: ")
    assert [seen[:2] for seen in forward.observed] == [("multicloud-x", 504)]
    until(upstream.over)


def test_an_answer_that_is_no_http_names_the_plugin_and_is_observed(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
    error = forward.fails(UpstreamGarbled, upstream.origin)
    assert error.message.startswith("multicloud-x at ")
    assert [seen[:2] for seen in forward.observed] == [("multicloud-x", 502)]


def test_a_body_that_the_client_breaks_is_not_the_plugins_fault(forward: Forward, serve: Serve) -> None:
    upstream = serve([REQUEST])
    with pytest.raises(BadRequest, match=r"^Send a valid body\.$"):
        forward(upstream.origin, body=Upload(b"half", BadRequest("Send a valid body.")), method="PUT")
    assert forward.observed == []
