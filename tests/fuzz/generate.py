"""Messages, built of typed pieces and mutated: what hypothesis draws, as bytes and how they arrive."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.fuzz.alternatives import ALTERNATIVES, BASE, NOISE

T = TypeVar("T")
Piece = tuple[str, bytes]

EOL: Piece = ("line end", b"\r\n")
SMUGGLED = b"GET " + BASE + b"/smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"


class Stream(NamedTuple):
    """A connection's bytes, some ways to split them, and which mutations made them."""

    data: bytes
    cuts: list[list[int]]
    used: list[tuple[str, bytes]]


def field(name: bytes, value: bytes, kind: str = "value") -> list[Piece]:
    return [("name", name), ("colon", b":"), ("pad", b" "), (kind, value), ("pad", b""), EOL]


def chunk(data: bytes, extension: bytes = b"") -> list[Piece]:
    return [("size", b"%x" % len(data)), ("extension", extension), EOL, ("data", data), EOL]


LAST = [("size", b"0"), ("extension", b""), EOL, ("trailer", b""), EOL]
CHUNKED = field(b"Transfer-Encoding", b"chunked", "coding")


def request(
    method: bytes, path: bytes, *parts: list[Piece], version: bytes = b"HTTP/1.1", body: Sequence[Piece] = ()
) -> list[Piece]:
    line: list[Piece] = [
        ("method", method),
        ("space", b" "),
        ("target", path),
        ("space", b" "),
        ("version", version),
        EOL,
    ]
    return [*line, *field(b"Host", b"broker", "host"), *[piece for part in parts for piece in part], EOL, *body]


def _length(data: bytes) -> list[Piece]:
    return field(b"Content-Length", b"%d" % len(data), "length")


REQUESTS: tuple[list[Piece], ...] = (
    request(b"GET", BASE + b"/get"),
    request(b"GET", BASE + b"/fields", field(b"X-A", b"1"), field(b"x-b", b""), field(b"Accept", b"*/*")),
    request(b"POST", BASE + b"/length", _length(b"abc"), body=[("data", b"abc")]),
    request(b"POST", BASE + b"/smuggling", _length(SMUGGLED), body=[("data", SMUGGLED)]),
    request(b"PUT", BASE + b"/none", _length(b"")),
    request(b"POST", BASE + b"/chunked", CHUNKED, body=[*chunk(b"abc"), *LAST]),
    request(b"POST", BASE + b"/chunks", CHUNKED, body=[*chunk(b"abc", b";a=b"), *chunk(SMUGGLED), *LAST]),
    request(b"PATCH", BASE + b"/blank", CHUNKED, body=[*chunk(b"\r\n\r\n"), *chunk(b"0\r\n\r\n"), *LAST]),
    request(b"POST", BASE + b"/trailer", CHUNKED, body=[*chunk(b"abc"), *LAST[:3], ("trailer", b"X-T: 1\r\n"), EOL]),
    request(b"POST", BASE + b"/upgrade", field(b"Connection", b"Upgrade", "connection"), field(b"Upgrade", b"h2c"), _length(SMUGGLED), body=[("data", SMUGGLED)]),
    request(b"POST", BASE + b"/upgraded", field(b"Connection", b"upgrade", "connection"), field(b"Upgrade", b"h2c"), CHUNKED, body=[*chunk(b"abc"), *LAST]),
    request(b"GET", BASE + b"/old", field(b"Connection", b"keep-alive", "connection"), version=b"HTTP/1.0"),
    request(b"POST", BASE + b"/older", _length(b"abc"), version=b"HTTP/1.0", body=[("data", b"abc")]),
    request(b"HEAD", BASE + b"/head"),
    request(b"DELETE", BASE + b"/expect", field(b"Expect", b"100-continue", "expect"), _length(b"abc"), body=[("data", b"abc")]),
    request(b"OPTIONS", b"*"),
    request(b"GET", b"http://other" + BASE + b"/absolute", field(b"Connection", b"close", "connection")),
)  # fmt: skip


MASK = (1 << 64) - 1


class _Choices:
    """Several choices out of one drawn number: hypothesis is asked once a mutation. The number is mixed (splitmix64),
    since hypothesis likes small ones, of which all choices but the first would be alike."""

    def __init__(self, number: int) -> None:
        mixed = (number + 0x9E3779B97F4A7C15) & MASK
        mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & MASK
        self._number = mixed ^ mixed >> 31

    def below(self, count: int) -> int:
        self._number, choice = divmod(self._number, count)
        return choice

    def of(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]


NUMBERS = st.integers(0, MASK)


class _Message:
    """One message on its way through mutations."""

    def __init__(self, pieces: list[Piece], used: list[tuple[str, bytes]]) -> None:
        self.pieces = list(pieces)
        self.used = used

    def mutate(self, choices: _Choices) -> None:
        """A piece becomes something else of its kind, or noise comes beside it, or it is moved about."""
        how = choices.below(12)
        if how < 8:
            self._replace(choices)
        elif how == 8:
            self._disturb(choices)
        elif how < 11:
            self._insert(choices)
        else:
            self._move(choices)

    def _replace(self, choices: _Choices) -> None:
        kinds = {kind for kind, _ in self.pieces}
        kind, other = choices.of(
            [pair for kind in ALTERNATIVES if kind in kinds for pair in PAIRS[kind]] or PAIRS["noise"]
        )
        at = choices.of([at for at, piece in enumerate(self.pieces) if piece[0] == kind] or [0])
        self.pieces[at : at + 1] = [(kind, other)]
        self.used.append((kind, other))

    def _disturb(self, choices: _Choices) -> None:
        noise = choices.of(NOISE)
        at = choices.below(len(self.pieces) + 1)
        self.pieces.insert(at, ("noise", noise))
        self.used.append(("noise", noise))

    def _insert(self, choices: _Choices) -> None:
        """A whole header line, after any line of the head or the trailer."""
        line = choices.of(ALTERNATIVES["line"])
        at = choices.of([at for at, (kind, _) in enumerate(self.pieces) if kind == "line end"] or [0])
        self.pieces[at + 1 : at + 1] = [("inserted", line), EOL]
        self.used.append(("line", line))

    def _move(self, choices: _Choices) -> None:
        """A piece is left out, comes twice, or changes places."""
        how = choices.of(MOVES)
        piece = self.pieces.pop(choices.below(len(self.pieces))) if self.pieces else EOL
        if how != b"left out":
            at = choices.below(len(self.pieces) + 1)
            self.pieces[at:at] = [piece, piece] if how == b"twice" else [piece]
        self.used.append(("move", how))


RARE = {"expect": 8, "connection": 3, "coding": 3, "value": 3, "length": 2, "size": 2, "extension": 2, "trailer": 2}
"""Kinds that few messages have: their alternatives come up that much more often where they are there."""

PAIRS = {kind: [(kind, other) for other in others] * RARE.get(kind, 1) for kind, others in ALTERNATIVES.items()}
MOVES = (b"left out", b"twice", b"elsewhere")
SCRATCHES = (b"none", b"none", b"none", b"none", b"changed", b"left out", b"cut", b"rest")
RESTS = (b"\r\n", b"\r\n" * 8, b"\r\n" * 9, b"\n", b"x", b"\0", SMUGGLED, b"0\r\n\r\n", b"GET /", b"GET / HTTP/1.1\r\n")


def _scratch(choices: _Choices, data: bytes, used: list[tuple[str, bytes]]) -> bytes:
    """The bytes themselves: one changed, some left out, the end cut off, or bytes that belong to nothing added."""
    how = choices.of(SCRATCHES)
    at = choices.below(len(data) + 1)
    if how != b"none":
        used.append(("bytes", how))
    if how == b"changed":
        return data[:at] + bytes([choices.below(256)]) + data[at + 1 :]
    if how == b"left out":
        return data[:at] + data[at + 1 + choices.below(4) :]
    if how == b"cut":
        return data[:at]
    return data + choices.of(RESTS) if how == b"rest" else data


MUTATIONS = (1, 1, 2, 0, 1, 2, 1, 3)
"""How many a message gets, each as likely."""


@st.composite
def _streams(draw: st.DrawFn, messages: tuple[list[Piece], ...], most: int) -> Stream:
    used: list[tuple[str, bytes]] = []
    choices = _Choices(draw(NUMBERS))
    data = b""
    for _ in range(1 + choices.below(most)):
        message = _Message(choices.of(messages), used)
        for _ in range(choices.of(MUTATIONS)):
            message.mutate(_Choices(draw(NUMBERS)))
        data += b"".join(text for _, text in message.pieces)
    data = _scratch(choices, data, used)
    cutting = _Choices(zlib.crc32(data))
    cuts = [[cutting.below(len(data) + 1) for _ in range(count)] for count in (1, 2, 5)]
    return Stream(data, cuts, used)


def response(
    status: bytes, *parts: list[Piece], version: bytes = b"HTTP/1.1", body: Sequence[Piece] = ()
) -> list[Piece]:
    line: list[Piece] = [
        ("version", version),
        ("space", b" "),
        ("status", status),
        ("space", b" "),
        ("reason", b"Fine"),
        EOL,
    ]
    return [*line, *[piece for part in parts for piece in part], EOL, *body]


FORGED = b"HTTP/1.1 200 OK\r\nX-Forged: 1\r\nContent-Length: 6\r\n\r\nforged"
CLOSE = field(b"Connection", b"close", "connection")
KEEP = field(b"Connection", b"keep-alive", "connection")

RESPONSES: tuple[list[Piece], ...] = (
    response(b"200", _length(b"abc"), body=[("data", b"abc")]),
    response(b"200", field(b"X-A", b"1"), field(b"Set-Cookie", b"a=1"), field(b"set-cookie", b"b=2"), _length(FORGED), body=[("data", FORGED)]),
    response(b"201", _length(b"")),
    response(b"200", CHUNKED, body=[*chunk(b"abc"), *LAST]),
    response(b"200", CHUNKED, body=[*chunk(b"abc", b";a=b"), *chunk(FORGED), *LAST]),
    response(b"206", CHUNKED, body=[*chunk(b"\r\n\r\n"), *LAST[:3], ("trailer", b"X-T: 1\r\n"), EOL]),
    response(b"200", field(b"X-A", b"1"), body=[("data", FORGED)]),
    response(b"200", CLOSE, body=[("data", b"abc")]),
    response(b"204"),
    response(b"204", _length(b"abc")),
    response(b"304", field(b"ETag", b"x"), _length(b"abc")),
    response(b"204", _length(FORGED), body=[("data", FORGED)]),
    response(b"304", _length(FORGED), body=[("data", FORGED)]),
    response(b"304", CHUNKED),
    response(b"200", _length(b"abc"), version=b"HTTP/1.0", body=[("data", b"abc")]),
    response(b"200", KEEP, _length(b"abc"), version=b"HTTP/1.0", body=[("data", b"abc")]),
    [*response(b"100"), *response(b"200", _length(b"abc"), body=[("data", b"abc")])],
    [*response(b"103", field(b"Link", b"</a>")), *response(b"102"), *response(b"200", CHUNKED, body=[*chunk(b"abc"), *LAST])],
    [*response(b"100", _length(b"abc")), *response(b"200", _length(b"abc"), body=[("data", b"abc")])],
    [*response(b"200", _length(b"abc"), body=[("data", b"abc")]), *response(b"200", _length(b"abc"), body=[("data", b"abc")])],
    response(b"409", field(b"Content-Type", b"application/json"), CLOSE, CHUNKED, body=[*chunk(b"{}"), *LAST]),
)  # fmt: skip

ASKED = (b"GET", b"GET", b"GET", b"HEAD", b"POST", b"DELETE")


class PluginStream(NamedTuple):
    """A plugin's bytes, the method they answer, and whether it closes the connection after them."""

    data: bytes
    cuts: list[list[int]]
    used: list[tuple[str, bytes]]
    method: bytes
    ended: bool


@st.composite
def responses(draw: st.DrawFn) -> PluginStream:
    """A plugin's answer, with interim ones before it or another after it, and up to three mutations."""
    stream: Stream = draw(_streams(RESPONSES, 1))
    choices = _Choices(len(stream.data) + sum(map(sum, stream.cuts)))
    return PluginStream(*stream, choices.of(ASKED), choices.below(2) == 1)


def requests() -> st.SearchStrategy[Stream]:
    """A client's connection: one to three requests, each with up to three mutations."""
    return _streams(REQUESTS, 3)
