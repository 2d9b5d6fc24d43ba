"""When a process that has ended is started again: at once, and in a crash loop ever later. Knows no process."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from app.net.loop import NO_MEMORY

LIVED = 10.0
"""Seconds after which the end of a process says nothing of how the next one will fare."""

AT_ONCE = 3
"""Ends in a row, each of them early, after which the next process still starts at once: whoever kills one twice is no
crash loop."""

FIRST = 0.1
LONGEST = 10.0
"""Seconds to wait after the first early end that is one too many, and at most; each time twice as long."""


@dataclass
class Backoff:
    """Of one place: how often in a row its process has ended early."""

    early: int = 0

    def ended(self, lived: float) -> float:
        """The process has ended after so many seconds; returns the seconds after which the next one may start."""
        if lived >= LIVED:
            self.early = 0
            return 0.0
        self.early += 1
        beyond = self.early - AT_ONCE
        return 0.0 if beyond <= 0 else min(FIRST * 2 ** min(beyond - 1, 16), LONGEST)


def how(status: int) -> str:
    """How a process has ended, by its wait status, in words."""
    if not os.WIFSIGNALED(status):
        return f"exited with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"was killed by {name}"


def hint(status: int) -> str:
    """What may be the reason, where the status tells too little."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return " (perhaps for want of memory: see worker_memory_max, and the container's limit)"
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS:
        return " (perhaps its metrics' directory is full)"
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NO_MEMORY:
        return " (for want of memory: see worker_memory_max, and its limits)"
    return ""
