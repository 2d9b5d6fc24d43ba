"""The requests that a strict peer reads from a client's bytes: first a table of checks, then h11.

h11 alone is too lenient: it takes a length beside chunked, equal lengths twice, bare LF, folded lines, HTTP/2.0.
So it is asked only about what has passed the table, which has a line for each of rules 2 to 4 and of the contract.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import h11

from tests.fuzz.grammar import (
    FIELD_LINE,
    TOKEN,
    Headers,
    odd_host,
    options,
    read_by_h11,
    stray_line_end,
    valid_host,
    walk_chunks,
)

METHODS = frozenset(
    b"""ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS
    PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK
    UNSUBSCRIBE""".split()
)
"""Contract, section 1: those that llhttp knows for HTTP, less CONNECT and TRACE."""

EMPTY_LINES = 8
LENGTH_DIGITS = 18
LINE, HEAD, FIELDS = 8192, 65536, 128
"""The broker's stated limits."""

ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(/[^?]*)?(\?.*)?")


class Message(NamedTuple):
    """A request; `target` in origin-form or `*`. `excuses`: why it may be refused all the same."""

    method: bytes
    target: bytes
    minor: int
    headers: Headers
    body: bytes = b""
    persists: bool = True
    excuses: frozenset[str] = frozenset()


class Reading(NamedTuple):
    """What a connection's bytes are read as.

    `end`: "done" between two messages; "pending" within one; "closed" after one that ends the connection;
    "refused", with one of `statuses`. `partial` has the head of a message whose body is not whole, `method` that of a
    head that was refused.
    """

    messages: list[Message]
    end: str
    statuses: frozenset[int] = frozenset()
    why: str = ""
    partial: Message | None = None
    excuses: frozenset[str] = frozenset()
    method: bytes = b""


class Loose:
    """A head's text, taken apart without a judgement."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        first, *self.lines = text[:-4].split(b"\r\n")
        self.first = first
        parts = first.split(b" ")
        self.method = parts[0]
        self.target = parts[1] if len(parts) > 1 else b""
        self.version = parts[-1] if len(parts) > 2 else b""
        self.parts = len(parts)
        matches = [FIELD_LINE.fullmatch(line) for line in self.lines]
        self.fields: Headers = tuple((match[1], match[2] or b"") for match in matches if match)
        self.bad_fields = None in matches

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def minor(self) -> int:
        return 0 if self.version == b"HTTP/1.0" else 1


class Check(NamedTuple):
    """A line of the table: what has to hold, by which rule, else which statuses. `choice`: may be read as well."""

    rule: str
    source: str
    statuses: tuple[int, ...]
    holds: Callable[[Loose], bool]
    choice: bool = False


def _target_form(head: Loose) -> bool:
    absolute = ABSOLUTE.fullmatch(head.target)
    if absolute is not None:
        return valid_host(absolute[1])
    return head.target.startswith(b"/") or head.target == b"*"


def _hosts(head: Loose) -> list[bytes]:
    absolute = ABSOLUTE.fullmatch(head.target)
    return head.values(b"host") + ([absolute[1]] if absolute else [])


def _one_host(head: Loose) -> bool:
    count = len(head.values(b"host"))
    return count == 1 or (count == 0 and head.minor == 0)


def _one_framing(head: Loose) -> bool:
    return len(head.values(b"content-length")) + len(head.values(b"transfer-encoding")) <= 1


TABLE = (
    Check("a line ends in CRLF; no other CR or LF", "M2.2", (400,), lambda h: not stray_line_end(h.text)),
    Check("no NUL nor other control byte", "S5.5, M5", (400,), lambda h: not re.search(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", h.text)),
    Check("method, one space, target, one space, version", "M3", (400, 505), lambda h: h.parts in (2, 3)),
    Check("a version at all: no HTTP/0.9", "M2.3", (505, 400), lambda h: h.parts != 2),
    Check("a method is a token", "S9.1", (400,), lambda h: bool(TOKEN.fullmatch(h.method))),
    Check("a method that is served", "contract 1", (501,), lambda h: not TOKEN.fullmatch(h.method) or h.method in METHODS),
    Check("HTTP/1.0 or HTTP/1.1", "M2.3", (505,), lambda h: not re.fullmatch(rb"HTTP/\d\.\d", h.version) or h.version in (b"HTTP/1.0", b"HTTP/1.1")),
    Check("a version is HTTP/, a digit, a dot, a digit", "M2.3", (400, 505), lambda h: h.parts != 3 or bool(re.fullmatch(rb"HTTP/\d\.\d", h.version))),
    Check("a target of 0x21 to 0x7E without #", "contract 2.3", (400,), lambda h: bool(re.fullmatch(rb'[!"$-~]*', h.target))),
    Check("a field is a name, a colon and a value; no fold", "M5, M5.1, M5.2", (400,), lambda h: not h.bad_fields),
    Check("one Host in HTTP/1.1, at most one in 1.0", "M3.2", (400,), _one_host),
    Check("a Host that is a host and a port", "S7.2, M3.2", (400,), lambda h: all(map(valid_host, h.values(b"host")))),
    Check("a target in origin-form or absolute-form, or *", "M3.2", (400,), _target_form),
    Check("* only with OPTIONS", "M3.2.4", (400,), lambda h: h.target != b"*" or h.method == b"OPTIONS"),
    Check("one framing, once", "M6.1, M6.3", (400,), _one_framing),
    Check("Transfer-Encoding is chunked, in HTTP/1.1", "M6.1", (400,), lambda h: all(v.lower() == b"chunked" and h.minor == 1 for v in h.values(b"transfer-encoding"))),
    Check("Content-Length is digits", "S8.6", (400,), lambda h: all(re.fullmatch(rb"[0-9]+", v) for v in h.values(b"content-length"))),
    Check("Content-Length of few digits", "S8.6", (400,), lambda h: all(len(v) <= LENGTH_DIGITS for v in h.values(b"content-length"))),
    Check("no name that CGI takes for a framing one", "rule 2", (400,), lambda h: not any(b"_" in n and n.lower().replace(b"_", b"-") in (b"content-length", b"transfer-encoding") for n, _ in h.fields)),
    Check("only 100-continue is expected", "S10.1.1", (417,), lambda h: set(options(h.fields, b"expect")) <= {b"100-continue"}),
    Check("a Host as the broker takes it: no comma, no empty or zero-led port, no IPvFuture", "rule 4", (400,), lambda h: not any(map(odd_host, _hosts(h))), choice=True),
    Check("no tab after a Transfer-Encoding", "llhttp", (400,), lambda h: not re.search(rb"(?im)^transfer-encoding:.*\t *\r$", h.text), choice=True),
    Check("one expectation", "rule 6", (417,), lambda h: len(options(h.fields, b"expect")) <= 1, choice=True),
    Check("a short request line", "rule 21", (414,), lambda h: len(h.first) + 2 <= LINE, choice=True),
    Check("a short head", "rule 21", (431,), lambda h: len(h.text) <= HEAD, choice=True),
    Check("few fields", "rule 21", (431,), lambda h: len(h.lines) <= FIELDS, choice=True),
)  # fmt: skip


def read_requests(data: bytes) -> Reading:
    """All that a strict peer reads, up to where it stops."""
    messages: list[Message] = []
    at = 0
    while True:
        at, empty = _skip_empty_lines(data, at)
        if empty > EMPTY_LINES:
            return Reading(messages, "refused", frozenset((400,)), "too many empty lines")
        if at == len(data):
            return Reading(messages, "done" if not empty else "pending")
        end = data.find(b"\r\n\r\n", at) + 4
        if end == 3:
            return Reading(messages, "pending", why="no end of a head")
        step = _read_one(data, at, end)
        if isinstance(step, Reading):
            return step._replace(messages=messages)
        message, at = step
        messages.append(message)
        if not message.persists:
            return Reading(messages, "closed")


def _skip_empty_lines(data: bytes, at: int) -> tuple[int, int]:
    """M2.2: before a request line they are ignored."""
    empty = 0
    while data.startswith(b"\r\n", at):
        at += 2
        empty += 1
    return at, empty


def _read_one(data: bytes, at: int, end: int) -> tuple[Message, int] | Reading:
    """The message whose head ends at `end`, and where it ends itself; or a reading that ends with it."""
    head = Loose(data[at:end])
    broken = [check for check in TABLE if not check.holds(head)]
    if refusals := [check for check in broken if not check.choice]:
        statuses = frozenset(status for check in broken for status in check.statuses)
        return Reading([], "refused", statuses, refusals[0].rule, method=head.method)
    excuses = frozenset(check.rule for check in broken)
    if head.values(b"transfer-encoding"):
        chunks = walk_chunks(data, end)
        body, state, after, why = chunks.body, chunks.end, chunks.at, chunks.why
        plain = data[at : chunks.trailer] + b"\r\n"  # rule 3: what trailers say is dropped; h11 reads framing in them
        excuses |= chunks.excuses
    else:
        length = int((head.values(b"content-length") or [b"0"])[0])
        body = data[end : end + length]
        after, why = end + len(body), ""
        plain = data[at:after]
        state = "whole" if len(body) == length else "pending"
    message = _message(head, body, excuses)
    chosen = frozenset(status for check in broken for status in check.statuses)  # a head is refused before its body
    if state != "whole":
        return Reading([], state, chosen | {400} if state == "refused" else frozenset(), why, message, excuses)
    refusal = _ask_h11(plain, message)
    if refusal is None:
        return message, after
    return refusal._replace(method=head.method, statuses=refusal.statuses | chosen)


def _message(head: Loose, body: bytes, excuses: frozenset[str]) -> Message:
    connection = options(head.fields, b"connection")
    persists = b"close" not in connection and (head.minor == 1 or b"keep-alive" in connection)
    target = head.target
    if absolute := ABSOLUTE.fullmatch(target):
        path, query = absolute[2] or b"", absolute[3] or b""
        target = (path or b"/") + query
        if head.method == b"OPTIONS" and not path and not query:
            target = b"*"  # M3.2.4
    return Message(head.method, target, head.minor, head.fields, body, persists, excuses)


def _ask_h11(data: bytes, message: Message) -> Reading | None:
    """What h11 makes of it: None if that is the same message, and all of it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(data)
        event, body, whole = read_by_h11(connection, h11.Request)
    except h11.RemoteProtocolError as error:
        return Reading([], "refused", frozenset((400, 501)), f"h11: {error}")
    assert isinstance(event, h11.Request), (data, event)
    read = (event.method, event.http_version, _plain(event.headers.raw_items()), body)
    same = read == (message.method, b"1.%d" % message.minor, _plain(message.headers), message.body)
    if same and whole and not connection.trailing_data[0]:
        return None
    return Reading([], "refused", frozenset((400,)), f"h11 reads {read} and leaves {connection.trailing_data[0]!r}")


def _plain(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 gives the coding in lower case."""
    return [(name, value.lower() if name.lower() == b"transfer-encoding" else value) for name, value in headers]
