"""How long a peer may keep a worker waiting in all, by what it has moved: a pure rule without a clock of its own."""

from __future__ import annotations


class Pace:
    """A grace, and a second more for each `rate` bytes; only time in which we waited for the peer counts.

    So a slow plugin is never the client's fault. A rate of 0 asks for none. (Kestrel's MinRequestBodyDataRate.)
    """

    __slots__ = ("_grace", "_rate", "waited")

    def __init__(self, rate: int, grace: float) -> None:
        """`rate` in bytes a second, `grace` in seconds."""
        self._rate = rate
        self._grace = grace
        self.waited = 0.0

    def left(self, moved: int) -> float:
        """Seconds that the peer may still be waited for after it has moved so many bytes."""
        if not self._rate:
            return float("inf")
        return self._grace + moved / self._rate - self.waited
