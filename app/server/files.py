"""The limit of open files, and what part of it is for clients' connections."""

from __future__ import annotations

import resource

MOST = 1 << 20
"""No worker needs more, and some systems' hard limit is no limit at all."""

OWN = 64
"""Descriptors of a worker's own: its hub, its listener, logs, metrics, shared memory."""


def raise_limit() -> int:
    """Raise this process's limit, and that of those it forks, to what it may be; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def connections(most: int) -> int:
    """How many connections a worker may hold: `most`, or two thirds of its descriptors; the rest is for plugins."""
    return max(1, min(most, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OWN) * 2 // 3))
