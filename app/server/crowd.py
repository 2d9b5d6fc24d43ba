"""Who is connected to a worker, by what each is at, and who has to go when there are too many.

Rules only: knows no socket. Each place holds its connections in order, the one that has been there
longest without any progress first. A request counts against one bound: that of uploads while its body
arrives, that of downloads while its client is waited for, else that of requests being served.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from app.errors import BrokerError, Unavailable
from app.server.limits import Limits

LOG = logging.getLogger(__name__)

STALE = 1.0
"""Seconds without a byte after which a transfer gives way to others, where there are too many."""

BEYOND = 64
"""Connections taken above the bound, so that a probe is answered whatever holds the others."""

TRIES = 4
"""Connections asked to go for one that comes: an idle one may turn out to have sent a request just now."""

HEADS = 256
HEADS_BYTES = 16 << 20
"""Unfinished heads, and bytes of them, that a worker holds whatever there is; beyond both the oldest go. They cost
twice their bytes, and 10,000 of them would take more than most workers have."""

WARN_EVERY = 10.0


class Member(Protocol):
    """A connection, as far as the crowd is concerned."""

    @property
    def held(self) -> int:
        """Bytes of a head that is not whole."""

    def give_way(self) -> None:
        """Close, with as much of a farewell as there is time for."""

    def idle_for(self, now: float) -> float:
        """Seconds since the client last moved a byte of the transfer that it is at; 0 while it is not the one
        that is waited for."""


Place = dict[Member, None]


class Crowd:
    """Of one worker. `limit` of connections; the bounds of what they are at are `limits`'."""

    def __init__(self, limits: Limits, limit: int) -> None:
        self.limit = limit
        self.connected = 0
        self.serving = 0
        self.leaving: Place = {}
        """Our side is closed, and the client's is read to its end."""
        self.idle: Place = {}
        """Between two requests, or before the first."""
        self.heads: Place = {}
        """A part of a request's head is there."""
        self.uploads: Place = {}
        """Served, and the request's body has not arrived whole."""
        self.downloads: Place = {}
        """Served, and the client does not take the answer as fast as it could be sent."""
        self.limits = limits
        self._warned = -WARN_EVERY

    @property
    def busy(self) -> int:
        """Requests that count against the bound of those being served."""
        uploads, downloads = len(self.uploads), len(self.downloads)
        return self.serving - min(uploads, self.limits.uploads) - min(downloads, self.limits.downloads)

    def refusal(self, *, uploading: bool) -> BrokerError | None:
        """Why one more request is too much now, `uploading` while its body arrives; None if it is not."""
        limits = self.limits
        if self.connected > self.limit:
            return self._full(f"connections ({self.limit})", "server.connections_max")
        if uploading and len(self.uploads) >= limits.uploads:
            return self._full(f"uploads ({limits.uploads})", "server.uploads_max")
        if self.busy >= limits.requests:
            return self._full(f"requests at once ({limits.requests})", "server.requests_max")
        return None

    def _full(self, what: str, option: str) -> BrokerError:
        self._warn(what, option, "more are answered 503")
        return Unavailable("The broker serves as many requests as it can; send this one again later.")

    def _warn(self, what: str, option: str, so: str) -> None:
        now = time.monotonic()
        if now - self._warned >= WARN_EVERY:
            self._warned = now
            LOG.warning("overload: this worker serves as many %s as it may (%s); %s", what, option, so)

    def make_room(self) -> bool:
        """Before a connection is taken: whether there is room for it, or was made by closing the one that is missed
        least."""
        for _ in range(TRIES):
            if self.connected < self.limit:
                return True
            victim = self._least_missed()
            if victim is None:
                break
            self._warn(f"connections ({self.limit})", "server.connections_max", "those least missed are closed")
            victim.give_way()
        return self.connected < self.limit + BEYOND

    def free_one(self) -> bool:
        """Without descriptors: whether a connection was closed that nobody misses."""
        before = self.connected
        victim = self._least_missed()
        if victim is not None:
            victim.give_way()
        return self.connected < before

    def _least_missed(self) -> Member | None:
        return next((next(iter(place)) for place in (self.leaving, self.idle, self.heads) if place), None)

    def bound(self, limits: Limits, limit: int) -> None:
        """Other bounds count from now on."""
        self.limits, self.limit = limits, limit

    def shrink(self) -> None:
        """After the limit was lowered: idle connections beyond it are closed, so that requests are not refused for
        their sake."""
        for member in list(islice(self.idle, max(0, self.connected - self.limit))):
            member.give_way()

    def relieve(self, now: float) -> None:
        """At each tick: where a bound of transfers is reached, those that stand still give way, and of heads that hold
        too much the oldest."""
        if len(self.heads) > HEADS:
            self._lighten()
        for place, bound in ((self.uploads, self.limits.uploads), (self.downloads, self.limits.downloads)):
            if len(place) >= bound:
                for member in _standing_still(place, now, len(place) - bound + 1 + bound // 8):
                    member.give_way()

    def _lighten(self) -> None:
        held = 0
        for member in list(reversed(self.heads)):
            held += member.held
            if held > HEADS_BYTES:
                self._warn("bytes of unfinished heads", "server.header_limit", "the oldest are refused")
                member.give_way()


def _standing_still(place: Place, now: float, most: int) -> Iterator[Member]:
    """The first of a place that are stale, at most so many."""
    stale = [member for member in place if member.idle_for(now) >= STALE]
    yield from stale[:most]
