"""What a process does right after its fork: it ends with its parent, and its signals wake its hub."""

from __future__ import annotations

import ctypes
import os
import signal

from eventlet.greenio import GreenPipe

LIBC = ctypes.CDLL(None)

PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def end_with(parent: int) -> None:
    """Be killed when the parent ends, whatever this process is at.

    Not told to drain: one that is stalled or stopped would heed no word and hold the port for ever, a supervisor that
    starts the broker again needs the port at once, and nobody would be there to end a drain that takes too long.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:  # it has ended before it could be told of
        os._exit(1)


def noted(*_: object) -> None:
    """A handler must be there for a signal to reach the wake-up descriptor; it never raises."""


def wakeups() -> GreenPipe:
    """The numbers of this process's signals, a byte each."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return GreenPipe(readable, "rb", 0)
