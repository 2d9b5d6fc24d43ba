"""What the workers know of each other: a table in shared memory with one row a worker slot.

A slot is a worker's place: it outlives the worker, and the one that replaces a dead worker takes
its slot over. Made before the fork. Each field has one writer, the slot's worker or the parent, and is
one aligned 64-bit word, so no lock is needed.
"""

from __future__ import annotations

import mmap
import os
import time

PID, HEARTBEAT, HELD, ACCEPTED, FRESH_SIZE, MISSED = range(6)
"""The slot's worker writes the first five, of which the last is how many bytes it held as it began to serve; the parent
writes whether a worker is missed where there is none."""

DRAINING, HURRIED, ENDS = range(3)
"""Of the row that the parent writes: whether the broker ends, whether it shall end at once, and from `ENDS` on how many
workers have ended and were replaced, for each of the reasons."""

REASONS = ("killed", "exited", "stalled", "memory")
"""Why a worker was replaced: a signal that was none of ours, its own end, its silence, its growth."""

FIELDS = 8  # a cache line a row: workers do not slow each other by writing

FRESH = 2.0
"""Seconds after which a worker that did not stamp its row counts as stalled."""


class Slots:
    """The table: for each slot the worker's pid, its last heartbeat, connections held and accepted.

    Of `count` workers, with `spare` more rows for successors that start while those whose place they take still are
    there, one row for the process beside the workers (`beside`), and one of the parent's.
    """

    def __init__(self, count: int, spare: int = 0) -> None:
        self.count = count
        self.rows = range(count + spare)
        self.beside = count + spare
        self._parent = self.beside + 1
        self._memory = mmap.mmap(-1, max((self._parent + 1) * FIELDS * 8, mmap.PAGESIZE))
        self._words = memoryview(self._memory).cast("q")
        for slot in range(count):
            self.miss(slot, True)

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

    def heard(self, slot: int) -> float:
        """When the slot's last heartbeat was, on `time.monotonic`'s clock."""
        return self.get(slot, HEARTBEAT) / 1e9

    def age(self, slot: int) -> float:
        """Seconds since the slot's last heartbeat."""
        return (time.monotonic_ns() - self.get(slot, HEARTBEAT)) / 1e9

    def live(self) -> list[int]:
        """The slots whose worker is there and whose heartbeat is fresh."""
        return [slot for slot in self.rows if self.get(slot, PID) and self.age(slot) < FRESH]

    def stalled(self) -> list[int]:
        """The slots whose worker is missing or silent."""
        live = self.live()
        return [slot for slot in self.rows if self.get(slot, MISSED) and slot not in live]

    def miss(self, slot: int, missed: bool) -> None:
        """From the parent: whether a slot without a worker is one too few."""
        self.set(slot, MISSED, missed)

    @property
    def draining(self) -> bool:
        """Whether the broker ends: all workers are told by the parent, and at once."""
        return bool(self.get(self._parent, DRAINING))

    @property
    def hurried(self) -> bool:
        """Whether it shall end now, whatever is in flight."""
        return bool(self.get(self._parent, HURRIED))

    def drain(self) -> None:
        self.set(self._parent, DRAINING, 1)

    def hurry(self) -> None:
        self.set(self._parent, HURRIED, 1)

    def count_end(self, reason: str) -> None:
        """From the parent: a worker has ended that is replaced."""
        field = ENDS + REASONS.index(reason)
        self.set(self._parent, field, self.get(self._parent, field) + 1)

    def ends(self) -> dict[str, int]:
        """How many workers were replaced, by the reason."""
        return {reason: self.get(self._parent, ENDS + number) for number, reason in enumerate(REASONS)}
