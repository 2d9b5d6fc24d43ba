"""The signals that the bootstrap process heeds, and how they wait until it can. Imports nothing that takes its time."""

from __future__ import annotations

import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def hold_back() -> None:
    """Until there is a launcher: by themselves they end a process without a word, and to a container's first process
    the kernel does not even bring them, so that a stop is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def let_come() -> None:
    """Those that have waited are heeded at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
