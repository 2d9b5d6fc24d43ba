"""What several processes find out each for itself, as that a file has changed, is logged by the first of them."""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import time
from hashlib import blake2b

ROWS = 64
"""Lines remembered: more than one reload tells."""

TRIES = 20
PAUSE = 0.0002
"""Seconds between two tries to lock the table. Who does not get it, since the one that has it is stopped, logs all the
same: a line that is there twice is better than a worker that waits."""


class Once:
    """The table, in memory that processes share; made before the fork.

    It is locked by `lockf` (fcntl(2)), since such a lock is a process's own and ends with it.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("once")
        os.ftruncate(self._file, (2 + ROWS) * 8)
        memory = mmap.mmap(self._file, (2 + ROWS) * 8)
        self._words = memoryview(memory).cast("q")

    def begin_round(self) -> None:
        """What was logged before may be logged again: somebody has asked for it. In the bootstrap process."""
        self._words[0] += 1

    def log(self, logger: logging.Logger, level: int, message: str, *key: object) -> None:
        """Log a line, at DEBUG if any process has logged one before in this round for an equal `key`, which is the
        line itself where none is given."""
        logger.log(level if self._is_first(key or (message,)) else logging.DEBUG, "%s", message)

    def _is_first(self, key: tuple[object, ...]) -> bool:
        text = repr((self._words[0], key)).encode()
        digest = int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)
        locked = self._lock()
        try:
            if digest in self._words[2:].tolist():
                return False
            self._words[2 + self._words[1] % ROWS] = digest
            self._words[1] += 1
            return True
        finally:
            if locked:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        for _ in range(TRIES):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(PAUSE)
            else:
                return True
        return False
