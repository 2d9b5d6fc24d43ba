"""The process that merges the workers' metrics: CPU work that would hold a worker's requests up.

It serves the text on a Unix socket of Linux's abstract namespace, since a path may be too long (107 bytes);
whichever worker is asked for `/metrics` relays it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

from oslo_service.backend.base import ServiceBase

from app.core.ids import new_id
from app.core.origin import UNIX, Origin
from app.errors import BrokerError, MethodNotAllowed, Unavailable, UpstreamGarbled
from app.net.loop import Loop, Waiter
from app.observability.metrics import CONTENT_TYPE, merged
from app.server.limits import Limits
from app.server.serving import Server
from app.server.slots import Slots
from app.upstream.client import Client

LOG = logging.getLogger(__name__)

CONNECT_TIMEOUT = 1.0
MERGE_TIMEOUT = 10.0
"""Seconds; Prometheus gives a scrape 10 by default."""

LARGEST = 64 << 20

AT_ONCE = 4
"""Scrapes that a worker relays at once. No other bound is theirs, since they are answered in an overload too, and the
exporter makes one after the other."""


class Exporter(ServiceBase):  # type: ignore[misc]  # oslo.service has no types
    """Runs beside the workers. `shared` is the workers' listening socket, which is of no use here, and `workers` their
    table."""

    def __init__(self, shared: socket.socket, workers: Slots) -> None:
        self._shared = shared
        self._workers = workers
        self.origin = Origin(UNIX, f"\0multicloud-{new_id()}", 0)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.origin.host)
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._ended: Waiter | None = None
        self._ending = False

    def start(self) -> None:
        self._shared.close()
        loop = Loop()
        self._ended = Waiter(loop)
        slots = Slots(1)
        slots.claim(0)
        Server(loop, self._listener, slots, 0, self._application, limits=Limits()).open()
        self._workers.stamp(self._workers.beside)
        loop.every_tick.append(lambda _: self._tick(slots))

    def stop(self) -> None:
        self._ending = True

    def wait(self) -> None:
        while self._ended is not None and not self._ending:
            self._ended.wait()

    def reset(self) -> None:
        """Nothing to reload."""

    def _tick(self, slots: Slots) -> None:
        slots.stamp(0)
        self._workers.stamp(self._workers.beside)
        if self._ending and self._ended is not None:
            self._ended.wake()

    def _application(self, _: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        text = merged(self._workers.ends())
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(text)))])
        return [text]


def relay(client: Client, origin: Origin) -> Callable[..., Iterable[bytes]]:
    """A worker's `/metrics`: asks the exporter at its origin."""

    asked = 0

    def probe(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        nonlocal asked
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise MethodNotAllowed("Use GET or HEAD here.", ("GET", "HEAD"))
        if asked >= AT_ONCE:
            raise Unavailable("The metrics are being asked for already; send this request again later.")
        asked += 1
        try:
            text = _ask(client, origin)
        finally:
            asked -= 1
        length = ("Content-Length", str(len(text)))
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), length, ("Cache-Control", "no-store")])
        return [text]

    return probe


def _ask(client: Client, origin: Origin) -> bytes:
    try:
        answer = client.fetch(
            origin, "GET", b"/metrics", [], connect_timeout=CONNECT_TIMEOUT, response_timeout=MERGE_TIMEOUT,
            limit=LARGEST,
        )  # fmt: skip
        if answer.status != 200:
            raise UpstreamGarbled(f"the exporter answered {answer.status}")
    except BrokerError as error:
        LOG.warning("no metrics: %s", error.message)
        raise Unavailable("The metrics cannot be had now; the log says why.") from None
    return answer.body
