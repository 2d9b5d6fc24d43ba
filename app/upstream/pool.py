"""Idle connections, kept a short time for each upstream."""

from __future__ import annotations

import time
from collections import defaultdict

from app.core.origin import Origin
from app.net.tls import Tls
from app.upstream.connection import UpstreamConnection


class Pool:
    """At most `size` idle connections an origin, each for at most `idle_timeout` seconds.

    The idle time has to be below the upstreams' own: a close that crosses a request costs a retry (rule 19).
    The one used last is used first, so that a burst's connections end.
    """

    def __init__(self, size: int, idle_timeout: float) -> None:
        self._size = size
        self._idle_timeout = idle_timeout
        self._idle: defaultdict[Origin, list[UpstreamConnection]] = defaultdict(list)

    def adjust(self, size: int, idle_timeout: float) -> None:
        """For connections that are kept from now on. Upstreams of which there are none are forgotten."""
        self._size = size
        self._idle_timeout = idle_timeout
        for origin in [origin for origin, idle in self._idle.items() if not idle]:
            del self._idle[origin]

    def take(self, origin: Origin, tls: Tls | None = None) -> UpstreamConnection | None:
        """A connection that is still good, and was made with this context, or None.

        One of a former context is closed: what is no longer trusted, or presented, is so from the next request on.
        """
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            connection.unpark()
            if connection.tls is tls and not connection.stale():
                return connection
            connection.close()
        return None

    def put(self, origin: Origin, connection: UpstreamConnection) -> None:
        """Keep a connection whose response was taken whole, or close it."""
        idle = self._idle[origin]
        if len(idle) >= self._size:
            connection.close()
            return

        def ended(gone: UpstreamConnection) -> None:
            idle.remove(gone)
            gone.unpark()
            gone.close()

        idle.append(connection)
        connection.park(time.monotonic() + self._idle_timeout, ended)
