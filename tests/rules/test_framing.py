"""Rules 2, 3 and 4: one framing, one reading; whoever sends another is refused, both ways."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import Process
from tests.rules.conftest import X, chunked, last, request
from tests.rules.plugin import Plugin, says
from tests.rules.reading import ask, read

SMUGGLED = b"GET /api/multicloud/v0/vmware_fake/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def post(*lines: bytes, body: bytes = b"abc" + SMUGGLED, version: bytes = b"1.1") -> bytes:
    return request(*lines, method=b"POST", version=version, body=body)


LENGTH, CHUNKED = b"Content-Length: 3", b"Transfer-Encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n" + SMUGGLED
TWO_FRAMINGS = {
    "length, chunked": post(LENGTH, CHUNKED),
    "chunked, length": post(CHUNKED, LENGTH, body=LAST_CHUNK),
    "two equal lengths": post(LENGTH, LENGTH),
    "two lengths": post(LENGTH, b"Content-Length: 4"),
    "two lengths in odd case": post(LENGTH, b"cONTENT-lENGTH: 4"),
    "a list of equal lengths": post(b"Content-Length: 3, 3"),
    "a list of lengths": post(b"Content-Length: 3,4"),
    "two chunked": post(CHUNKED, CHUNKED, body=LAST_CHUNK),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=LAST_CHUNK),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=LAST_CHUNK),
    "chunked, gzip": post(b"Transfer-Encoding: chunked, gzip", body=LAST_CHUNK),
    "gzip": post(b"Transfer-Encoding: gzip"),
    "identity": post(b"Transfer-Encoding: identity"),
    "identity and a length": post(b"Transfer-Encoding: identity", LENGTH),
    "no coding": post(b"Transfer-Encoding:", body=LAST_CHUNK),
    "no coding and a length": post(b"Transfer-Encoding: ", LENGTH),
    "quoted chunked": post(b'Transfer-Encoding: "chunked"', body=LAST_CHUNK),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;q=1", body=LAST_CHUNK),
    "xchunked": post(b"Transfer-Encoding: xchunked", body=LAST_CHUNK),
    "chunked after a comma": post(b"Transfer-Encoding: ,chunked", body=LAST_CHUNK),
    "chunked behind a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=LAST_CHUNK),
    "chunked behind a no-break space": post(b"Transfer-Encoding: \xa0chunked", body=LAST_CHUNK),
    "split over two lines": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=LAST_CHUNK),
    "chunked in HTTP/1.0": post(CHUNKED, body=LAST_CHUNK, version=b"1.0"),
    "chunked and keep-alive in HTTP/1.0": post(CHUNKED, b"Connection: keep-alive", body=LAST_CHUNK, version=b"1.0"),
}


@pytest.mark.parametrize("case", TWO_FRAMINGS)
def test_rule_02_a_request_has_one_framing_or_is_refused(broker: Process, plugin: Plugin, case: str) -> None:
    """400, and nothing after it is read on that connection."""
    answer = ask(broker, TWO_FRAMINGS[case], "POST")
    assert (answer.status, answer.values(b"Connection"), plugin.asked) == (400, [b"close"], [])


def test_rule_02_chunked_in_odd_case_is_chunked(broker: Process, plugin: Plugin) -> None:
    body = chunked(b"abc")
    assert ask(broker, last(b"tRANSFER-eNCODING: \t ChunKED", method=b"PUT", body=body)).status == 200
    assert (bytes(plugin.only.body), plugin.only.values(b"Transfer-Encoding")) == (b"abc", [b"chunked"])


HELLO = b"HTTP/1.1 200 OK\r\n"
NOT_ONE_FRAMING = {
    "length, chunked": HELLO + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    "chunked, length": HELLO + b"Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": HELLO + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "two equal lengths": HELLO + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a list of lengths": HELLO + b"Content-Length: 2, 2\r\n\r\nok",
    "gzip, chunked": HELLO + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked, gzip": HELLO + b"Transfer-Encoding: chunked, gzip\r\n\r\nok",
    "gzip": HELLO + b"Transfer-Encoding: gzip\r\n\r\nok",
    "identity": HELLO + b"Transfer-Encoding: identity\r\n\r\nok",
    "two chunked": HELLO + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "no coding": HELLO + b"Transfer-Encoding:\r\n\r\nok",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("case", NOT_ONE_FRAMING)
def test_rule_02_an_answer_has_one_framing_or_is_a_502(broker: Process, plugin: Plugin, case: str) -> None:
    plugin.answers(says(NOT_ONE_FRAMING[case]))
    raw = broker.raw(request() + last())
    first, second = read(raw, "GET", "GET")
    assert (first.status, second.status) == (502, 200)
    assert [asked.connection for asked in plugin.asked] == [0, 1]


LINES = {
    "obs-fold by a space": b"X-A: b\r\n c\r\n",
    "obs-fold by a tab": b"X-A: b\r\n\tc\r\n",
    "a fold before the first name": b" X-A: b\r\n",
    "a folded Transfer-Encoding": b"Transfer-Encoding:\r\n chunked\r\n",
    "a folded Content-Length": b"Content-Length:\r\n 3\r\n",
    "space before the colon": b"X-A : b\r\n",
    "tab before the colon": b"X-A\t: b\r\n",
    "space before Transfer-Encoding's colon": b"Transfer-Encoding : chunked\r\n",
    "space before Content-Length's colon": b"Content-Length : 3\r\n",
    "a space within a name": b"X A: b\r\n",
    "no colon": b"X-A\r\n",
    "no name": b": b\r\n",
    "bare CR in a value": b"X-A: b\rc\r\n",
    "bare CR in a name": b"X\r-A: b\r\n",
    "bare CR at a value's end": b"X-A: b\r\r\n",
    "bare LF in a value": b"X-A: b\nX-B: c\r\n",
    "bare LF at the end": b"X-A: b\n",
    "bare LF and a framing": b"X-A: b\nTransfer-Encoding: chunked\r\n",
    "CR in place of CR LF": b"X-A: b\rTransfer-Encoding: chunked\r\n",
    "NUL in a value": b"X-A: b\0c\r\n",
    "NUL in a name": b"X\0A: b\r\n",
    "NUL alone": b"\0\r\n",
    "DEL in a value": b"X-A: b\x7fc\r\n",
    "a control byte in a value": b"X-A: b\x01c\r\n",
    "a vertical tab in a name": b"X-A\x0b: b\r\n",
    "a byte above 0x7F in a name": b"X-\xe9: b\r\n",
    "parentheses in a name": b"X(A): b\r\n",
    "a brace in a name": b"{X}: b\r\n",
}


@pytest.mark.parametrize("case", LINES)
def test_rule_03_a_line_that_two_could_read_otherwise_is_refused(broker: Process, plugin: Plugin, case: str) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n" % X
    for raw in (head + LINES[case] + b"\r\n", b"POST %b HTTP/1.1\r\n" % X + LINES[case] + b"Host: x\r\n\r\n"):
        answer = ask(broker, raw, "POST")
        assert (answer.status, plugin.asked) == (400, [])


START = {
    "bare LF": b"GET %b HTTP/1.1\nHost: x\r\n\r\n",
    "CR CR LF": b"GET %b HTTP/1.1\r\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  %b HTTP/1.1\r\nHost: x\r\n\r\n",
    "two spaces before the version": b"GET %b  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab": b"GET\t%b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space at the start": b" GET %b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space at the end": b"GET %b HTTP/1.1 \r\nHost: x\r\n\r\n",
    "a NUL": b"GET %b\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a CR in the target": b"GET %b\rX HTTP/1.1\r\nHost: x\r\n\r\n",
    "the head's end is bare": b"GET %b HTTP/1.1\r\nHost: x\r\n\n",
    "the head's end is LF LF": b"GET %b HTTP/1.1\r\nHost: x\n\n",
    "lower-case http": b"GET %b http/1.1\r\nHost: x\r\n\r\n",
    "no digits": b"GET %b HTTP/x.y\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("case", START)
def test_rule_03_a_request_line_that_two_could_read_otherwise_is_refused(
    broker: Process, plugin: Plugin, case: str
) -> None:
    answer = ask(broker, START[case] % X)
    assert (answer.status in (400, 505), plugin.asked) == (True, [])


@pytest.mark.parametrize("case", LINES)
def test_rule_03_an_answers_line_that_two_could_read_otherwise_is_a_502(
    broker: Process, plugin: Plugin, case: str
) -> None:
    plugin.answers(says(HELLO + LINES[case] + b"Content-Length: 2\r\n\r\nok"))
    assert ask(broker, last()).status == 502


NO_LENGTH = [
    "+3",
    "-3",
    "0x3",
    "3.0",
    "3 3",
    "3;",
    '"3"',
    "",
    " ",
    "three",
    "3a",
    "\xb3",
    "9" * 30,
    "3,",
    "_3",
    "1_0",
    "1e1",
]


@pytest.mark.parametrize("length", NO_LENGTH)
def test_rule_03_a_content_length_is_digits_only(broker: Process, plugin: Plugin, length: str) -> None:
    line = b"Content-Length: %b" % length.encode("latin-1")
    answer = ask(broker, post(line), "POST")
    assert (answer.status, plugin.asked) == (400, [])
    plugin.answers(says(HELLO + line + b"\r\n\r\nok"))
    assert ask(broker, last()).status == 502


BAD_CHUNKS = {
    "0x": b"0x3\r\nabc\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "a minus": b"-3\r\nabc\r\n",
    "an underscore": b"0_3\r\nabc\r\n",
    "a space before": b" 3\r\nabc\r\n",
    "a space after": b"3 \r\nabc\r\n",
    "a tab after": b"3\t\r\nabc\r\n",
    "bare LF": b"3\nabc\r\n",
    "bare CR": b"3\rabc\r\n",
    "no size": b"\r\nabc\r\n",
    "no hex": b"g\r\nabc\r\n",
    "longer than its size": b"3\r\nabcd\r\n",
    "bare LF at its end": b"3\r\nabc\n",
    "too large": b"fffffffffffffffff\r\nabc\r\n",
    "an LF in an extension": b"3;a\nb\r\nabc\r\n",
    "a CR in an extension": b"3;a\rb\r\nabc\r\n",
    "a NUL in an extension": b"3;a\0b\r\nabc\r\n",
}


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_rule_03_a_chunk_size_is_hex_digits_only(broker: Process, plugin: Plugin, case: str) -> None:
    """The request never arrives whole; the connection is closed."""
    body = b"2\r\nok\r\n" + BAD_CHUNKS[case] + b"0\r\n\r\n" + SMUGGLED
    answer = ask(broker, post(CHUNKED, body=body), "POST")
    assert answer.status == 400
    for asked in plugin.asked:
        assert asked.ended.wait(5)
        assert not asked.complete


@pytest.mark.parametrize("case", BAD_CHUNKS)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_rule_03_an_answer_with_a_bad_chunk_is_never_whole(
    broker: Process, plugin: Plugin, case: str, version: bytes
) -> None:
    plugin.answers(says(HELLO + CHUNKED + b"\r\n\r\n2\r\nok\r\n" + BAD_CHUNKS[case] + b"0\r\n\r\n"))
    answer = ask(broker, request(b"Connection: close", version=version))
    assert answer.status == 502 or not answer.whole


@pytest.mark.parametrize("field", [b"Content-Length: 9", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"])
def test_rule_03_a_framing_in_a_trailer_is_dropped(broker: Process, plugin: Plugin, field: bytes) -> None:
    """And frames nothing: what follows is not read by it, nor as a request after the last one."""
    body = b"3\r\nabc\r\n0\r\n" + field + b"\r\n\r\n"
    assert ask(broker, last(CHUNKED, method=b"POST", body=body + SMUGGLED), "POST").status == 200
    (asked,) = plugin.asked
    assert (asked.complete, bytes(asked.body), field in asked.wire) == (True, b"abc", False)
    plugin.reset()
    plugin.answers(says(HELLO + CHUNKED + b"\r\n\r\n" + body))
    answer = ask(broker, last())
    assert (answer.status, answer.body, answer.whole) == (200, b"abc", True)
    assert answer.values(b"Content-Length") in ([b"3"], [])


HOSTS = {
    "none": b"",
    "two": b"Host: x\r\nHost: y\r\n",
    "two equal ones": b"Host: x\r\nHost: x\r\n",
    "two in odd case": b"Host: x\r\nhOST: x\r\n",
    "an empty one": b"Host:\r\n",
    "a list": b"Host: x, y\r\n",
    "userinfo": b"Host: user@x\r\n",
    "userinfo and password": b"Host: a:b@x\r\n",
    "a space": b"Host: x y\r\n",
    "a tab": b"Host: x\ty\r\n",
    "a path": b"Host: x/y\r\n",
    "a scheme": b"Host: http://x\r\n",
    "a query": b"Host: x?y\r\n",
    "a fragment": b"Host: x#y\r\n",
    "a backslash": b"Host: x\\y\r\n",
    "an odd port": b"Host: x:8a\r\n",
    "a signed port": b"Host: x:+80\r\n",
    "a huge port": b"Host: x:123456\r\n",
    "two ports": b"Host: x:80:80\r\n",
    "a port alone": b"Host: :80\r\n",
    "an open bracket": b"Host: [::1\r\n",
    "a bracket in a name": b"Host: x[1]\r\n",
    "a byte above 0x7F": b"Host: \xe9\r\n",
    "a bad escape": b"Host: x%zz\r\n",
    "an angle": b"Host: <x>\r\n",
}


@pytest.mark.parametrize("case", HOSTS)
def test_rule_04_there_is_exactly_one_valid_host(broker: Process, plugin: Plugin, case: str) -> None:
    answer = ask(broker, b"GET %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (X, HOSTS[case]))
    assert (answer.status, plugin.asked) == (400, [])


@pytest.mark.parametrize(
    "host", [b"x", b"x:80", b"10.0.0.1:9001", b"[::1]:80", b"[2001:db8::1]", b"a-b.c_d.example.", b"x%41"]
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_rule_04_a_valid_host_is_replaced_by_the_plugins(
    broker: Process, plugin: Plugin, host: bytes, version: bytes
) -> None:
    answer = ask(broker, b"GET %b HTTP/%b\r\nHost: %b\r\nConnection: close\r\n\r\n" % (X, version, host))
    assert (answer.status, plugin.only.values(b"Host")) == (200, [b"127.0.0.1:%d" % plugin.port])


def test_rule_04_http_1_0_needs_no_host(broker: Process, plugin: Plugin) -> None:
    assert ask(broker, b"GET %b HTTP/1.0\r\n\r\n" % X).status == 200


@pytest.mark.parametrize("authority", [b"other.example", b"other.example:81", b"[::1]:9001"])
@pytest.mark.parametrize("scheme", [b"http", b"HTTPS"])
def test_rule_04_an_absolute_target_wins(broker: Process, plugin: Plugin, authority: bytes, scheme: bytes) -> None:
    """And neither it nor Host leads anywhere else than the plugin map does."""
    assert ask(broker, last(target=scheme + b"://" + authority + X)).status == 200
    assert plugin.only.line.startswith(b"GET /api/multicloud-vio/v0/vmware_fake/x ")
    assert plugin.only.values(b"Host") == [b"127.0.0.1:%d" % plugin.port]


ABSOLUTE = [
    b"http://user@x", b"http://a:b@x", b"http://", b"http:///", b"http:x", b"//x", b"ftp://x", b"x:80", b"http://x:8a",
    b"http://x y", b"http://[::1", b"https//x", b"javascript:x", b"file://x",
]  # fmt: skip


@pytest.mark.parametrize("authority", ABSOLUTE)
def test_rule_04_other_absolute_targets_are_refused(broker: Process, plugin: Plugin, authority: bytes) -> None:
    answer = ask(broker, last(target=authority + X))
    assert (answer.status in (400, 404), plugin.asked) == (True, [])
    assert answer.status == 400 or authority in (b"//x",)  # a path that no route takes


@pytest.mark.parametrize(("method", "status"), [(b"GET", 400), (b"POST", 400), (b"HEAD", 400), (b"OPTIONS", 404)])
def test_rule_04_an_asterisk_goes_with_options_only(
    broker: Process, plugin: Plugin, method: bytes, status: int
) -> None:
    answer = ask(broker, last(method=method, target=b"*"), method.decode())
    assert (answer.status, plugin.asked) == (status, [])


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"CONNECT x:443 HTTP/1.1", 501), (b"CONNECT %b HTTP/1.1" % X, 501), (b"TRACE %b HTTP/1.1" % X, 501), (b"BREW %b HTTP/1.1" % X, 501),
        (b"get %b HTTP/1.1" % X, 501), (b"GET %b HTTP/1.2" % X, 505), (b"GET %b HTTP/2.0" % X, 505), (b"GET %b HTTP/0.9" % X, 505),
        (b"GET %b HTTP/3.0" % X, 505), (b"GET %b" % X, 505), (b"PRI * HTTP/2.0", 505),
    ],
)  # fmt: skip
def test_rule_04_methods_and_versions(broker: Process, plugin: Plugin, line: bytes, status: int) -> None:
    answer = ask(broker, line + b"\r\nHost: x\r\n\r\n")
    assert (answer.status, plugin.asked) == (status, [])


def test_the_errors_say_what_to_do(broker: Process, plugin: Plugin) -> None:
    for raw in (TWO_FRAMINGS["length, chunked"], START["two spaces"] % X, b"GET %b HTTP/1.1\r\n\r\n" % X):
        answer = ask(broker, raw)
        assert re.fullmatch(r"[A-Z].*\.", answer.error)
        assert json.loads(answer.body)["error"]["request_id"].encode() == answer.values(b"X-ONAP-RequestID")[0]
