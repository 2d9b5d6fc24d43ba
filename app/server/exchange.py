"""One request and its response: the WSGI side of the server (PEP 3333).

What goes out is valid whatever the application gives: no control byte in a header, names that are tokens,
framing that fits the body, no body where none is allowed (RFC 9110, 5.1, 5.5 and 6.4.1; RFC 9112, 4 and 6).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from types import TracebackType
from typing import Any, Protocol

from app.core.headers import well_formed
from app.errors import BrokerError
from app.server.body import RequestBody
from app.server.protocol import Head

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None
Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

BODILESS = frozenset((204, 304))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
"""The server's own to send: PEP 3333 forbids them to applications."""

STATUS = re.compile(r"[2-9][0-9]{2} [\t\x20-\x7e\x80-\xff]*")
"""RFC 9112, 4: the space is there without a reason too. A final one (RFC 9110, 15.2)."""

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110, 5.6.2."""

WHOLE = (list, tuple)
"""What a body comes in that is known to its end."""

_keys: dict[str, str] = {}
_KEYS_LIMIT = 2048
_codes: dict[str, int] = {}
_CODES_LIMIT = 256
_KEY_LONGEST = 64
"""Valid header names and the same in lower case, so that each is checked once; bounded, since plugins make them."""


class Sink(Protocol):
    """Where a response's bytes go; blocks its greenlet while the peer takes none; raises `ClientGone`."""

    def write(self, data: bytes) -> None: ...


class BrokenResponseError(Exception):
    """The application's response cannot be sent as valid HTTP; if its head is out, the connection is cut."""


class Exchange:
    """Runs the application for one request and frames its response."""

    __slots__ = ("_chunked", "_code", "_drain", "_headers", "_length", "_sent", "_sink", "_status", "body", "close",
                 "environ", "head", "started")  # fmt: skip

    def __init__(self, sink: Sink, head: Head, body: RequestBody, environ: Environ, drain: int) -> None:
        """`drain`: bytes of an unread body for which the connection is kept."""
        self._sink = sink
        self._drain = drain
        self.head = head
        self.body = body
        self.environ = environ
        self.close = not head.keep_alive
        self.started = False
        self._status = ""
        self._code = 0
        self._headers: list[tuple[str, str]] = []
        self._chunked = False
        self._length: int | None = None
        self._sent = 0

    def run(self, application: Application) -> None:
        """Call the application and send its response whole; raises if it could not be sent whole."""
        iterable = application(self.environ, self.start_response)
        try:
            if isinstance(iterable, WHOLE) and len(iterable) < 2 and not self.started:
                self._send_only(iterable[0] if iterable else b"")
            else:
                for piece in iterable:
                    if piece:
                        self.write(piece)
                    elif not self.started:
                        self._flush()
                self._end()
        finally:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo = None
    ) -> Callable[[bytes], None]:
        if exc_info and self.started and exc_info[1] is not None:
            raise exc_info[1]
        if self._status and not exc_info:
            raise BrokenResponseError("the application started its response twice")
        self._status, self._headers = status if len(status) > 3 else f"{status} ", headers
        self._code = _codes.get(self._status) or _code(self._status)
        return self.write

    def write(self, piece: bytes) -> None:
        """Send a piece of the body, after the head when it is the first."""
        head = b"" if self.started else self._start(None)
        if self._bodiless():
            if head:
                self._sink.write(head)
            return
        self._sent += len(piece)
        if self._length is not None and self._sent > self._length:
            raise BrokenResponseError("the application gave more than its Content-Length")
        self._sink.write(b"%b%x\r\n%b\r\n" % (head, len(piece), piece) if self._chunked else head + piece)

    def _flush(self) -> None:
        """An empty piece: the body takes its time, and the client need not wait for it to see the head."""
        self._sink.write(self._start(None))

    def continue_(self) -> None:
        """Tell a client that waits for it to send its body (RFC 9110, 10.1.1)."""
        if self.head.expect and self.head.minor == 1 and not self.started and not self.body.received:
            self.head.expect = False
            self._sink.write(CONTINUE)

    def _send_only(self, body: bytes) -> None:
        """The common case: the whole response in one write."""
        head = self._start(len(body))
        if self._bodiless():
            body = b""
        elif self._length != len(body):
            raise BrokenResponseError("the application's body does not fit its Content-Length")
        self._sink.write(head + body)

    def _end(self) -> None:
        if not self.started:
            self._send_only(b"")
        elif self._chunked:
            self._sink.write(b"0\r\n\r\n")
        elif self._length is not None and self._sent < self._length and not self._bodiless():
            raise BrokenResponseError("the application gave less than its Content-Length")

    def _bodiless(self) -> bool:
        return self.head.method == "HEAD" or self._code in BODILESS

    def _start(self, known: int | None) -> bytes:
        """The response's head; `known` is the body's length when it is known to be the whole."""
        if not self._status:
            raise BrokenResponseError("the application did not start its response")
        code = self._code
        lines, length, dated = self._fields()
        if code == 204:
            length = None
        elif length is None and code != 304:
            length = self._frame(lines, known)
        self._length = length
        if not dated:
            lines.append(_date())
        if self.body.present and not self.body.complete and (self.head.expect or code == 408 or not self._drainable()):
            self.close = True
        if self.close:
            lines.append("Connection: close\r\n")
        elif self.head.minor == 0:
            lines.append("Connection: keep-alive\r\n")
        head = _checked(f"HTTP/1.1 {self._status}\r\n", lines)
        self.started = True
        return head

    def _drainable(self) -> bool:
        return self._drain > 0 and (self.body.length is None or self.body.length - self.body.received <= self._drain)

    def _frame(self, lines: list[str], known: int | None) -> int | None:
        """RFC 9112, 6.1 and 6.3: by length where it is known, else chunked, for HTTP/1.0 by closing."""
        if known is not None and not (self.head.method == "HEAD" and known == 0):
            lines.append(f"Content-Length: {known}\r\n")
            return known
        if self.head.method == "HEAD":
            return None
        if self.head.minor == 1:
            lines.append("Transfer-Encoding: chunked\r\n")
            self._chunked = True
        else:
            self.close = True
        return None

    def _fields(self) -> tuple[list[str], int | None, bool]:
        """The header lines less the framing ones, the declared length, and whether there is a Date."""
        lines = []
        length: int | None = None
        dated = False
        for name, value in self._headers:
            key = _keys.get(name) or _key(name)
            if key in HOP_BY_HOP:
                continue
            if key == "content-length":
                repeated, length = length is not None, _length(value, length)
                if repeated or self._code == 204:
                    continue
            dated = dated or key == "date"
            lines.append(name + ": " + value + "\r\n")  # which takes nothing but texts
        return lines, length, dated


def _code(status: str) -> int:
    """Raises `BrokenResponseError`."""
    if not STATUS.fullmatch(status):
        raise BrokenResponseError("the application's status is not a final one of three digits, a space and a reason")
    code = int(status[:3])
    if len(_codes) < _CODES_LIMIT and len(status) <= _KEY_LONGEST:
        _codes[status] = code
    return code


def _key(name: str) -> str:
    """A header's name in lower case; raises `BrokenResponseError` if it is no name."""
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise BrokenResponseError("the application gave a header name that is no token")
    key = name.lower()
    if len(_keys) < _KEYS_LIMIT and len(name) <= _KEY_LONGEST:
        _keys[name] = key
    return key


def _length(value: str, before: int | None) -> int:
    if not (value.isascii() and value.isdigit()) or before not in (None, int(value)):
        raise BrokenResponseError("the application's Content-Length is not one number")
    return int(value)


def _checked(status_line: str, lines: list[str]) -> bytes:
    """The head's bytes; each line ends once, and nowhere else is a control byte."""
    try:
        head = (status_line + "".join(lines) + "\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise BrokenResponseError("the application gave a header that is not latin-1") from None
    if not well_formed(head, len(lines) + 2):
        raise BrokenResponseError("the application gave a control byte in a header")
    return head


_dates: dict[int, str] = {}


def _date() -> str:
    """RFC 9110, 6.6.1; made once a second."""
    now = int(time.time())
    if now not in _dates:
        _dates.clear()
        _dates[now] = f"Date: {formatdate(now, usegmt=True)}\r\n"
    return _dates[now]


def refusal(error: BrokerError, request_id: str, *, head_only: bool = False) -> bytes:
    """A whole response, the connection's last one, for an error that never reached the application."""
    body = error.body(request_id)
    lines = [f"{name}: {value}\r\n" for name, value in error.fields(body)]
    lines += [_date(), f"X-ONAP-RequestID: {request_id}\r\n", "Connection: close\r\n"]
    answer = _checked(f"HTTP/1.1 {error.status_line}\r\n", lines)
    return answer if head_only else answer + body
