"""From a client's bytes to requests: llhttp, and the strict checks that it leaves to its user.

Knows no socket and no clock. The one rule above all others: no byte sequence is read here as other
requests than a strict peer reads (RFC 9112); tests/fuzz holds it against one. So llhttp gets exactly one
head, up to the blank line, and a fresh one for each; the body is framed here, by what was checked of the
head; what follows is the next message's and is given back.
"""

from __future__ import annotations

import re
import socket

import httptools

from app.core.chunked import ChunkedBody
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

HOST = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])"
    r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
"""RFC 3986, 3.2.2 and 3.2.3, less the comma, which is how a second Host shows: a host and a port that exists."""

ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(.*)")

HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n"

OTHER_PROTOCOLS = ("Invalid method for HTTP", "Expected HTTP/2 Connection Preface")
"""How llhttp says that it knows a method, but of another protocol: RTSP's DESCRIBE, HTTP/2's PRI."""

NOT_SERVED = frozenset(("CONNECT", "TRACE"))

EMPTY_LINES = 8
"""Before a request line; more are refused."""

LENGTH_DIGITS = 18
"""Of a Content-Length; with more it would overflow the integers of some (RFC 9110, 8.6)."""

FRAMING_LOOKALIKES = frozenset(("CONTENT_LENGTH", "TRANSFER_ENCODING"))
"""Servers that name headers as CGI does (uWSGI's router among them) frame a body by `Content_Length` too."""

_cgi_names: dict[bytes, str] = {}
_CGI_NAMES_LIMIT = 2048
_CGI_NAME_LONGEST = 64
_valid_hosts: set[str] = set()
_VALID_HOSTS_LIMIT = 512
_HOST_LONGEST = 255


class Head:
    """A request's head: `target` in origin-form (or `*`) as on the wire, `headers` as they came, in order.

    `fields` are the headers under their CGI names, repeated ones joined (RFC 9110, 5.3), for the WSGI environ.
    `length` is that of the body in bytes, None for a chunked one; `framed` whether the head declared a body.
    """

    __slots__ = ("expect", "fields", "framed", "headers", "keep_alive", "length", "method", "minor", "target")

    def __init__(self, method: str, target: bytes, minor: int, headers: Headers) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.headers = headers
        if method in NOT_SERVED:
            raise NotImplementedMethod(f"The broker forwards no {method} request.")
        self.fields = fields = _fields(headers)
        self._frame(fields.get("HTTP_TRANSFER_ENCODING"), fields.get("CONTENT_LENGTH"))
        self.keep_alive = _persists(fields.get("HTTP_CONNECTION"), minor)
        self.expect = "HTTP_EXPECT" in fields
        if self.expect and fields["HTTP_EXPECT"].lower() != "100-continue":
            raise ExpectationFailed("Expect only 100-continue.")
        self._check_host(fields.get("HTTP_HOST"))

    def _frame(self, coding: str | None, length: str | None) -> None:
        """RFC 9112, 6.1 and 6.3: how long the body is."""
        self.framed = coding is not None or length is not None
        self.length = None if coding is not None else int(length or 0)
        if coding is not None and (coding.lower() != "chunked" or self.minor == 0 or length is not None):
            raise BadRequest("Frame the body by one Content-Length, or by one Transfer-Encoding: chunked in HTTP/1.1.")
        if length is not None and len(length) > LENGTH_DIGITS:
            raise BadRequest(f"Send a Content-Length of at most {LENGTH_DIGITS} digits.")

    def _check_host(self, host: str | None) -> None:
        """RFC 9112, 3.2 and 3.3: exactly one valid Host in HTTP/1.1; an absolute-form target wins over it."""
        if host is None:
            if self.minor == 1:
                raise BadRequest("Send exactly one Host header.")
        elif host not in _valid_hosts and not _is_host(host):
            raise BadRequest("Send exactly one Host header that holds a host and at most a port.")
        if self.target.startswith(b"/"):
            return
        if self.target == b"*":
            if self.method != "OPTIONS":
                raise BadRequest("Only OPTIONS has the target '*'.")
            return
        absolute = ABSOLUTE_FORM.fullmatch(self.target)
        if not absolute or not _is_host(absolute[1].decode()):
            raise BadRequest("Send a request target that begins with '/', or an absolute http URL without userinfo.")
        self.fields["HTTP_HOST"] = absolute[1].decode()
        if absolute[2].startswith(b"/"):
            self.target = absolute[2]
        else:  # RFC 9112, 3.2.4: OPTIONS without a path is for the server as a whole
            self.target = b"*" if self.method == "OPTIONS" and not absolute[2] else b"/" + absolute[2]


class RequestParser:
    """Feeds one message after the other to llhttp; `head`, `pieces` and `complete` tell what has come.

    `feed` raises the error to answer with; after that the connection is of no further use. `limits` may be replaced.
    """

    __slots__ = ("_chunks", "_fed", "_headers", "_headers_complete", "_left", "_llhttp",
                 "_raw", "_skipped", "complete", "head", "limits", "pieces")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pieces: list[bytes] = []
        self.reset()

    def reset(self) -> None:
        """Make ready for the next message, after `complete`."""
        self.head: Head | None = None
        self.complete = False
        self.pieces.clear()
        self._headers: Headers = []
        self._llhttp = httptools.HttpRequestParser(self)
        self._headers_complete = False
        self._chunks: ChunkedBody | None = None
        self._raw = b""
        self._fed = self._left = self._skipped = 0

    @property
    def started(self) -> bool:
        """Whether a part of a message has come."""
        return bool(self._raw) or self._skipped > 0 or self.head is not None

    @property
    def held(self) -> int:
        """Bytes of the message's head that are here."""
        return len(self._raw)

    @property
    def is_head(self) -> bool:
        """Whether the message, be it a refused one, is a HEAD request: its answer has no body."""
        return self._raw.startswith(b"HEAD ")

    def feed(self, data: bytes) -> bytes:
        """Take bytes up to the end of the current message at the most, and return what is left over."""
        if self.head is None:
            return self._feed_head(data)
        if self._chunks is not None:
            return self._feed_chunked(self._chunks, data)
        piece, rest = data[: self._left], data[self._left :]
        self.pieces.append(piece)
        self._left -= len(piece)
        self.complete = self._left == 0
        return rest

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
        limits = self.limits
        if len(head) > limits.request_line and head.find(b"\r\n", 0, limits.request_line) < 0:
            raise TargetTooLong(f"Send a request line of at most {limits.request_line} bytes.")
        if len(head) > limits.header:
            raise HeadersTooLarge(f"Send a request head of at most {limits.header} bytes.")

    def _begin(self, raw: bytes) -> None:
        """The head is whole: check what llhttp has not, and make the value."""
        line = REQUEST_LINE.match(raw)
        if line is None:
            raise _refusal(raw)
        if len(self._headers) > self.limits.header_count:
            raise HeadersTooLarge(f"Send at most {self.limits.header_count} header lines.")
        self.head = head = Head(line[1].decode(), line[2], int(line[3]), self._headers)
        if head.length is None:
            self._chunks = ChunkedBody()
        else:
            self._left = head.length
            self.complete = head.length == 0

    def _feed_chunked(self, chunks: ChunkedBody, data: bytes) -> bytes:
        try:
            piece, rest = chunks.feed(data)
        except ValueError as error:
            raise BadRequest(f"Send a valid chunked body: {error}.") from None
        if piece:
            self.pieces.append(piece)
        self.complete = chunks.complete
        return rest

    def _execute(self, data: bytes) -> None:
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # RFC 9110, 7.8: it may be ignored; Java's HttpClient asks for h2c with each first request
        except httptools.HttpParserError as error:
            raise self._translate(error) from None

    def _translate(self, error: Exception) -> BrokerError:
        if self._raw.startswith(HTTP_2_PREFACE) or "HTTP version" in str(error):
            return VersionNotSupported("Use HTTP/1.1 or HTTP/1.0.")
        unknown = isinstance(error, httptools.HttpParserInvalidMethodError) or str(error).startswith(OTHER_PROTOCOLS)
        if unknown and TOKEN.match(self._raw):
            return NotImplementedMethod("Use a method of HTTP that the broker knows.")
        return BadRequest(f"Send a valid HTTP/1.1 request: {error}.")

    # llhttp's callbacks.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._headers_complete = True


def _refusal(raw: bytes) -> BrokerError:
    """Why a request line that llhttp took is not one of HTTP/1.1."""
    if OTHER_VERSION.match(raw) and not re.match(rb"[^\r\n]* HTTP/1\.[01]\r\n", raw):
        return VersionNotSupported("Use HTTP/1.1 or HTTP/1.0.")
    return BadRequest("Send a request line of a method, one space, a target of visible ASCII, one space, HTTP/1.1.")


def _persists(connection: str | None, minor: int) -> bool:
    """Whether the connection goes on after this message (RFC 9112, 9.3); llhttp prefers keep-alive in HTTP/1.0."""
    if connection is None:
        return minor == 1
    if connection == "keep-alive":  # the common case
        return True
    options = {option.strip(" \t") for option in connection.lower().split(",")}
    return "close" not in options and (minor == 1 or "keep-alive" in options)


def _is_host(host: str) -> bool:
    """Whether it is a valid value of Host; a few that are get remembered."""
    match = HOST.fullmatch(host)
    if match is None or (match[1] is not None and not _is_ipv6(match[1])):
        return False
    if len(_valid_hosts) < _VALID_HOSTS_LIMIT and len(host) <= _HOST_LONGEST:
        _valid_hosts.add(host)
    return True


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


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
    if key.replace("-", "_") in FRAMING_LOOKALIKES and "_" in key:
        raise BadRequest("Spell Content-Length and Transfer-Encoding with hyphens.")
    if "_" in key:
        key = "multicloud.underscore." + key
    elif key in ("CONTENT-LENGTH", "CONTENT-TYPE"):
        key = key.replace("-", "_")
    else:
        key = "HTTP_" + key.replace("-", "_")
    if len(_cgi_names) < _CGI_NAMES_LIMIT and len(name) <= _CGI_NAME_LONGEST:
        _cgi_names[name] = key
    return key
