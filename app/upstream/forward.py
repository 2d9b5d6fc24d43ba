"""Forwards a request to a plugin, and its answer back, unchanged but for what the contract's section 5 lists."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core import headers as rules
from app.core.address import Destination
from app.core.forwarded import Forwarding
from app.core.ids import new_id
from app.core.message import Body, Request, Response
from app.errors import UpstreamError
from app.upstream.client import Client, Timeouts, UpstreamResponse
from app.upstream.guards import Guards, Ticket, Upload, body_of

Observed = Callable[[str, int, float], None]
"""Is told the plugin, the status of its answer (or of our error) and the seconds until the answer's head."""


class Forwarder:
    """For one worker."""

    def __init__(
        self,
        client: Client,
        timeouts: Timeouts,
        observed: Observed,
        forwarding: Forwarding,
        guards: Guards,
        dropped: frozenset[bytes] = frozenset(),
    ) -> None:
        """`dropped` names, in lower case, what of a request is kept from plugins beside what is a hop's."""
        self._client = client
        self._timeouts = timeouts
        self._observed = observed
        self._forwarding = forwarding
        self._guards = guards
        self._replaced = rules.REPLACED | dropped

    def check(self, destination: Destination) -> None:
        """Whether it makes sense to ask, for who asks by other ways than `forward` too. Raises `CircuitOpen`."""
        self._guards.check(destination.plugin, destination.origin)

    def forward(self, request: Request, destination: Destination) -> Response:
        """Send the request on; the response's body streams, and is to be closed. Raises what `Client.send` raises,
        `CircuitOpen` and `PluginBusy`."""
        body = request.body
        held: bytes | None = b""
        if body.length != 0:  # a small one is read before the plugin is troubled: its client may be slow
            self.check(destination)
            held = self._client.hold(body)
        ticket = self._guards.enter(destination.plugin, destination.origin)
        try:
            sent = Upload(body, ticket, self._timeouts.total) if held is None else held
            answer = self._send(request, destination, ticket, sent)
            told = self._forwarding.sent_back(answer.version)
            back = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in rules.response_headers(answer.headers, request.request_id, told)
            ]
            return Response(answer.status, answer.reason, back, body_of(answer, ticket))
        except BaseException:  # whoever ends this request, its client included, gives its place up
            ticket.end()
            raise

    def _send(self, request: Request, destination: Destination, ticket: Ticket, sent: Body | bytes) -> UpstreamResponse:
        started = time.perf_counter()
        plugin, origin, target = destination.plugin, destination.origin, destination.target
        body = request.body
        headers = rules.forwarded_request_headers(
            request.headers,
            origin.host_header,
            request.request_id,
            new_id(),
            body.length,
            body.present,
            self._forwarding.sent_on(request.hop, request.headers),
            self._replaced,
        )
        try:
            answer = self._client.send(origin, request.method, target, headers, sent, self._timeouts)
        except UpstreamError as error:  # what is wrong with the client's own body is no fault of the plugin's
            ticket.failed(error)
            self._observed(plugin, error.status, time.perf_counter() - started)
            error.message = f"{plugin} at {origin}: {error.message}"
            raise
        ticket.answered()
        self._observed(plugin, answer.status, time.perf_counter() - started)
        return answer
