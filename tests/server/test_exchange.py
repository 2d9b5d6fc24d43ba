"""Whatever an application gives, what goes out is valid, or nothing, or is seen to be cut (PEP 3333; RFC 9112)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from app.errors import ClientGone
from app.net.loop import Loop
from app.server.body import no_body
from app.server.exchange import BrokenResponseError, Exchange
from app.server.limits import Limits
from app.server.protocol import Head, RequestParser
from tests.rules.reading import Answer, read

Start = Callable[..., Callable[[bytes], None]]
OK = "200 OK"


class Wire:
    """Keeps what is sent; `gone`: the client has left."""

    def __init__(self) -> None:
        self.sent = b""
        self.gone = False

    def write(self, data: bytes) -> None:
        if self.gone:
            raise ClientGone
        self.sent += data


NOTHING = no_body(Loop())


def head(method: str = "GET", version: str = "1.1", *lines: str) -> Head:
    parser = RequestParser(Limits())
    text = "".join(line + "\r\n" for line in (f"{method} / HTTP/{version}", "Host: x", *lines, ""))
    parser.feed(text.encode())
    assert parser.head is not None
    return parser.head


def run(application: Callable[[Any, Start], Iterable[bytes]], *asked: str, wire: Wire | None = None) -> Wire:
    """What is sent for a request; raises what `Exchange.run` raises."""
    wire = wire or Wire()
    Exchange(wire, head(*asked), NOTHING, {}, 0).run(application)
    return wire


def answered(application: Callable[[Any, Start], Iterable[bytes]], method: str = "GET", version: str = "1.1") -> Answer:
    (answer,) = read(run(application, method, version).sent, method)
    return answer


def says(status: Any, headers: Any = (), body: Iterable[bytes] = (b"body",)) -> Callable[[Any, Start], Iterable[bytes]]:
    def application(_: Any, start_response: Start) -> Iterable[bytes]:
        start_response(status, list(headers))
        return body

    return application


def refused(application: Callable[[Any, Start], Iterable[bytes]], *asked: str) -> None:
    """Nothing has gone out, so that the server can answer a 500."""
    wire = Wire()
    with pytest.raises((BrokenResponseError, TypeError)):
        run(application, *asked, wire=wire)
    assert wire.sent == b""


STATUSES: list[Any] = [
    "", "2", "20", "2000 OK", "200OK", "200\tOK", "abc", "20x OK", "-20 OK", " 200 OK", "2 0 OK", "0200", "099 No", "000 No",
    "100 Continue", "101 Switching Protocols", "103 Early Hints", "199 Odd", "200 O\rK", "200 O\nK", "200 O\r\nX-A: b", "200 O\0K",
    "200 O\x01K", "200 O\x7fK", "200 \u20ac", "\u0662\u0660\u0660 OK", "\xb200 OK", b"200 OK", 200, None,
]  # fmt: skip


@pytest.mark.parametrize("status", STATUSES, ids=ascii)
@pytest.mark.parametrize("body", [[b"body"], [b"two", b"pieces"], []])
def test_a_status_is_three_digits_a_space_and_a_reason(status: Any, body: list[bytes]) -> None:
    refused(says(status, [], body))


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ("200 OK", 200, b"OK"),
        ("200 ", 200, b""),
        ("200", 200, b""),
        ("999 A\tb", 999, b"A\tb"),
        ("418 caf\xe9", 418, b"caf\xe9"),
    ],
)
def test_a_valid_status_goes_out_as_it_is(status: str, code: int, reason: bytes) -> None:
    """RFC 9112, 4: with the space, even where there is no reason."""
    answer = answered(says(status))
    assert (answer.status, answer.reason, answer.body) == (code, reason, b"body")


NAMES: list[Any] = [
    "", " ", "X A", " X-A", "X-A ", "X-A:", ":", "X:A", "X\tA", "X\r\nY", "X\nY", "X\rY", "X\0Y", "X\x01Y", "X\x7f", "X\xe9", "X\u20ac",
    "X(A)", '"X"', "X/A", "X,A", "X;A", "X=A", "X@A", "[X]", "{X}", "<X>", "X\\A", "X?A", b"X-A", 1, None,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_header_name_is_a_token(name: Any) -> None:
    refused(says(OK, [("X-Before", "1"), (name, "value")]))
    refused(says(OK, [(name, "value")], iter([b"piece"])))


VALUES: list[Any] = [
    "a\r\nSet-Cookie: b", "a\rb", "a\nb", "a\0b", "\r", "\n", "a\r", "a\n", "\r\n", "\r\n\r\nbody", "a\x01b", "a\x0bb", "a\x1b[0m", "a\x7fb",
    "\u20ac", "a\u010ab", "\ud800", b"bytes", 1, None, ["a"],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=ascii)
@pytest.mark.parametrize("name", ["X-A", "Content-Type", "Date"])
def test_a_header_value_is_latin_1_text_of_one_line(name: str, value: Any) -> None:
    refused(says(OK, [(name, value)]))
    refused(says(OK, [(name, value)], iter([b"piece"])))


@pytest.mark.parametrize("value", ["", "a", "a\tb", "caf\xe9", "\xff", "a: b, c", '"q"', "x" * 100_000])
def test_a_valid_header_goes_out_as_it_is(value: str) -> None:
    assert answered(says(OK, [("x-ODD.Name_1", value)])).values(b"x-ODD.Name_1") == [value.encode("latin-1")]


def test_names_are_remembered_within_a_bound() -> None:
    """A plugin may send others for ever."""
    for number in range(5000):
        answered(says(OK, [(f"X-{number}", "v")]))
    assert answered(says(OK, [("X-0", "v"), ("X-4999", "w")])).values(b"X-4999") == [b"w"]
    refused(says(OK, [("X 4999", "w")]))


LENGTHS: list[Any] = [
    "",
    " ",
    "-1",
    "+4",
    "4 ",
    " 4",
    "4,4",
    "0x4",
    "4.0",
    "four",
    "\xb2",
    "\u0664",
    "1_0",
    b"4",
    4,
    None,
]


@pytest.mark.parametrize("length", LENGTHS, ids=ascii)
def test_a_content_length_is_one_number(length: Any) -> None:
    for method in ("GET", "HEAD"):
        with pytest.raises((BrokenResponseError, TypeError, AttributeError)):
            run(says(OK, [("Content-Length", length)]), method)


def test_two_equal_lengths_are_one_and_two_others_none() -> None:
    assert answered(says(OK, [("Content-Length", "4"), ("content-length", "4")])).values(b"Content-Length") == [b"4"]
    refused(says(OK, [("Content-Length", "4"), ("Content-Length", "5")]))


@pytest.mark.parametrize(
    "name", ["Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Proxy-Connection"]
)
def test_the_hops_own_headers_are_the_servers(name: str) -> None:
    answer = answered(says(OK, [(name, "chunked")]))
    assert (answer.values(name.encode()), answer.body) == ([], b"body")


PIECES: dict[str, Callable[[], Iterable[bytes]]] = {
    "a list of one": lambda: [b"body"],
    "a tuple": lambda: (b"body",),
    "a list of two": lambda: [b"bo", b"dy"],
    "a generator": lambda: iter([b"bo", b"dy"]),
    "empty pieces between": lambda: iter([b"", b"bo", b"", b"dy", b""]),
}


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("declared", [True, False])
def test_framing_fits_the_body(pieces: str, version: str, declared: bool) -> None:
    answer = answered(says(OK, [("Content-Length", "4")] if declared else [], PIECES[pieces]()), "GET", version)
    assert (answer.body, answer.whole) == (b"body", True)
    assert not (version == "1.0" and answer.values(b"Transfer-Encoding"))


@pytest.mark.parametrize("body", [list, lambda: [b""], lambda: iter([]), lambda: iter([b"", b""])])
def test_an_empty_body(body: Callable[[], Iterable[bytes]]) -> None:
    answer = answered(says(OK, [], body()))
    assert (answer.body, answer.whole) == (b"", True)


WRONG = {
    "too many at once": ("2", [b"body"]),
    "too few at once": ("9", [b"body"]),
    "none": ("4", []),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_length_that_a_whole_body_does_not_fit_is_refused(case: str) -> None:
    length, body = WRONG[case]
    refused(says(OK, [("Content-Length", length)], body))


@pytest.mark.parametrize(
    ("length", "pieces"), [("6", [b"body", b"body"]), ("9", [b"body", b"body"]), ("3", [b"body"]), ("9", [b"body"])]
)
def test_a_length_that_a_streamed_body_does_not_fit_is_a_cut(length: str, pieces: list[bytes]) -> None:
    """The error makes the server cut the connection; never does more go out than was said."""
    wire = Wire()
    with pytest.raises(BrokenResponseError):
        run(says(OK, [("Content-Length", length)], iter(pieces)), wire=wire)
    if wire.sent:
        assert len(wire.sent.partition(b"\r\n\r\n")[2]) < int(length)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("length", [None, "0", "4", "9"])
@pytest.mark.parametrize("pieces", PIECES)
def test_no_body_where_none_is_allowed(status: str, method: str, length: str | None, pieces: str) -> None:
    answer = answered(says(status, [("Content-Length", length)] if length else [], PIECES[pieces]()), method)
    assert (answer.body, answer.values(b"Transfer-Encoding")) == (b"", [])
    assert answer.values(b"Content-Length") == ([length.encode()] if length and status.startswith("304") else [])


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("length", [None, "4", "9"])
def test_head_has_no_body_and_the_length_that_was_said(length: str | None, pieces: str) -> None:
    answer = answered(says(OK, [("Content-Length", length)] if length else [], PIECES[pieces]()), "HEAD")
    assert answer.body == b""
    assert answer.values(b"Content-Length") in ([length.encode()] if length else [], [b"4"])


def test_write_sends_at_once_and_before_the_rest() -> None:
    def application(_: Any, start_response: Start) -> Iterable[bytes]:
        write = start_response(OK, [])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    assert answered(application).body == b"one two three"


def test_no_response_was_started() -> None:
    refused(lambda *_: [b"body"])
    refused(lambda *_: iter([b"body"]))
    refused(lambda *_: [])


def test_a_response_is_started_once() -> None:
    def application(_: Any, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [])
        start_response(OK, [])
        return [b"body"]

    refused(application)


def failed() -> tuple[Any, Any, Any]:
    error = RuntimeError("as asked")
    return RuntimeError, error, None


def test_an_error_replaces_a_response_that_has_not_begun() -> None:
    def application(_: Any, start_response: Start) -> Iterable[bytes]:
        start_response(OK, [("X-A", "first")])
        start_response("500 Failed", [("X-A", "second")], failed())
        return [b"sorry"]

    answer = answered(application)
    assert (answer.status, answer.values(b"X-A"), answer.body) == (500, [b"second"], b"sorry")


def test_an_error_within_a_response_is_raised_again() -> None:
    def application(_: Any, start_response: Start) -> Iterator[bytes]:
        start_response(OK, [])
        yield b"some"
        start_response("500 Failed", [], failed())
        yield b"never"

    wire = Wire()
    with pytest.raises(RuntimeError, match="as asked"):
        run(application, wire=wire)
    assert wire.sent.endswith(b"4\r\nsome\r\n")


class Body:
    """An iterable that fails where it is told to, and knows whether it was closed."""

    def __init__(self, fails: str) -> None:
        self.fails = fails
        self.closed = 0
        self._pieces = iter([b"one", b"two"])

    def __iter__(self) -> Body:
        if self.fails == "iter":
            raise RuntimeError("as asked")
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        if self.fails == ("first" if piece == b"one" else "second"):
            raise RuntimeError("as asked")
        return piece

    def close(self) -> None:
        self.closed += 1
        if self.fails == "close":
            raise RuntimeError("as asked")


@pytest.mark.parametrize(
    ("fails", "sent"), [("iter", b""), ("first", b""), ("second", b"3\r\none\r\n"), ("close", b"0\r\n\r\n")]
)
def test_a_body_that_fails_is_closed_once_and_never_whole(fails: str, sent: bytes) -> None:
    """But for one that fails only when all of it has gone out."""
    wire, body = Wire(), Body(fails)
    with pytest.raises(RuntimeError, match="as asked"):
        run(says(OK, [], body), wire=wire)
    assert (wire.sent.endswith(sent), bool(wire.sent), body.closed) == (True, bool(sent), 1)


def test_a_body_is_closed_when_the_client_has_left() -> None:
    wire, body = Wire(), Body("never")
    wire.gone = True
    with pytest.raises(ClientGone):
        run(says(OK, [], body), wire=wire)
    assert body.closed == 1


def test_a_broken_head_closes_the_body_too() -> None:
    body = Body("never")
    with pytest.raises(BrokenResponseError):
        run(says(OK, [("X A", "b")], body))
    assert body.closed == 1


@pytest.mark.parametrize("piece", ["text", 1, ["b"]])
def test_a_piece_that_is_no_bytes_never_passes_for_a_whole_answer(piece: Any) -> None:
    for body in ([piece], iter([b"some", piece])):
        wire = Wire()
        with pytest.raises(TypeError):
            run(says(OK, [], body), wire=wire)
        assert not wire.sent.endswith(b"0\r\n\r\n")
