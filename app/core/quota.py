"""What one client may take up, counted over all workers together, in memory that they share.

Each word has one writer, its worker, and a client's count is the sum over the workers: no lock, so no worker that is
killed can leave one behind. Clients whose hash is the same share a row, and with it the limit; there are many rows,
and the hash is keyed anew at each start.
"""

from __future__ import annotations

import ipaddress
import math
import mmap
from dataclasses import dataclass

ROWS = 1 << 14
EDGE = 1e-6
"""Seconds by which a whole number of them may be missed by rounding."""

AT_ONCE, WINDOW, CURRENT, PREVIOUS = range(4)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests at once, and a second over a window of seconds; 0: any number."""

    at_once: int = 0
    rate: float = 0.0
    window: float = 10.0

    def __bool__(self) -> bool:
        """Whether there is any bound."""
        return bool(self.at_once or self.rate)


class Counts:
    """The table. Made before the fork; `slots` workers write to it."""

    def __init__(self, slots: int) -> None:
        self.slots = range(slots)
        self._words = memoryview(mmap.mmap(-1, slots * 4 * ROWS * 8)).cast("q")

    def clear(self, slot: int) -> None:
        """A new worker has the slot: what its last one was serving is served no longer."""
        start = (slot * 4 + AT_ONCE) * ROWS
        self._words[start : start + ROWS] = memoryview(bytes(8 * ROWS)).cast("q")

    def get(self, slot: int, field: int, row: int) -> int:
        return self._words[(slot * 4 + field) * ROWS + row]

    def set(self, slot: int, field: int, row: int, value: int) -> None:
        self._words[(slot * 4 + field) * ROWS + row] = value


class Quota:
    """One worker's view of the table, which outlives it: what another allowance let in may leave by this one."""

    def __init__(self, counts: Counts, slot: int, allowance: Allowance) -> None:
        self._counts = counts
        self._slot = slot
        self._allowance = allowance

    def row_of(self, client: str) -> int:
        return hash(client) % ROWS

    def wait(self, row: int, now: float) -> int:
        """Whole seconds after which a client may send its next request, 0 for at once; `now` in seconds of a clock
        that all workers share and that never goes back."""
        allowance, counts = self._allowance, self._counts
        if allowance.at_once and sum(counts.get(slot, AT_ONCE, row) for slot in counts.slots) >= allowance.at_once:
            return 1
        if not allowance.rate:
            return 0
        most = allowance.rate * allowance.window
        window, part = divmod(now / allowance.window, 1)
        current, previous = self._taken(row, int(window))
        if current + previous * (1 - part) + 1 <= most:
            return 0
        return _seconds_until(most, current, previous, part, allowance.window)

    def enter(self, row: int, now: float) -> None:
        """Count a request that is let in."""
        counts, slot = self._counts, self._slot
        counts.set(slot, AT_ONCE, row, counts.get(slot, AT_ONCE, row) + 1)
        if self._allowance.rate:
            window = int(now / self._allowance.window)
            current, previous = self._own(slot, row, window)
            counts.set(slot, PREVIOUS, row, previous)
            counts.set(slot, CURRENT, row, current + 1)
            counts.set(slot, WINDOW, row, window)

    def leave(self, row: int) -> None:
        """A request that was let in has ended."""
        self._counts.set(self._slot, AT_ONCE, row, self._counts.get(self._slot, AT_ONCE, row) - 1)

    def _taken(self, row: int, window: int) -> tuple[int, int]:
        """Requests of all workers in this window and in the one before."""
        own = [self._own(slot, row, window) for slot in self._counts.slots]
        return sum(current for current, _ in own), sum(previous for _, previous in own)

    def _own(self, slot: int, row: int, window: int) -> tuple[int, int]:
        counts = self._counts
        age = window - counts.get(slot, WINDOW, row)
        if age == 0:
            return counts.get(slot, CURRENT, row), counts.get(slot, PREVIOUS, row)
        return 0, counts.get(slot, CURRENT, row) if age == 1 else 0


def _seconds_until(most: float, current: int, previous: int, part: float, window: float) -> int:
    """The last window counts by the part of it that is not yet over, so that the limit slides."""
    if current + 1 <= most and previous:  # within this window
        wanted = 1 - (most - 1 - current) / previous
        return math.floor((wanted - part) * window + EDGE) + 1
    wanted = 1 - (most - 1) / current if current > most - 1 else 0.0  # in the next one, where `current` fades
    return math.floor((1 - part + wanted) * window + EDGE) + 1


def client_of(address: str) -> str:
    """An address as a client: of IPv6 the first 64 bits, since one host has as many addresses as it likes."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
