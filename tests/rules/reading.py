"""A client's strict reading of what the broker answers: whatever it takes, RFC 9112 lets be sent.

Written apart from the broker's own parsers, and from h11 and http.client, which are more lenient.
"""

from __future__ import annotations

import json
import re
import socket
from typing import NamedTuple

from tests.conftest import Process, read_all
from tests.rules.plugin import FIELD, TOKEN, VALUE

HEAD = re.compile(
    rb"HTTP/1\.1 ([1-9][0-9]{2}) ([\t\x20-~\x80-\xff]*)\r\n((?:%b: %b\r\n)*)\r\n" % (TOKEN, VALUE)
)  # fmt: skip
CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})\r\n")
RESET = b"<reset>"
"""What `read_all` adds for a connection that was reset."""


class Answer(NamedTuple):
    """`whole`: whether a client could take it for the whole answer; `interim` are the statuses before the final one."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool
    interim: list[int]

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def names(self) -> set[bytes]:
        """In lower case."""
        return {name.lower() for name, _ in self.headers}

    @property
    def error(self) -> str:
        """The message of an error of the broker's own."""
        error = json.loads(self.body)["error"]
        assert (error["code"], set(error)) == (self.status, {"code", "reason", "message", "request_id"})
        return str(error["message"])


def parse(raw: bytes, method: str, end: str) -> tuple[Answer, bytes] | None:
    """The first answer in the bytes, and what follows; None if it is not there yet.

    `end` of the connection: "" is open, "closed" or "reset". Fails for what is no valid HTTP.
    """
    interim = []
    while True:
        if b"\r\n\r\n" not in raw:
            assert re.match(rb"(H(T(T(P(/[^\r\n]*)?)?)?)?)?", raw)
            return None
        match = HEAD.match(raw)
        assert match, raw[:2000]
        status, raw = int(match[1]), raw[match.end() :]
        if status >= 200:
            break
        interim.append(status)
        assert not match[3], "an interim answer with headers"
    headers: list[tuple[bytes, bytes]] = FIELD.findall(match[3])
    found = _body(raw, headers, method == "HEAD" or status in (204, 304), status, end)
    if found is None:
        return None
    body, rest, whole = found
    return Answer(status, match[2], headers, body, whole, interim), rest


def _body(
    raw: bytes, headers: list[tuple[bytes, bytes]], bodiless: bool, status: int, end: str
) -> tuple[bytes, bytes, bool] | None:
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    assert len(lengths) + len(codings) <= 1, "two framings"
    assert codings in ([], [b"chunked"])
    assert not (status == 204 and lengths + codings), "a framing where no body may be (RFC 9110, 8.6; RFC 9112, 6.1)"
    if bodiless:
        return b"", raw, True
    if lengths:
        assert lengths[0].isdigit()
        size = int(lengths[0])
        return (raw[:size], raw[size:], True) if len(raw) >= size else _cut(raw, end)
    if codings:
        return _chunked(raw, end)
    return (raw, b"", end == "closed") if end else None


def _cut(body: bytes, end: str) -> tuple[bytes, bytes, bool] | None:
    return (body, b"", False) if end else None


def _chunked(raw: bytes, end: str) -> tuple[bytes, bytes, bool] | None:
    body = b""
    while True:
        match = CHUNK.match(raw)
        if match is None:
            assert re.fullmatch(rb"[0-9a-fA-F]*\r?", raw), raw[:100]
            return _cut(body, end)
        size, raw = int(match[1], 16), raw[match.end() :]
        if len(raw) < size + 2:
            return _cut(body + raw[:size], end)
        assert raw[size : size + 2] == b"\r\n", raw[:100]
        body, raw = body + raw[:size], raw[size + 2 :]
        if not size:
            return body, raw, True


def read(raw: bytes, *methods: str) -> list[Answer]:
    """All answers in what came on a connection that has ended, to requests of these methods; fails for bytes too many."""
    end = "reset" if raw.endswith(RESET) else "closed"
    raw = raw.removesuffix(RESET)
    answers = []
    for method in methods:
        found = parse(raw, method, end)
        if found is None:
            break
        answers.append(found[0])
        raw = found[1]
    assert not raw or len(answers) < len(methods), raw[:1000]
    return answers


class Session:
    """One connection of a client's."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """The next one, whole or cut."""
        end = ""
        while (found := parse(self.rest, method, end)) is None:
            assert not end, f"no answer came: {self.rest!r}"
            try:
                data = self.sock.recv(65536)
                end = "" if data else "closed"
            except ConnectionResetError:
                data, end = b"", "reset"
            self.rest += data
        self.rest = found[1]
        return found[0]

    def ask(self, data: bytes, method: str = "GET") -> Answer:
        self.send(data)
        return self.answer(method)

    @property
    def ended(self) -> bool:
        """Whether the broker closes now, having sent nothing more."""
        return read_all(self.sock) in (b"", RESET) and not self.rest


def ask(broker: Process, data: bytes, method: str = "GET") -> Answer:
    """The only answer to what is sent on a connection that the broker then closes."""
    (answer,) = read(broker.raw(data), method)
    return answer
