"""What the workers know of each other: a table in shared memory with one row a worker slot.

A slot is a worker's place: it outlives the worker, and the one that replaces a dead worker takes
its slot over. Made before the fork. Each field has one writer, the slot's worker, and is one
aligned 64-bit word, so no lock is needed.
"""

from __future__ import annotations

import mmap
import os
import time

PID, HEARTBEAT, HELD, ACCEPTED = range(4)
FIELDS = 8  # a cache line a row: workers do not slow each other by writing

FRESH = 2.0
"""Seconds after which a worker that did not stamp its row counts as stalled."""


class Slots:
    """The table: for each slot the worker's pid, its last heartbeat, connections held and accepted."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, max(count * FIELDS * 8, mmap.PAGESIZE))
        self._words = memoryview(self._memory).cast("q")

    def claim(self, slot: int) -> None:
        """Take a slot over for this process, with what its last worker held forgotten."""
        self.set(slot, HELD, 0)
        self.set(slot, ACCEPTED, max((self.get(other, ACCEPTED) for other in self.live()), default=0))
        self.stamp(slot)
        self.set(slot, PID, os.getpid())

    def release(self, slot: int) -> None:
        """The slot's worker has ended or takes no more connections."""
        self.set(slot, PID, 0)
        self.set(slot, HELD, 0)

    def stamp(self, slot: int) -> None:
        """The heartbeat: this worker's loop runs."""
        self.set(slot, HEARTBEAT, time.monotonic_ns())

    def get(self, slot: int, field: int) -> int:
        return self._words[slot * FIELDS + field]

    def set(self, slot: int, field: int, value: int) -> None:
        self._words[slot * FIELDS + field] = value

    def age(self, slot: int) -> float:
        """Seconds since the slot's last heartbeat."""
        return (time.monotonic_ns() - self.get(slot, HEARTBEAT)) / 1e9

    def live(self) -> list[int]:
        """The slots whose worker is there and whose heartbeat is fresh."""
        return [slot for slot in range(self.count) if self.get(slot, PID) and self.age(slot) < FRESH]

    def stalled(self) -> list[int]:
        """The slots whose worker is missing or silent."""
        return [slot for slot in range(self.count) if not self.get(slot, PID) or self.age(slot) >= FRESH]
