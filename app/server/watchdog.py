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


def heaviest(resident: Mapping[int, int], most: int) -> int | None:
    """Of processes by their bytes in memory the one that is furthest above `most`; None: none is."""
    slot = max(resident, key=resident.__getitem__, default=None)
    return slot if slot is not None and resident[slot] > most else None
