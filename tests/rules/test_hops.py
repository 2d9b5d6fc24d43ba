"""Rules 1 and 5: what is for this hop alone stays here, both ways; the target goes on byte for byte."""

from __future__ import annotations

import pytest

from tests.conftest import Process
from tests.rules.conftest import TYPES, X, last, request, told
from tests.rules.plugin import Plugin
from tests.rules.reading import ask, read

HOP_BY_HOP = {
    b"Keep-Alive": b"timeout=5, max=100",
    b"Proxy-Connection": b"keep-alive",
    b"TE": b"trailers",
    b"Trailer": b"X-Sum",
    b"Upgrade": b"websocket",
    b"Proxy-Authorization": b"Basic eDp5",
    b"Proxy-Authenticate": b"Basic",
    b"Proxy-Authentication-Info": b"nextnonce=x",
}


@pytest.mark.parametrize("name", HOP_BY_HOP)
@pytest.mark.parametrize("spelling", [bytes, bytes.upper, bytes.lower])
def test_rule_01_a_hop_by_hop_header_of_a_request_stays_here(
    broker: Process, plugin: Plugin, name: bytes, spelling: type[bytes]
) -> None:
    answer = ask(broker, last(b"X-Before: 1", b"%b: %b" % (spelling(name), HOP_BY_HOP[name]), b"X-After: 2"))
    assert answer.status == 200
    assert name.lower() not in plugin.only.names
    assert {b"x-before", b"x-after"} < plugin.only.names


@pytest.mark.parametrize("name", HOP_BY_HOP)
@pytest.mark.parametrize("spelling", [bytes, bytes.upper, bytes.lower])
def test_rule_01_a_hop_by_hop_header_of_an_answer_stays_here(
    broker: Process, plugin: Plugin, name: bytes, spelling: type[bytes]
) -> None:
    plugin.answers(told(b"ok", b"X-Before: 1", b"%b: %b" % (spelling(name), HOP_BY_HOP[name]), b"X-After: 2"))
    answer = ask(broker, last())
    assert name.lower() not in answer.names
    assert {b"x-before", b"x-after"} < answer.names


NAMED = {
    "one": ([b"Connection: X-Named"], {b"X-Named"}),
    "a list": ([b"Connection: X-Named,x-other"], {b"X-Named", b"X-Other"}),
    "spaces and tabs": ([b"Connection: \t X-Named \t ,\t X-Other "], {b"X-Named", b"X-Other"}),
    "empty elements": ([b"Connection: ,, ,X-Named,"], {b"X-Named"}),
    "odd case": ([b"cOnNeCtIoN: x-nAMED"], {b"X-Named"}),
    "several lines": ([b"Connection: X-Named", b"connection: close, X-Other"], {b"X-Named", b"X-Other"}),
    "what is no token": ([b'Connection: "X-Other", X-Named;q=1, X-Named'], {b"X-Named"}),
    "an end-to-end one": ([b"Connection: Cookie, Set-Cookie"], {b"Cookie", b"Set-Cookie"}),
}


@pytest.mark.parametrize("case", NAMED)
def test_rule_01_what_connection_names_stays_here_of_a_request(broker: Process, plugin: Plugin, case: str) -> None:
    lines, named = NAMED[case]
    there = [b"X-Named", b"X-Other", b"Cookie", b"Set-Cookie"]
    ask(broker, last(*(b"%b: v" % name for name in there), *lines, b"X-Named: again"))
    assert {name.lower() for name in there if name not in named} <= plugin.only.names
    assert {name.lower() for name in named} & plugin.only.names == set()


@pytest.mark.parametrize("case", NAMED)
def test_rule_01_what_connection_names_stays_here_of_an_answer(broker: Process, plugin: Plugin, case: str) -> None:
    lines, named = NAMED[case]
    there = [b"X-Named", b"X-Other", b"Cookie", b"Set-Cookie"]
    plugin.answers(told(b"ok", *(b"%b: v" % name for name in there), *lines, b"X-Named: again"))
    answer = ask(broker, last())
    assert {name.lower() for name in there if name not in named} <= answer.names
    assert {name.lower() for name in named} & answer.names == set()
    assert answer.values(b"Connection") == [b"close"]


PROTECTED = [
    b"Host",
    b"Content-Length",
    b"Authorization",
    b"X-Auth-Token",
    b"X-ONAP-RequestID",
    b"X-RequestID",
    b"X-TransactionID",
    b"X-ECOMP-RequestID",
]


@pytest.mark.parametrize("name", PROTECTED)
def test_rule_01_connection_takes_nothing_away_that_a_plugin_decides_by(
    broker: Process, plugin: Plugin, name: bytes
) -> None:
    """Nor the framing: a plugin would read the body as another request."""
    sent = b"" if name in (b"Host", b"Content-Length") else b"%b: value" % name
    lines = [b"Connection: %b, %b" % (name, name.lower()), *([sent] if sent else []), b"Content-Length: 3"]
    answer = ask(broker, last(*lines, method=b"POST", body=b"abc"))
    asked = plugin.only
    assert (answer.status, bytes(asked.body), asked.values(b"Content-Length")) == (200, b"abc", [b"3"])
    assert asked.values(b"Host") == [b"127.0.0.1:%d" % plugin.port]
    ids = [value for key, value in asked.headers if key.lower().endswith((b"requestid", b"transactionid"))]
    assert (len(ids), len(asked.values(b"X-InvocationID"))) == (1, 1)
    if sent:
        assert asked.values(name) == [b"value"]


@pytest.mark.parametrize("name", [b"Transfer-Encoding", b"X-InvocationID", b"X-ONAP-InvocationID"])
def test_rule_01_connection_cannot_name_what_the_broker_adds(broker: Process, plugin: Plugin, name: bytes) -> None:
    body = b"3\r\nabc\r\n0\r\n\r\n"
    ask(broker, last(b"Connection: " + name, b"Transfer-Encoding: chunked", method=b"POST", body=body))
    assert (bytes(plugin.only.body), len(plugin.only.values(name))) == (b"abc", 1)


@pytest.mark.parametrize("name", [b"Content-Length", b"X-ONAP-RequestID", b"Date", b"Transfer-Encoding"])
def test_rule_01_an_answers_connection_takes_no_framing_nor_id_away(
    broker: Process, plugin: Plugin, name: bytes
) -> None:
    plugin.answers(
        told(b"body", b"Connection: " + name, b"X-ONAP-RequestID: its", b"Date: Sun, 06 Nov 1994 08:49:37 GMT")
    )
    answer = ask(broker, last())
    assert (answer.body, answer.values(b"X-ONAP-RequestID"), answer.values(b"Content-Length")) == (
        b"body",
        [b"its"],
        [b"4"],
    )
    assert len(answer.values(b"Date")) == 1


def test_rule_01_an_upgrade_is_not_passed_on_and_its_body_is_framed(broker: Process, plugin: Plugin) -> None:
    upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    first = request(*upgrade, b"Content-Length: 3", method=b"POST", body=b"abc")
    answers = read(broker.raw(first + last(target=TYPES)), "POST", "GET")
    assert [answer.status for answer in answers] == [200, 200]
    assert plugin.only.names & {b"upgrade", b"http2-settings", b"connection"} == set()
    assert bytes(plugin.only.body) == b"abc"


TARGETS = [
    b"/a%2Fb%2f",
    b"//double//slashes//",
    b"/%FF%00%0d%0a",
    b"?name=multicloud-x&unencoded=a:b@c/d?e",
    b"?",
    b"/x?a=b&a=c;d&%zz&e==",
    b"/api/multicloud/v0/vmware_fake",
    b"/t/servers/",
    b"/semi;colon=1;x",
    b"/x?/../y/./z",
    b"/file.txt",
    b"/...",
    b"/.hidden/..x/y..",
    b"/'b(c)*!$,~_-\"<>\\^`{|}",
    b"/%2e%2e%2e",
    b"/" + b"long" * 1000,
]


@pytest.mark.parametrize("rest", TARGETS)
@pytest.mark.parametrize("absolute", [b"", b"http://other.example:81"])
def test_rule_05_path_and_query_reach_the_plugin_byte_for_byte(
    broker: Process, plugin: Plugin, rest: bytes, absolute: bytes
) -> None:
    base = X.removesuffix(b"/x")
    assert ask(broker, last(target=absolute + base + rest)).status == 200
    assert plugin.only.line == b"GET /api/multicloud-vio/v0/vmware_fake%b HTTP/1.1" % rest


DOTS = [
    b"/..", b"/.", b"/../x", b"/./x", b"/x/..", b"/%2e%2E/x", b"/.%2e", b"/%2e", b"/a%2F..%2Fb", b"/a%2f%2e%2e", b"/..;x/y",
    b"/.;", b"/a\\..\\b", b"/%5c..", b"/a%5C%2E%2E%5Cb", b"/..%2f..%2fadmin", b"/%2e%2e;a=b?c",
]  # fmt: skip


@pytest.mark.parametrize("rest", DOTS)
def test_rule_05_dot_segments_are_refused(broker: Process, plugin: Plugin, rest: bytes) -> None:
    answer = ask(broker, last(target=X.removesuffix(b"/x") + rest))
    assert (answer.status, plugin.asked) == (400, []), answer.error


@pytest.mark.parametrize("byte", [b"\x00", b"\x01", b"\t", b"\x0b", b"\x7f", b"#", b"\x80", b"\xff", b"\x1b"])
def test_rule_05_bytes_that_no_target_may_hold_are_refused(broker: Process, plugin: Plugin, byte: bytes) -> None:
    """Contract, section 2.3: so they never reach a log or a plugin raw either."""
    answer = ask(broker, last(target=X + b"a" + byte + b"b"))
    assert (answer.status, plugin.asked) == (400, [])
