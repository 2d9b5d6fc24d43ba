"""How many requests a plugin is sent at once, so that a slow one does not take all that a worker can serve (rule 18).

Rules only: counts, and whose turn it is, first come first served. `most` is 0 for any number.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Bulkhead(Generic[T]):
    """One plugin's, of one worker. `T` is what waits for its turn."""

    __slots__ = ("_queue", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._queue: deque[T] = deque()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def enter(self, most: int) -> bool:
        """Count one more, if there is room and nobody waits for it."""
        if most and (self.in_flight >= most or self._queue):
            return False
        self.in_flight += 1
        return True

    def queue(self, turn: T, longest: int) -> bool:
        """Wait for a turn, if fewer than `longest` do."""
        if len(self._queue) >= longest:
            return False
        self._queue.append(turn)
        return True

    def give_up(self, turn: T) -> bool:
        """Wait no longer; False: its turn has come already, and it is counted."""
        try:
            self._queue.remove(turn)
        except ValueError:
            return False
        return True

    def leave(self, most: int) -> T | None:
        """Count one less; whose turn it is now, counted in its place."""
        self.in_flight -= 1
        if self._queue and (not most or self.in_flight < most):
            self.in_flight += 1
            return self._queue.popleft()
        return None

    def come_back(self) -> None:
        """One that left for a while goes on, be there room or not: it cannot be sent away half-way."""
        self.in_flight += 1
