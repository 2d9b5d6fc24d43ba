"""Forwards a request to a plugin, and its answer back, unchanged but for what the contract's section 5 lists."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core import headers as rules
from app.core.address import Destination
from app.core.forwarded import Forwarding
from app.core.ids import new_id
from app.core.message import Request, Response
from app.errors import UpstreamError
from app.upstream.client import Client, Timeouts

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
        dropped: frozenset[bytes] = frozenset(),
    ) -> None:
        """`dropped` names, in lower case, what of a request is kept from plugins beside what is a hop's."""
        self._client = client
        self._timeouts = timeouts
        self._observed = observed
        self._forwarding = forwarding
        self._replaced = rules.REPLACED | dropped

    def forward(self, request: Request, destination: Destination) -> Response:
        """Send the request on; the response's body streams. Raises what `Client.send` raises."""
        started = time.perf_counter()
        body = request.body
        headers = rules.forwarded_request_headers(
            request.headers,
            destination.origin.host_header,
            request.request_id,
            new_id(),
            body.length,
            body.present,
            self._forwarding.sent_on(request.hop, request.headers),
            self._replaced,
        )
        try:
            answer = self._client.send(
                destination.origin, request.method, destination.target, headers, body, self._timeouts
            )
        except UpstreamError as error:  # what is wrong with the client's own body is no fault of the plugin's
            self._observed(destination.plugin, error.status, time.perf_counter() - started)
            error.message = f"{destination.plugin} at {destination.origin}: {error.message}"
            raise
        self._observed(destination.plugin, answer.status, time.perf_counter() - started)
        told = self._forwarding.sent_back(answer.version)
        back = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in rules.response_headers(answer.headers, request.request_id, told)
        ]
        whole = answer.whole
        return Response(answer.status, answer.reason, back, answer if whole is None else [whole])
