"""When a process that is silent has its stacks taken, and when it is killed. Rules only: knows no process, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

AHEAD = 1.0
"""Seconds before its end at which a silent process is asked for its stacks; of a short time-out a quarter."""

GAP = 1.0
"""Seconds between two looks after which it is we who have not run: a machine that was suspended, a container that was
stopped, a process that was traced. Nobody could have been heard meanwhile."""


class Verdict(Enum):
    NONE = "nothing to do"
    ASK = "ask it for its stacks"
    RECOVERED = "it is heard again"
    KILL = "kill it"


@dataclass
class Watch:
    """Of one process. All times in seconds on one monotonic clock."""

    since: float
    """Silence counts from here at the earliest."""
    asked: bool = False

    def look(self, now: float, heard: float, timeout: float) -> Verdict:
        """What calls for being done about a process that was last heard at `heard`; `timeout` 0: nothing ever."""
        if not timeout:
            return Verdict.NONE
        silent = now - max(heard, self.since)
        if silent >= timeout:
            return Verdict.KILL
        suspicious = silent >= timeout - min(AHEAD, timeout / 4)
        if suspicious == self.asked:
            return Verdict.NONE
        self.asked = suspicious
        return Verdict.ASK if suspicious else Verdict.RECOVERED


class Looks:
    """Tells when the one who looks has not run for a while."""

    def __init__(self, now: float) -> None:
        self._last = now

    def late(self, now: float) -> bool:
        last, self._last = self._last, now
        return now - last > GAP


GROWTH = 1.5
"""Times what it held as it began to serve that a worker may hold at least, whatever the bound: the next one would hold
as much at once, and to replace it is to cut what takes longer than the grace period."""


def bound(fresh: int, most: int) -> int:
    """Bytes beyond which a worker is replaced that began to serve with `fresh`, and is to have `most` at most."""
    return max(most, int(fresh * GROWTH))


def heaviest(resident: Mapping[int, int], bounds: Mapping[int, int]) -> int | None:
    """Of processes by their bytes in memory the one that is furthest above its bound; None: none is."""
    above = {slot: held - bounds[slot] for slot, held in resident.items() if held > bounds[slot]}
    return max(above, key=above.__getitem__, default=None)
