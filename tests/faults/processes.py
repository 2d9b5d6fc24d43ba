"""The broker's own processes."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from tests.conftest import Process, children, until


def workers_of(broker: Process) -> list[int]:
    """The pids of those that serve, the youngest last."""
    told = [int(found[1]) for line in broker.lines if (found := re.search(r'"pid": (\d+), .*serves"', line))]
    alive = children(broker.popen.pid)
    return [pid for pid in told if pid in alive]


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until_replaced(broker: Process, gone: int) -> float:
    """Seconds until there are two workers again, none of which is the one that is gone."""
    began = time.monotonic()
    until(lambda: len(workers := workers_of(broker)) == 2 and gone not in workers)
    return time.monotonic() - began


def all_of(broker: Process) -> list[int]:
    """The pids of all its processes."""
    return [broker.popen.pid, *children(broker.popen.pid)]
