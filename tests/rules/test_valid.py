"""What the broker sends is valid HTTP whatever a plugin gives: told as a 502, cut, or made valid; never passed on raw."""

from __future__ import annotations

import pytest

from tests.conftest import Process
from tests.rules.conftest import last, request
from tests.rules.plugin import OK, Plugin, says, says_and_closes
from tests.rules.reading import ask, read

TAIL = b"Content-Length: 2\r\n\r\nok"
HELLO = b"HTTP/1.1 200 OK\r\n"
SPLIT = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"

GARBLED = {
    "no HTTP": b"hello\r\n\r\n",
    "a blank line only": b"\r\n\r\n",
    "lower-case http": b"http/1.1 200 OK\r\n" + TAIL,
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n" + TAIL,
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + TAIL,
    "HTTP/1.10": b"HTTP/1.10 200 OK\r\n" + TAIL,
    "HTTP/01.1": b"HTTP/01.1 200 OK\r\n" + TAIL,
    "ICY": b"ICY 200 OK\r\n" + TAIL,
    "RTSP": b"RTSP/1.0 200 OK\r\n" + TAIL,
    "no version": b"HTTP 200 OK\r\n" + TAIL,
    "a space before": b" HTTP/1.1 200 OK\r\n" + TAIL,
    "two spaces": b"HTTP/1.1  200 OK\r\n" + TAIL,
    "a tab": b"HTTP/1.1\t200 OK\r\n" + TAIL,
    "no status": b"HTTP/1.1 OK\r\n" + TAIL,
    "two digits": b"HTTP/1.1 20 OK\r\n" + TAIL,
    "four digits": b"HTTP/1.1 2000 OK\r\n" + TAIL,
    "a status of 0": b"HTTP/1.1 000 OK\r\n" + TAIL,
    "a status of 99": b"HTTP/1.1 099 OK\r\n" + TAIL,
    "a negative status": b"HTTP/1.1 -20 OK\r\n" + TAIL,
    "a status in hexadecimal": b"HTTP/1.1 0xc OK\r\n" + TAIL,
    "a status and text": b"HTTP/1.1 200OK\r\n" + TAIL,
    "CR in the reason": b"HTTP/1.1 200 O\rK\r\n" + TAIL,
    "CR and a header in the reason": b"HTTP/1.1 200 OK\rX-A: b\r\n" + TAIL,
    "LF in the reason": b"HTTP/1.1 200 O\nK\r\n" + TAIL,
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\n" + TAIL,
    "a control byte in the reason": b"HTTP/1.1 200 O\x01K\r\n" + TAIL,
    "DEL in the reason": b"HTTP/1.1 200 O\x7fK\r\n" + TAIL,
    "an escape in the reason": b"HTTP/1.1 200 \x1b[31mOK\r\n" + TAIL,
    "CR in a value": HELLO + b"X-A: b\rX-B: c\r\n" + TAIL,
    "LF in a value": HELLO + b"X-A: b\nX-B: c\r\n" + TAIL,
    "LF LF in a value": HELLO + b"X-A: b\n\n" + SPLIT + b"\r\n" + TAIL,
    "CR CR in a value": HELLO + b"X-A: b\r\r" + SPLIT + b"\r\n" + TAIL,
    "NUL in a value": HELLO + b"X-A: b\0c\r\n" + TAIL,
    "a control byte in a value": HELLO + b"X-A: b\x01c\r\n" + TAIL,
    "a backspace in a value": HELLO + b"X-A: b\x08c\r\n" + TAIL,
    "DEL in a value": HELLO + b"X-A: b\x7fc\r\n" + TAIL,
    "a vertical tab before a value": HELLO + b"X-A:\x0bb\r\n" + TAIL,
    "a space in a name": HELLO + b"X A: b\r\n" + TAIL,
    "a space after a name": HELLO + b"X-A : b\r\n" + TAIL,
    "a tab after a name": HELLO + b"X-A\t: b\r\n" + TAIL,
    "a space before a name": HELLO + b" X-A: b\r\n" + TAIL,
    "no name": HELLO + b": b\r\n" + TAIL,
    "no colon": HELLO + b"X-A b\r\n" + TAIL,
    "a byte above 0x7F in a name": HELLO + b"X-\xe9: b\r\n" + TAIL,
    "NUL in a name": HELLO + b"X\0A: b\r\n" + TAIL,
    "a control byte in a name": HELLO + b"X\x01A: b\r\n" + TAIL,
    "a quote in a name": HELLO + b'"X": b\r\n' + TAIL,
    "a slash in a name": HELLO + b"X/A: b\r\n" + TAIL,
    "obs-fold": HELLO + b"X-A: b\r\n c\r\n" + TAIL,
    "obs-fold by a tab": HELLO + b"X-A: b\r\n\tc\r\n" + TAIL,
    "obs-fold of a framing": HELLO + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "LF only": (HELLO + TAIL).replace(b"\r\n", b"\n"),
    "LF at the head's end": HELLO + b"Content-Length: 2\r\n\nok",
    "a negative length": HELLO + b"Content-Length: -2\r\n\r\nok",
    "a signed length": HELLO + b"Content-Length: +2\r\n\r\nok",
    "a hexadecimal length": HELLO + b"Content-Length: 0x2\r\n\r\nok",
    "a length with an underscore": HELLO + b"Content-Length: 0_2\r\n\r\nok",
    "a length with a comma": HELLO + b"Content-Length: 2,\r\n\r\nok",
    "two lengths": HELLO + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nokok",
    "a huge length": HELLO + b"Content-Length: 99999999999999999999\r\n\r\nok",
    "both framings": HELLO + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a huge value": HELLO + b"X-A: " + b"a" * 200_000 + b"\r\n" + TAIL,
    "a huge name": HELLO + b"a" * 200_000 + b": b\r\n" + TAIL,
    "a huge reason": b"HTTP/1.1 200 " + b"a" * 200_000 + b"\r\n" + TAIL,
    "many headers": HELLO + b"X-A: bbbbbbbbbb\r\n" * 20_000 + TAIL,
}


@pytest.mark.parametrize("case", GARBLED)
@pytest.mark.parametrize("closes", [True, False])
def test_what_is_no_valid_answer_is_a_502(broker: Process, plugin: Plugin, case: str, closes: bool) -> None:
    """Nothing of it goes out, it is not asked for again, and the next request gets its own answer."""
    plugin.answers(says_and_closes(GARBLED[case]) if closes else says(GARBLED[case]))
    first, second = read(broker.raw(request() + last()), "GET", "GET")
    assert (first.status, second.status, second.body) == (502, 200, b"ok")
    assert "poisoned" not in first.error
    assert len(plugin.asked) == 2


VALID = {
    "no reason": (b"HTTP/1.1 200 \r\n" + TAIL, b""),
    "no reason and no space": (b"HTTP/1.1 200\r\n" + TAIL, b""),
    "a reason in latin-1": (b"HTTP/1.1 200 caf\xe9\r\n" + TAIL, b"caf\xe9"),
    "a reason with tabs": (b"HTTP/1.1 200 a\tb\r\n" + TAIL, b"a\tb"),
    "a reason that looks like a status": (b"HTTP/1.1 200 HTTP/1.1 500 No\r\n" + TAIL, b"HTTP/1.1 500 No"),
    "a value in latin-1": (HELLO + b"X-A: caf\xe9\xff\r\n" + TAIL, b"OK"),
    "a value with tabs": (HELLO + b"X-A: b\tc\r\n" + TAIL, b"OK"),
    "an empty value": (HELLO + b"X-A:\r\nX-B: \t \r\n" + TAIL, b"OK"),
    "a value with spaces around": (HELLO + b"X-A: \t b c \t \r\n" + TAIL, b"OK"),
    "a value without a space": (HELLO + b"X-A:b\r\n" + TAIL, b"OK"),
    "colons in a value": (HELLO + b"X-A: b: c: d\r\n" + TAIL, b"OK"),
    "every byte of a token": (HELLO + b"!#$%&'*+-.^_`|~09azAZ: b\r\n" + TAIL, b"OK"),
    "a large head": (HELLO + b"X-A: " + b"a" * 60_000 + b"\r\n" + TAIL, b"OK"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + TAIL, b"OK"),
}


@pytest.mark.parametrize("case", VALID)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_an_odd_but_valid_answer_comes_through(broker: Process, plugin: Plugin, case: str, version: bytes) -> None:
    """White space around a value is no part of it (RFC 9112, 5)."""
    raw, reason = VALID[case]
    plugin.answers(says(raw))
    answer = ask(broker, request(b"Connection: close", version=version))
    assert (answer.status, answer.reason, answer.body) == (200, reason, b"ok")
    sent = [line.partition(b":") for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    for name, _, value in sent:
        assert answer.values(name) == [value.strip(b" \t")]


@pytest.mark.parametrize("status", [200, 299, 399, 418, 499, 599, 600, 999])
def test_every_status_of_three_digits_comes_through(broker: Process, plugin: Plugin, status: int) -> None:
    plugin.answers(says(b"HTTP/1.1 %d Odd\r\n" % status + TAIL))
    answer = ask(broker, last())
    assert (answer.status, answer.reason, answer.body) == (status, b"Odd", b"ok")


def test_each_answer_has_a_date(broker: Process, plugin: Plugin) -> None:
    """RFC 9110, 6.6.1: added where a plugin gave none."""
    plugin.answers(OK, HELLO + b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" + TAIL)
    for expected in (None, b"Sun, 06 Nov 1994 08:49:37 GMT"):
        (date,) = ask(broker, last()).values(b"Date")
        assert expected in (None, date)
