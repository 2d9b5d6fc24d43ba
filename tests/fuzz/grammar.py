"""What the oracles for requests and responses share: the grammar of RFC 9110 and 9112, and a strict walk of chunks.

Written from the RFCs, not from the broker's parser. S is RFC 9110, M RFC 9112. Where a recipient may be lenient,
this is not.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

import h11

Headers = tuple[tuple[bytes, bytes], ...]

TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
TOKEN = re.compile(rb"[%b]+" % TCHAR)
"""S5.6.2."""

FIELD_LINE = re.compile(rb"([%b]+):[ \t]*([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?[ \t]*" % TCHAR)
"""S5.5, M5: no white space before the colon; a value of visible characters, obs-text, SP and HTAB."""

QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)((?:;[%b]+(?:=(?:[%b]+|%b))?)*)" % (TCHAR, TCHAR, QUOTED))
"""M7.1 and 7.1.1 without the white space that only recipients may know of."""

BAD_WHITE_SPACE = re.compile(
    rb"[0-9A-Fa-f]+(?:[ \t]*;[ \t]*[%b]+(?:[ \t]*=[ \t]*(?:[%b]+|%b))?)*" % (TCHAR, TCHAR, QUOTED)
)
"""M7.1.1 with it: to be read by the letter; refused by rule 3 of ours, as by many, since peers differ about it."""

HOST = re.compile(
    rb"(?P<name>(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*|\[(?P<literal>[^\[\]]*)\])(?::(?P<port>[0-9]*))?"
)
"""S7.2, RFC 3986, 3.2.2 and 3.2.3."""

IP_FUTURE = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+")

OVERHEAD = 16384
DIGITS = 15
"""The broker's stated bounds: of what chunks may cost beyond eight times the body, of the digits of a chunk's size."""


def valid_host(value: bytes) -> bool:
    """A host and a port as an http URI may have them (S4.2.1): no empty host, a port that exists."""
    match = HOST.fullmatch(value)
    if match is None or not match["name"]:
        return False
    if match["port"] and not 0 < int(match["port"]) < 65536:
        return False
    return match["literal"] is None or _valid_literal(match["literal"].decode("latin-1"))


def odd_host(value: bytes) -> bool:
    """Whether a valid one is of a kind that the broker refuses: a comma (how two Hosts show), a port that is empty or
    begins with 0, an address of a future IP."""
    match = HOST.fullmatch(value)
    if match is None:
        return False
    port, literal = match["port"], match["literal"]
    return b"," in value or port == b"" or (port or b"").startswith(b"0") or (literal or b"").lower().startswith(b"v")


def _valid_literal(text: str) -> bool:
    if IP_FUTURE.fullmatch(text):
        return True
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text  # RFC 3986 knows no zones


def options(headers: Headers, name: bytes) -> list[bytes]:
    """The members of a list field, in lower case (S5.6.1)."""
    values = [value for key, value in headers if key.lower() == name]
    return [member.strip(b" \t").lower() for value in values for member in value.split(b",")]


def stray_line_end(text: bytes) -> bool:
    """Whether a CR or an LF is there other than in CRLF (M2.2)."""
    return text.count(b"\r") != text.count(b"\r\n") or text.count(b"\n") != text.count(b"\r\n")


class Chunks(NamedTuple):
    """How far a chunked body could be read: `end` is "whole", "pending" or "refused", `at` where that was, `trailer`
    where the fields after the last chunk began."""

    body: bytes
    end: str
    at: int
    trailer: int
    excuses: frozenset[str]
    why: str = ""


class _Walk:
    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.body = b""
        self.trailer = at
        self.overhead = 0
        self.excuses: set[str] = set()

    def line(self) -> bytes | None:
        """The next line without its CRLF; None if it is not there yet; raises for one that ends otherwise."""
        end = self.data.find(b"\n", self.at)
        text = self.data[self.at : end + 1] if end >= 0 else self.data[self.at :]
        self.overhead += len(text)
        if self.overhead > OVERHEAD + 8 * len(self.body):
            self.excuses.add("chunk lines and trailers without end")
        if end < 0:
            return None
        self.at = end + 1
        if not text.endswith(b"\r\n") or stray_line_end(text):
            raise ValueError("a line that does not end in CRLF")
        return text[:-2]

    def size(self) -> int | None:
        line = self.line()
        if line is None:
            return None
        match = CHUNK_LINE.fullmatch(line)
        if match is None:
            if BAD_WHITE_SPACE.fullmatch(line):
                self.excuses.add("white space in a chunk's line")
                return int(re.match(rb"[0-9A-Fa-f]+", line)[0], 16)  # type: ignore[index]
            raise ValueError("a chunk's line that is none")
        if len(match[1]) > DIGITS:
            self.excuses.add("a chunk size of many digits")
        return int(match[1], 16)

    def chunk(self, size: int) -> bool:
        """Whether its data and their CRLF are there."""
        piece = self.data[self.at : self.at + size]
        self.body += piece
        self.at += len(piece)
        closing = self.data[self.at : self.at + 2]
        if len(piece) < size:
            return False
        if not b"\r\n".startswith(closing):
            raise ValueError("a chunk that does not end in CRLF")
        self.at += len(closing)
        self.overhead += len(closing)
        return len(closing) == 2

    def end(self) -> str:
        while size := self.size():
            if not self.chunk(size):
                return "pending"
        if size is None:
            return "pending"
        self.trailer = self.at
        while line := self.line():
            if not FIELD_LINE.fullmatch(line):
                raise ValueError("a trailer that is no field")
        return "pending" if line is None else "whole"


def walk_chunks(data: bytes, at: int) -> Chunks:
    """Read a chunked body from `at` on; trailers have to be valid fields, and are dropped whatever they say."""
    walk = _Walk(data, at)
    try:
        end, why = walk.end(), ""
    except ValueError as error:
        end, why = "refused", str(error)
    return Chunks(walk.body, end, walk.at, walk.trailer, frozenset(walk.excuses), why)


def read_by_h11(connection: h11.Connection, kind: type) -> tuple[object, bytes, bool]:
    """The first event of a kind, the data after it, and whether the message's end was there.

    Raises `h11.RemoteProtocolError`.
    """
    first: object = None
    body = b""
    while True:
        event = connection.next_event()
        if event in (h11.NEED_DATA, h11.PAUSED):
            return first, body, False
        if isinstance(event, kind):
            first = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return first, body, isinstance(event, h11.EndOfMessage)
