"""From an upstream's bytes to a response: llhttp, and the strict checks that it leaves to its user.

Knows no socket and no clock. One parser serves a connection, one response after the other.
"""

from __future__ import annotations

import re

import httptools

from app.core.message import Headers
from app.errors import UpstreamGarbled

HEAD_LIMIT = 131072
"""Bytes of a response's head, interim ones included; twice what the broker takes from clients."""

CHUNK_OVERHEAD = 16384
"""Bytes of chunk sizes, extensions and trailers that a body may cost beyond eight times its own length."""

BODILESS = frozenset((204, 304))
FRAMING = frozenset((b"content-length", b"transfer-encoding"))

REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
"""RFC 9112, 4."""


class ResponseParser:
    """`head_complete`, then `pieces` as they come, then `complete`; `reusable` says whether another may follow."""

    __slots__ = ("_body", "_chunked", "_fed", "_head_bytes", "_head_request", "_interim", "_llhttp", "_status",
                 "_until_close", "complete", "head_complete", "headers", "length", "pieces", "reusable",
                 "status", "version")  # fmt: skip

    def __init__(self) -> None:
        self._llhttp = httptools.HttpResponseParser(self)
        self.pieces: list[bytes] = []
        self._head_request = False
        self.begin("GET")

    def begin(self, method: str) -> None:
        """Make ready for the response to a request of this method."""
        if self._head_request:  # llhttp still waits for the body that the last response announced
            self._llhttp = httptools.HttpResponseParser(self)
        self._head_request = method == "HEAD"
        self._interim = False
        self._until_close = False
        self._chunked = False
        self._head_bytes = self._fed = self._body = 0
        self._status = b""
        self.pieces.clear()
        self.head_complete = False
        self.complete = False
        self.reusable = True
        self.status = 0
        self.version = ""
        self.length: int | None = None
        self.headers: Headers = []

    @property
    def started(self) -> bool:
        """Whether any byte of a response has come."""
        return self._head_bytes > 0

    @property
    def reason(self) -> bytes:
        """The reason phrase, as it came."""
        return self._status

    def feed(self, data: bytes) -> None:
        """Take bytes; raises `UpstreamGarbled` for what is no valid response.

        Bytes after the response's end only make the connection unfit for another one (RFC 9112, 6.3).
        """
        if self.complete:
            self.reusable = False
            return
        if not self.head_complete:
            if not self._head_bytes and not data.startswith(b"H"):  # llhttp takes RTSP and ICE too
                raise UpstreamGarbled("The upstream's answer is no HTTP.")
            self._head_bytes += len(data)
        try:
            self._llhttp.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if not self.complete:
                raise _garbled(error) from None
        if not self.head_complete:
            if self._head_bytes > HEAD_LIMIT:
                raise UpstreamGarbled("The upstream sent a response head that is too large.")
        elif self._chunked:
            self._fed += len(data)
            if self._fed > CHUNK_OVERHEAD + 9 * self._body:
                raise UpstreamGarbled("The upstream sends chunk extensions or trailers without end.")

    def end(self) -> bool:
        """The upstream closed: whether the response is whole (RFC 9112, 8)."""
        self.reusable = False
        self.complete = self.complete or (self.head_complete and self._until_close)
        return self.complete

    # llhttp's callbacks. An error raised in one comes out of `feed_data` as a HttpParserCallbackError.

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False

    def on_status(self, status: bytes) -> None:
        if not self.head_complete:
            self._status += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_complete:  # else a trailer, which is dropped (RFC 9110, 6.5.1)
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._llhttp.get_status_code()
        if status == 101:
            raise UpstreamGarbled("The upstream switched protocols unasked.")
        if status < 100 or not REASON.fullmatch(self._status):
            raise UpstreamGarbled("The upstream's status line is no valid one.")
        if status < 200:  # RFC 9110, 15.2: any number of them may come first
            self._interim = True
            self.headers.clear()
            self._status = b""
            return
        self.status = status
        self._frame()
        self.head_complete = True

    def _frame(self) -> None:
        """RFC 9112, 6.3: how the body ends."""
        version = self.version = self._llhttp.get_http_version()
        if version not in ("1.0", "1.1"):
            raise UpstreamGarbled("The upstream does not speak HTTP/1.1.")
        if not self._llhttp.should_keep_alive():
            self.reusable = False
        framing = [(n, v) for name, v in self.headers if (n := name.lower()) in FRAMING]
        self._chunked = any(name == b"transfer-encoding" for name, _ in framing)
        if self._chunked and (len(framing) > 1 or framing[0][1].lower() != b"chunked" or version == "1.0"):
            raise UpstreamGarbled("The upstream's framing of the body is not to be trusted.")
        if self._head_request or self.status in BODILESS:
            self.length = 0
            self.complete = True  # no body comes, whatever the head says
        elif framing and not self._chunked:
            self.length = int(framing[0][1])
        elif not self._chunked:
            self._until_close = True
            self.reusable = False

    def on_body(self, piece: bytes) -> None:
        if self.complete:  # after the end, or where no body may be
            self.reusable = False
        else:
            self._body += len(piece)
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif self.head_complete:
            self.complete = True


def _garbled(error: Exception) -> UpstreamGarbled:
    cause = error.__context__
    if isinstance(cause, UpstreamGarbled):
        return cause
    return UpstreamGarbled(f"The upstream's answer is no valid HTTP/1.1: {error}.")
