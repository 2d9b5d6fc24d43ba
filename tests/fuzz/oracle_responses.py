"""The response that a strict peer reads from a plugin's bytes: the same table of checks first, then h11."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import h11

from tests.fuzz.grammar import FIELD_LINE, Headers, options, read_by_h11, stray_line_end, walk_chunks

HEAD_LIMIT = 131072
LENGTH_DIGITS = 18

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
"""M4. The space before an empty reason may be missing, as h11 has it, and as old servers do."""


class Answer(NamedTuple):
    """A response; `reusable`: another may follow on the connection. `excuses`: why it may be refused all the same."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes
    reusable: bool
    excuses: frozenset[str] = frozenset()


class Reading(NamedTuple):
    """`end`: "whole"; "open", its head is whole and its body is not; "pending", within a head; "refused"."""

    end: str
    answer: Answer | None = None
    why: str = ""
    excuses: frozenset[str] = frozenset()


class Loose:
    """A head's text, taken apart without a judgement."""

    def __init__(self, text: bytes, method: bytes) -> None:
        self.text = text
        self.method = method
        self.first, *lines = text[:-4].split(b"\r\n")
        line = STATUS_LINE.fullmatch(self.first)
        self.valid_line = line is not None
        self.minor, self.status = (int(line[1]), int(line[2])) if line else (1, 0)
        self.reason = (line[3] or b"") if line else b""
        matches = [FIELD_LINE.fullmatch(field) for field in lines]
        self.fields: Headers = tuple((match[1], match[2] or b"") for match in matches if match)
        self.bad_fields = None in matches

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def interim(self) -> bool:
        return 100 <= self.status < 200

    @property
    def bodiless(self) -> bool:
        """M6.3, 1."""
        return self.method == b"HEAD" or self.status in (204, 304)

    @property
    def framings(self) -> int:
        return len(self.values(b"content-length")) + len(self.values(b"transfer-encoding"))


class Check(NamedTuple):
    """What has to hold, by which rule. `choice`: may be read as well."""

    rule: str
    source: str
    holds: Callable[[Loose], bool]
    choice: bool = False


def _coded(head: Loose) -> bool:
    return all(value.lower() == b"chunked" and head.minor == 1 for value in head.values(b"transfer-encoding"))


def _measured(head: Loose) -> bool:
    return all(re.fullmatch(rb"[0-9]{1,%d}" % LENGTH_DIGITS, value) for value in head.values(b"content-length"))


TABLE = (
    Check("a line ends in CRLF; no other CR or LF", "M2.2", lambda h: not stray_line_end(h.text)),
    Check("no NUL nor other control byte", "S5.5, M5", lambda h: not re.search(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", h.text)),
    Check("a status line", "M4", lambda h: h.valid_line),
    Check("no switch of protocols", "rule 7", lambda h: h.status != 101),
    Check("a field is a name, a colon and a value; no fold", "M5, M5.1, M5.2", lambda h: not h.bad_fields),
    Check("one framing, once", "M6.1, M6.3", lambda h: h.interim or h.framings <= 1),
    Check("Transfer-Encoding is chunked, in HTTP/1.1", "M6.1", lambda h: h.interim or _coded(h)),
    Check("Content-Length is digits, and few", "S8.6", lambda h: h.interim or _measured(h)),
    Check("an interim answer without framing", "S8.6, M6.1", lambda h: not h.interim or h.framings == 0, choice=True),
    Check("no tab after a Transfer-Encoding", "llhttp", lambda h: not re.search(rb"(?im)^transfer-encoding:.*\t *\r$", h.text), choice=True),
    Check("a short head", "rule 21", lambda h: len(h.text) <= HEAD_LIMIT, choice=True),
)  # fmt: skip


def read_response(data: bytes, method: bytes, *, ended: bool) -> Reading:
    """What the answer to a request of this method is, if these bytes are all; `ended`: the connection was closed."""
    at = 0
    excuses: frozenset[str] = frozenset()
    while True:
        end = data.find(b"\r\n\r\n", at) + 4
        if end == 3:
            return Reading("pending", None, "no end of a head", excuses)
        head = Loose(data[at:end], method)
        broken = [check for check in TABLE if not check.holds(head)]
        if refusals := [check for check in broken if not check.choice]:
            return Reading("refused", None, refusals[0].rule)
        excuses |= {check.rule for check in broken}
        at = end
        if not head.interim:
            return _read_final(data, end, head, excuses, ended)


def _read_final(data: bytes, at: int, head: Loose, excuses: frozenset[str], ended: bool) -> Reading:
    """M6.3: how the body ends; S9.3: whether the connection goes on."""
    connection = options(head.fields, b"connection")
    reusable = b"close" not in connection and (head.minor == 1 or b"keep-alive" in connection)
    why = ""
    plain = data
    if head.bodiless:
        body, end, after = b"", "whole", at
    elif head.values(b"transfer-encoding"):
        chunks = walk_chunks(data, at)
        body, after, why = chunks.body, chunks.at, chunks.why
        end = {"pending": "open"}.get(chunks.end, chunks.end)
        excuses |= chunks.excuses
        plain = data[: chunks.trailer] + b"\r\n"
    elif lengths := head.values(b"content-length"):
        body = data[at : at + int(lengths[0])]
        end, after = "whole" if len(body) == int(lengths[0]) else "open", at + len(body)
        plain = data[:after]
    else:
        body, end, after, reusable = data[at:], "whole" if ended else "open", len(data), False
    answer = Answer(head.status, head.reason, head.fields, body, reusable and after == len(data), excuses)
    if end == "whole" and not head.bodiless and (refusal := _ask_h11(plain, answer, head.method)):
        return Reading("refused", None, refusal)
    return Reading(end, answer, why, excuses)


def _ask_h11(data: bytes, answer: Answer, method: bytes) -> str:
    """What h11 makes of it: nothing to tell if that is the same response, and all of it."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    try:
        connection.receive_data(data)
        if not options(answer.headers, b"content-length") and not options(answer.headers, b"transfer-encoding"):
            connection.receive_data(b"")
        event, body, whole = read_by_h11(connection, h11.Response)
    except h11.RemoteProtocolError as error:
        return f"h11: {error}"
    assert isinstance(event, h11.Response), (data, event)
    read = (event.status_code, event.reason, _plain(event.headers.raw_items()), body)
    same = read == (answer.status, answer.reason, _plain(answer.headers), answer.body)
    return "" if same and whole else f"h11 reads {read}"


def _plain(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 gives the coding in lower case."""
    return [(name, value.lower() if name.lower() == b"transfer-encoding" else value) for name, value in headers]
