"""From a client's bytes to requests: llhttp, and the strict checks that it leaves to its user.

Knows no socket and no clock. The one rule above all others: no byte sequence is read here as other
requests than a strict peer reads (RFC 9112). So the parser is fed exactly one message at a time: its
head up to the blank line, then its body; what follows is the next message's and is given back.
"""

from __future__ import annotations

import re

import httptools

from app.core.message import Headers
from app.errors import (
    BadRequest,
    BrokerError,
    ExpectationFailed,
    HeadersTooLarge,
    NotImplementedMethod,
    TargetTooLong,
    VersionNotSupported,
)
from app.server.limits import Limits

BLANK_LINE = b"\r\n\r\n"

REQUEST_LINE = re.compile(rb'([A-Z][A-Z-]*) ([!"$-~]+) HTTP/1\.([01])\r\n')
"""RFC 9112, 3: single spaces; a target of visible ASCII without `#`. llhttp takes two spaces, and RTSP/1.0."""

OTHER_VERSION = re.compile(rb"[!-~]+ [!-~]+(?: HTTP/[0-9.]+)?\r?\n")
TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: |\Z)")

HOST = re.compile(r"(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""RFC 3986, 3.2.2 and 3.2.3, less the comma, which is how a second Host shows: a host and a port, no userinfo."""

ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(.*)")

HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n"

NOT_SERVED = frozenset(("CONNECT", "TRACE"))

EMPTY_LINES = 8
"""Before a request line; more are refused."""

CHUNK_OVERHEAD = 16384
"""Bytes of chunk sizes, extensions and trailers that a body may cost beyond eight times its own length."""

_cgi_names: dict[bytes, str] = {}
_CGI_NAMES_LIMIT = 2048
_CGI_NAME_LONGEST = 64


class Head:
    """A request's head: `target` in origin-form (or `*`) as on the wire, `headers` as they came, in order.

    `fields` are the headers under their CGI names, repeated ones joined (RFC 9110, 5.3), for the WSGI environ.
    `length` is that of the body in bytes, None for a chunked one; `framed` whether the head declared a body.
    """

    __slots__ = ("expect", "fields", "framed", "headers", "keep_alive", "length", "method", "minor", "target")

    def __init__(self, method: str, target: bytes, minor: int, headers: Headers, keep_alive: bool) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.headers = headers
        self.keep_alive = keep_alive
        if method in NOT_SERVED:
            raise NotImplementedMethod(f"The broker forwards no {method} request.")
        self.fields = fields = _fields(headers)
        coding = fields.get("HTTP_TRANSFER_ENCODING")
        length = fields.get("CONTENT_LENGTH")
        self.framed = coding is not None or length is not None
        self.length = None if coding is not None else int(length or 0)
        self.expect = "HTTP_EXPECT" in fields
        if coding is not None and (coding.lower() != "chunked" or minor == 0 or length is not None):
            raise BadRequest("Frame the body by one Content-Length, or by one Transfer-Encoding: chunked in HTTP/1.1.")
        if self.expect and fields["HTTP_EXPECT"].lower() != "100-continue":
            raise ExpectationFailed("Expect only 100-continue.")
        self._check_host(fields.get("HTTP_HOST"))

    def _check_host(self, host: str | None) -> None:
        """RFC 9112, 3.2 and 3.3: exactly one valid Host in HTTP/1.1; an absolute-form target wins over it."""
        if host is None:
            if self.minor == 1:
                raise BadRequest("Send exactly one Host header.")
        elif not HOST.fullmatch(host):
            raise BadRequest("Send exactly one Host header that holds a host and at most a port.")
        if self.target.startswith(b"/"):
            return
        if self.target == b"*":
            if self.method != "OPTIONS":
                raise BadRequest("Only OPTIONS has the target '*'.")
            return
        absolute = ABSOLUTE_FORM.fullmatch(self.target)
        if not absolute or not HOST.fullmatch(absolute[1].decode()):
            raise BadRequest("Send a request target that begins with '/', or an absolute http URL without userinfo.")
        self.fields["HTTP_HOST"] = absolute[1].decode()
        self.target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]


class RequestParser:
    """Feeds one message after the other to llhttp; `head`, `pieces` and `complete` tell what has come.

    `feed` raises the error to answer with; after that the connection is of no further use.
    """

    __slots__ = ("_body", "_fed", "_headers", "_headers_complete", "_keep_alive", "_limits", "_llhttp",
                 "_raw", "_skipped", "_tail", "complete", "head", "pieces")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._llhttp = httptools.HttpRequestParser(self)
        self.pieces: list[bytes] = []
        self.reset()

    def reset(self) -> None:
        """Make ready for the next message, after `complete`."""
        self.head: Head | None = None
        self.complete = False
        self.pieces.clear()
        self._headers: Headers = []
        self._headers_complete = False
        self._keep_alive = False
        self._raw = b""
        self._tail = b""
        self._fed = self._body = self._skipped = 0

    @property
    def started(self) -> bool:
        """Whether a part of a message has come."""
        return bool(self._raw) or self._skipped > 0 or self.head is not None

    @property
    def is_head(self) -> bool:
        """Whether the message, be it a refused one, is a HEAD request: its answer has no body."""
        return self._raw.startswith(b"HEAD ")

    def feed(self, data: bytes) -> bytes:
        """Take bytes up to the end of the current message at the most, and return what is left over."""
        if self.head is None:
            return self._feed_head(data)
        if self.head.length is None:
            return self._feed_chunked(data)
        needed = self.head.length - self._body
        self._execute(data[:needed])
        return data[needed:]

    def _feed_head(self, data: bytes) -> bytes:
        raw = self._raw + data if self._raw else data
        if not self._fed:
            raw = self._skip_empty_lines(raw)
            if raw in (b"", b"\r"):
                self._raw = raw
                return b""
        end = raw.find(BLANK_LINE, max(0, self._fed - 3)) + 4
        head = raw[:end] if end > 3 else raw
        self._check_size(head)
        self._raw = head
        fresh, self._fed = head[self._fed :], len(head)
        self._execute(fresh)
        if end > 3 and not self._headers_complete:
            raise _refusal(head)
        if self._headers_complete and self.head is None:
            self._begin(head)
        return raw[len(head) :]

    def _skip_empty_lines(self, raw: bytes) -> bytes:
        """RFC 9112, 2.2: empty lines before a request line are ignored; of a few."""
        while raw.startswith(b"\r\n"):
            self._skipped += 1
            if self._skipped > EMPTY_LINES:
                raise BadRequest("Send a request line.")
            raw = raw[2:]
        return raw

    def _check_size(self, head: bytes) -> None:
        limits = self._limits
        if len(head) > limits.request_line and head.find(b"\r\n", 0, limits.request_line) < 0:
            raise TargetTooLong(f"Send a request line of at most {limits.request_line} bytes.")
        if len(head) > limits.header:
            raise HeadersTooLarge(f"Send a request head of at most {limits.header} bytes.")

    def _begin(self, raw: bytes) -> None:
        """The head is whole: check what llhttp has not, and make the value."""
        line = REQUEST_LINE.match(raw)
        if line is None:
            raise _refusal(raw)
        if len(self._headers) > self._limits.header_count:
            raise HeadersTooLarge(f"Send at most {self._limits.header_count} header lines.")
        self.head = Head(line[1].decode(), line[2], int(line[3]), self._headers, self._keep_alive)
        self._fed = 0

    def _feed_chunked(self, data: bytes) -> bytes:
        """Feed up to each blank line, since one ends the last chunk and httptools does not tell where that was."""
        start = 0
        while start < len(data):
            end = self._blank_line_end(data, start)
            self._fed += end - start
            self._execute(data[start:end])
            if self._fed > CHUNK_OVERHEAD + 9 * self._body:
                raise BadRequest("Send fewer bytes of chunk extensions and trailers.")
            if self.complete:
                return data[end:]
            start = end
        self._tail = (self._tail + data)[-3:]
        return b""

    def _blank_line_end(self, data: bytes, start: int) -> int:
        if start == 0 and self._tail:
            seam = (self._tail + data[:3]).find(BLANK_LINE)
            if seam >= 0:
                return seam + 4 - len(self._tail)
        found = data.find(BLANK_LINE, start)
        return len(data) if found < 0 else found + 4

    def _execute(self, data: bytes) -> None:
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        except httptools.HttpParserError as error:
            raise self._translate(error) from None

    def _ignore_upgrade(self) -> None:
        """RFC 9110, 7.8: an Upgrade may be ignored. llhttp has skipped the body: frame it by a fresh parser.

        Java's HttpClient asks for h2c with each first request.
        """
        self._begin(self._raw)
        head = self.head
        if head is None or head.length == 0:
            return
        self.complete = False
        framing = b"Transfer-Encoding: chunked" if head.length is None else b"Content-Length: %d" % head.length
        self._llhttp = httptools.HttpRequestParser(self)
        self._llhttp.feed_data(b"POST / HTTP/1.1\r\nHost: body\r\n" + framing + BLANK_LINE)

    def _translate(self, error: Exception) -> BrokerError:
        if self.head is not None:
            return BadRequest(f"Send a valid chunked body: {error}.")
        if isinstance(error, httptools.HttpParserInvalidMethodError) and TOKEN.match(self._raw):
            return NotImplementedMethod("Use a method of HTTP that the broker knows.")
        if self._raw.startswith(HTTP_2_PREFACE) or "HTTP version" in str(error):
            return VersionNotSupported("Use HTTP/1.1 or HTTP/1.0.")
        return BadRequest(f"Send a valid HTTP/1.1 request: {error}.")

    # llhttp's callbacks.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:  # else a trailer, which is dropped (RFC 9110, 6.5.1)
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._headers_complete = True
        self._keep_alive = self._llhttp.should_keep_alive()  # llhttp forgets it with the message's end

    def on_body(self, piece: bytes) -> None:
        self._body += len(piece)
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = True


def _refusal(raw: bytes) -> BrokerError:
    """Why a request line that llhttp took is not one of HTTP/1.1."""
    if OTHER_VERSION.match(raw) and not re.match(rb"[^\r\n]* HTTP/1\.[01]\r\n", raw):
        return VersionNotSupported("Use HTTP/1.1 or HTTP/1.0.")
    return BadRequest("Send a request line of a method, one space, a target of visible ASCII, one space, HTTP/1.1.")


def _fields(headers: Headers) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in headers:
        key = _cgi_names.get(name) or _cgi_name(name)
        text = value.decode("latin-1")
        if key in fields:
            text = fields[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
        fields[key] = text
    return fields


def _cgi_name(name: bytes) -> str:
    """The environ's key of a header. One with an underscore gets a key that no header's name gives (as in nginx,
    where it is dropped): `X_A` must not pass for `X-A`."""
    key = name.decode("latin-1").upper()
    if "_" in key:
        key = "multicloud.underscore." + key
    elif key in ("CONTENT-LENGTH", "CONTENT-TYPE"):
        key = key.replace("-", "_")
    else:
        key = "HTTP_" + key.replace("-", "_")
    if len(_cgi_names) < _CGI_NAMES_LIMIT and len(name) <= _CGI_NAME_LONGEST:
        _cgi_names[name] = key
    return key
