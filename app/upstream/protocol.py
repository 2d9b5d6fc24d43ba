"""From an upstream's bytes to a response: llhttp, and the strict checks that it leaves to its user.

Knows no socket and no clock. One parser serves a connection, one response after the other. llhttp gets
heads only, one at a time and a fresh one for each; the body is framed here, by what was checked of the head.
"""

from __future__ import annotations

import re

import httptools

from app.core.chunked import ChunkedBody
from app.core.message import Headers
from app.errors import UpstreamGarbled

BLANK_LINE = b"\r\n\r\n"

HEAD_LIMIT = 131072
"""Bytes of a response's head, interim ones included; twice what the broker takes from clients."""

BODILESS = frozenset((204, 304))
DECISIVE = frozenset((b"connection", b"content-length", b"transfer-encoding"))

LENGTH_DIGITS = 18
"""Of a Content-Length; with more it would overflow the integers of some (RFC 9110, 8.6)."""

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
"""RFC 9112, 4; the space before a reason that is empty is left out by many."""


VERSIONS = ("1.0", "1.1")


class ResponseParser:
    """`head_complete`, then `pieces` as they come, then `complete`; `reusable` says whether another may follow."""

    __slots__ = ("_chunks", "_fed", "_head_bytes", "_head_request", "_headers_complete", "_left", "_llhttp", "_raw",
                 "complete", "head_complete", "headers", "length", "pieces", "reason", "reusable",
                 "status", "version")  # fmt: skip

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.begin("GET")

    def begin(self, method: str) -> None:
        """Make ready for the response to a request of this method."""
        self._head_request = method == "HEAD"
        self._chunks: ChunkedBody | None = None
        self._left: int | None = 0
        self._head_bytes = 0
        self.pieces.clear()
        self.head_complete = False
        self.complete = False
        self.reusable = True
        self.status = 0
        self.reason = b""
        self.version = ""
        self.length: int | None = None
        self._begin_head()

    def _begin_head(self) -> None:
        self._llhttp = httptools.HttpResponseParser(self)
        self._headers_complete = False
        self._raw = b""
        self._fed = 0
        self.headers: Headers = []

    @property
    def started(self) -> bool:
        """Whether any byte of a response has come."""
        return self._head_bytes > 0

    def feed(self, data: bytes) -> None:
        """Take bytes; raises `UpstreamGarbled` for what is no valid response.

        Bytes after the response's end only make the connection unfit for another one (RFC 9112, 6.3).
        """
        while data and not self.head_complete:
            data = self._feed_head(data)
        if data and not self.complete:
            data = self._feed_body(data)
        if data:
            self.reusable = False

    def _feed_head(self, data: bytes) -> bytes:
        """Up to the end of one head, interim or final, at the most; returns what is left over."""
        raw = self._raw + data if self._raw else data
        end = raw.find(BLANK_LINE, max(0, self._fed - 3)) + 4
        head = self._raw = raw[:end] if end > 3 else raw
        fresh, self._fed = head[self._fed :], len(head)
        self._head_bytes += len(fresh)
        if not head.startswith(b"HTTP") and not b"HTTP".startswith(head):  # llhttp takes RTSP and ICE too
            raise UpstreamGarbled("The upstream's answer is no HTTP.")
        try:
            self._llhttp.feed_data(fresh)
        except httptools.HttpParserUpgrade:
            pass  # judged by its status
        except httptools.HttpParserError as error:
            raise UpstreamGarbled(f"The upstream's answer is no valid HTTP/1.1: {error}.") from None
        if self._head_bytes > HEAD_LIMIT:
            raise UpstreamGarbled("The upstream sent a response head that is too large.")
        if end > 3:
            self._take_head(head)
        return raw[len(head) :]

    def _take_head(self, head: bytes) -> None:
        line = STATUS_LINE.match(head)
        if line is None or not self._headers_complete:
            raise UpstreamGarbled("The upstream's status line is no valid one of HTTP/1.1.")
        status = int(line[2])
        if status == 101:
            raise UpstreamGarbled("The upstream switched protocols unasked.")
        if status < 200:  # RFC 9110, 15.2: any number of them may come first
            self._begin_head()
            return
        self.status = status
        self.version = VERSIONS[int(line[1])]
        self.reason = line[3] or b""
        self._frame(int(line[1]))
        self.head_complete = True

    def _frame(self, minor: int) -> None:
        """RFC 9112, 6.3: how the body ends; 9.3: whether another response may follow."""
        coding = length = connection = None
        for name, value in self.headers:
            key = name.lower()
            if key not in DECISIVE:
                continue
            if key == b"connection":
                connection = value if connection is None else connection + b"," + value
            elif coding is not None or length is not None:
                raise UpstreamGarbled("The upstream frames the body twice.")
            elif key == b"content-length":
                length = value
            else:
                coding = value
        self.reusable = minor == 1 if connection is None else _persists(connection, minor)
        if coding is not None and (coding.lower() != b"chunked" or minor == 0):
            raise UpstreamGarbled("The upstream's framing of the body is not to be trusted.")
        if length is not None and len(length) > LENGTH_DIGITS:
            raise UpstreamGarbled(f"The upstream's Content-Length has more than {LENGTH_DIGITS} digits.")
        self._expect_body(coding, length)

    def _expect_body(self, coding: bytes | None, length: bytes | None) -> None:
        bodiless = self.status in BODILESS
        if coding is None and length is None and not bodiless:
            self._left = None
            self.reusable = False
        if bodiless or self._head_request:  # no body comes, whatever the head says
            self.length = 0
            self.complete = True
        elif coding is not None:
            self._chunks = ChunkedBody()
        elif length is not None:
            self.length = self._left = int(length)
            self.complete = self._left == 0

    def _feed_body(self, data: bytes) -> bytes:
        """Up to the end of the response at the most; returns what is left over."""
        if self._chunks is not None:
            try:
                piece, rest = self._chunks.feed(data)
            except ValueError as error:
                raise UpstreamGarbled(f"The upstream sent no valid chunked body: {error}.") from None
            if piece:
                self.pieces.append(piece)
            self.complete = self._chunks.complete
            return rest
        if self._left is None:
            self.pieces.append(data)
            return b""
        piece = data[: self._left]
        self.pieces.append(piece)
        self._left -= len(piece)
        self.complete = self._left == 0
        return data[len(piece) :]

    def end(self) -> bool:
        """The upstream closed: whether the response is whole (RFC 9112, 8)."""
        self.reusable = False
        self.complete = self.complete or (self.head_complete and self._left is None)
        return self.complete

    # llhttp's callbacks.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._headers_complete = True


def _persists(connection: bytes, minor: int) -> bool:
    """Whether the upstream means to keep the connection (RFC 9112, 9.3)."""
    options = {option.strip(b" \t") for option in connection.lower().split(b",")}
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)
