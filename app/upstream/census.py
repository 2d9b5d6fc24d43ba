"""The open connections to each origin: those that lead to an address which its name has no more come to an end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection

from app.core.addresses import Address
from app.core.origin import Origin
from app.upstream.connection import UpstreamConnection

LOOK = 1.0
"""Seconds between two looks."""

Known = Callable[[str, int], Collection[Address] | None]
"""The addresses of a host and port as they are known now; None where that is no name."""


class Census:
    """For one worker. A pod that is gone gets no new request, on what connection ever: an idle one is closed at once,
    one within an answer once that has ended."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._open: defaultdict[Origin, set[UpstreamConnection]] = defaultdict(set)
        self._next = 0.0

    def add(self, origin: Origin, connection: UpstreamConnection) -> None:
        """It counts until it is closed."""
        connections = self._open[origin]
        connections.add(connection)
        connection.on_close = connections.discard

    def tick(self, now: float) -> None:
        """From the loop: names that are in use are thereby looked up anew."""
        if now < self._next:
            return
        self._next = now + LOOK
        for origin, connections in list(self._open.items()):
            if not connections:
                del self._open[origin]
            elif (addresses := self._known(origin.host, origin.port)) is not None:
                _retire(connections, addresses)


def _retire(connections: set[UpstreamConnection], addresses: Collection[Address]) -> None:
    for connection in list(connections):
        if connection.address not in addresses:
            connection.retire()
