"""The stacks of a process that answers nobody: written by a signal's handler into memory that its parent reads.

faulthandler's handler is C and needs no loop that runs, nor one that runs Python: it tells of all threads. Where
Python still runs, or a regular expression, which looks for signals, the greenlets follow. Only files, lines and
functions are written, no values, so no secrets. What is compiled (docker/compile.py) has no frames, and is not told of.
"""

from __future__ import annotations

import faulthandler
import fcntl
import gc
import os
import signal
from collections import Counter
from contextlib import suppress
from types import FrameType

from greenlet import greenlet

ASK = signal.SIGUSR1

MOST_GREENLETS = 50
"""Different stacks of greenlets that are written; thousands may wait at the same place."""

DEEPEST = 100
"""Frames of a stack, as faulthandler has it."""

LONGEST = 262144
"""Bytes that are read of what a process has written."""


class Stacks:
    """Where one place's processes write their stacks, one after the other. Made before the fork."""

    def __init__(self) -> None:
        self._file = os.memfd_create("stacks")
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)

    def register(self) -> None:
        """In the child: from now on the signal `ASK` has the stacks written."""
        signal.signal(ASK, self._greenlets)
        faulthandler.register(ASK, file=self._file, all_threads=True, chain=True)

    def _greenlets(self, *_: object) -> None:
        with suppress(OSError):
            os.write(self._file, greenlets().encode())

    def take(self) -> str:
        """In the parent: what was written since the last time; empty when nothing was."""
        text = os.pread(self._file, LONGEST, 0).decode(errors="replace")
        os.ftruncate(self._file, 0)
        return text


def greenlets() -> str:
    """The stacks of all greenlets that wait, each with how many wait there."""
    waiting = [one.gr_frame for one in gc.get_objects() if isinstance(one, greenlet)]
    found = Counter(_stack(frame) for frame in waiting if frame is not None).most_common(MOST_GREENLETS)
    return "".join(f"\n{count} greenlets (most recent call first):\n{stack}" for stack, count in found)


def _stack(top: FrameType) -> str:
    frame: FrameType | None = top
    lines: list[str] = []
    while frame is not None and len(lines) < DEEPEST:
        lines.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}\n')
        frame = frame.f_back
    return "".join(lines)


def state(pid: int) -> str:
    """What a process is at, as the kernel has it; for those that write nothing."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            letter = file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "it is gone"
    return STATES.get(letter, f"it is in state {letter}")


STATES = {
    "R": "it runs",
    "S": "it sleeps",
    "D": "it waits for a disk",
    "T": "it is stopped",
    "t": "it is being traced",
    "Z": "it has ended",
}
"""proc(5)."""
