"""The outermost application of a worker: probes, request id, errors, access log and metrics.

Everything that must be alike under every framework and whatever a framework does is done here, around
it. The one place where an error of ours becomes HTTP (contract, section 6).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from app.core import headers as rules
from app.core.ids import new_id
from app.core.message import Headers, Hop, Request
from app.core.quota import Quota, client_of
from app.errors import BrokerError, ClientGone, TooManyRequests, out_of_memory
from app.observability.access import AccessLog

LOG = logging.getLogger(__name__)

HEAD = "multicloud.head"
REQUEST = "multicloud.request"
"""The environ's keys of the server's `Head` (raw target and headers) and of the broker's `Request`."""

REQUEST_ID = "X-ONAP-RequestID"
UNROUTED = "unmatched"
"""The route label of what no route took."""

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Probe = Callable[[Environ, StartResponse], Iterable[bytes]]


class Head(Protocol):
    """What the server knows of a request."""

    method: str
    target: bytes
    headers: Headers


Authenticate = Callable[[Request], None]
"""Sets the request's user; raises `Unauthorized`, or another error of ours, for who may not call."""

Answered = Callable[[str, str, int, float], None]
"""Counts an answered request: method, route template, status, seconds."""


ClientOf = Callable[[str, Headers], str]
"""The address that a request counts for, by its peer's and its headers (`app.core.forwarded`)."""


class Edge:
    """Wraps a framework's application. `probes` are answered here, by path, without a log line."""

    def __init__(
        self,
        application: Application,
        probes: dict[str, Probe],
        access_log: AccessLog | None,
        answered: Answered,
        authenticate: Authenticate | None = None,
        *,
        client_of: ClientOf,
        quota: Quota | None = None,
    ) -> None:
        """`authenticate` None: everybody may call."""
        self.authenticate = authenticate
        self._application = application
        self._probes = probes
        self._access_log = access_log
        self._answered = answered
        self.client_of = client_of
        self._quota = quota

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        probe = self._probes.get(environ["PATH_INFO"])
        if probe is not None:
            try:
                return probe(environ, start_response)
            except BrokerError as error:
                return Call(self, environ, start_response).answer(error)
        return Call(self, environ, start_response).run(self._application)

    def admit(self, call: Call) -> None:
        """Before a request is served. Raises what keeps it from that."""
        if self.authenticate is not None:  # before any route: who may not call learns of none
            self.authenticate(call.request)
        if self._quota is not None:
            self._count(self._quota, call)

    def _count(self, quota: Quota, call: Call) -> None:
        row, now = quota.row_of(call.request.user or client_of(call.request.client)), time.monotonic()
        wait = quota.wait(row, now)
        if wait:
            raise TooManyRequests("Send fewer requests, or fewer at once: this client has reached its limit.", wait)
        quota.enter(row, now)
        call.row = row

    def done(self, call: Call) -> None:
        """A call has ended: count it, and write its line."""
        if call.row >= 0 and self._quota is not None:
            self._quota.leave(call.row)
        seconds = time.perf_counter() - call.started
        request = call.request
        self._answered(request.method, request.route or UNROUTED, call.status, seconds)
        if self._access_log is not None:
            path = _path(request.target)
            self._access_log(
                request.request_id,
                request.client,
                request.user,
                request.method,
                path,
                request.plugin,
                call.status,
                seconds,
            )

    def refused(self, error: BrokerError, request_id: str, peer: str, head: Head | None) -> None:
        """The server refused what never became a request; without a valid head its method and path are unknown."""
        method, path = (head.method, _path(head.target)) if head is not None else ("-", "-")
        self._answered(method if head is not None else "other", UNROUTED, error.status, 0.0)
        if self._access_log is not None:
            client = self.client_of(peer, head.headers if head is not None else [])
            self._access_log(request_id, client, "", method, path, "", error.status, 0.0)


def _path(target: bytes) -> str:
    """For the log: the query may hold what is nobody's business."""
    return target.partition(b"?")[0].decode("ascii")


class Call:
    """One request's way through a framework."""

    __slots__ = ("_edge", "_environ", "_start_response", "request", "row", "started", "status")

    def __init__(self, edge: Edge, environ: Environ, start_response: StartResponse) -> None:
        self.started = time.perf_counter()
        self._edge = edge
        self._environ = environ
        self._start_response = start_response
        self.status = 0
        self.row = -1
        head: Head = environ[HEAD]
        peer: str = environ["REMOTE_ADDR"]
        self.request = Request(
            head.method,
            head.target,
            head.headers,
            environ["wsgi.input"],
            rules.request_id(head.headers) or new_id(),
            edge.client_of(peer, head.headers),
            Hop(peer, environ["wsgi.url_scheme"], environ.get("HTTP_HOST", ""), environ["SERVER_PROTOCOL"][5:]),
        )
        environ[REQUEST] = self.request

    def run(self, application: Application) -> Iterable[bytes]:
        body: Iterable[bytes] = ()
        try:
            self._edge.admit(self)
            body = application(self._environ, self._start)
            if not isinstance(body, list):
                pieces = iter(body)
                return self._watch(body, next(pieces, b""), pieces)
        except ClientGone:
            _close(body)
            self.status = ClientGone.status
            self._edge.done(self)
            raise
        except Exception as error:  # the edge of a request: each error is answered here, and nothing has been sent yet
            _close(body)
            return self.answer(error, sys.exc_info())
        self._edge.done(self)
        return body

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self.status = int(status[:3])
        for name, _ in headers:
            if name.lower() == "x-onap-requestid":
                break
        else:
            headers.append((REQUEST_ID, self.request.request_id))
        return self._start_response(status, headers, exc_info)

    def answer(self, error: Exception, exc_info: Any = None) -> list[bytes]:
        if isinstance(error, MemoryError):
            error = out_of_memory()
        if not isinstance(error, BrokerError):
            LOG.error("request %s failed", self.request.request_id, exc_info=error)
            error = BrokerError("The broker failed; its log says why, under this request id.")
        elif error.status >= 500 and error.logged:
            LOG.warning("request %s: %s: %s", self.request.request_id, error.reason, error.message)
        body = error.body(self.request.request_id)
        self._start(error.status_line, error.fields(body), exc_info)
        self._edge.done(self)
        return [body]

    def _watch(self, body: Iterable[bytes], first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """A streamed body: the call ends with it."""
        try:
            yield first
            yield from pieces
        except (ClientGone, GeneratorExit):  # the second: what it gave could not be sent
            self.status = ClientGone.status
            raise
        except BrokerError as error:
            self.status = error.status
            LOG.warning("request %s: the answer was cut: %s", self.request.request_id, error.message)
            raise
        finally:
            _close(body)
            self._edge.done(self)


def _close(body: Iterable[bytes]) -> None:
    """PEP 3333: whoever iterates also closes."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
