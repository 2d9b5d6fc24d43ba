"""A request and a response as values, for every layer: header lists as they came, bodies as streams."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple, Protocol

Headers = list[tuple[bytes, bytes]]
"""Names and values in their order and spelling, repeated ones repeated."""


class Body(Protocol):
    """A request's body while it arrives. `length` in bytes: None for chunked, 0 for none."""

    @property
    def length(self) -> int | None: ...

    @property
    def present(self) -> bool:
        """Whether the request declared a body, be it an empty one."""

    def piece(self, size: int = 65536) -> bytes:
        """The next bytes, at most `size`; `b""` at the end, and only there: a body cut short raises."""


class Hop(NamedTuple):
    """How a request came to us: the peer's address ("" where it has none, as on a Unix socket), the scheme, the host
    that was asked for ("" in an HTTP/1.0 request without one), and the version of HTTP, `1.1` or `1.0`."""

    peer: str = ""
    scheme: str = "http"
    host: str = ""
    version: str = "1.1"


class Request:
    """What a handler gets. `target` is the raw origin-form, query included; `client` the address it counts for, which
    is the peer's own unless that is a trusted proxy.

    `route` (a template) and `plugin` are set by who serves it, for metrics and logs; `user` is the caller's name where
    callers authenticate.
    """

    __slots__ = ("body", "client", "headers", "hop", "method", "plugin", "request_id", "route", "target",
                 "user")  # fmt: skip

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: Body,
        request_id: str,
        client: str,
        hop: Hop = Hop(),  # noqa: B008  a value that nobody can change
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.request_id = request_id
        self.client = client
        self.hop = hop
        self.route = ""
        self.plugin = ""
        self.user = ""


class Response:
    """What a handler returns. `headers` are latin-1 texts; `body` a list of one piece when it is known whole."""

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    @property
    def status_line(self) -> str:
        """Code and reason, as WSGI's `start_response` takes them."""
        return f"{self.status} {self.reason}"

    @classmethod
    def json(cls, status: int, document: object) -> Response:
        """An answer of the broker's own: as things are now, so not for caches, which would guess how long it is good
        (RFC 9111, 4.2.2)."""
        body = json.dumps(document).encode()
        length = ("Content-Length", str(len(body)))
        headers = [("Content-Type", "application/json"), length, ("Cache-Control", "no-store")]
        return cls(status, HTTPStatus(status).phrase, headers, [body])

    def again(self) -> Response:
        """A copy whose headers may be added to, of a response that is the same each time."""
        return Response(self.status, self.reason, self.headers.copy(), self.body)
