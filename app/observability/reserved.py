"""The files of metrics, with their memory reserved.

The library makes them sparse, and a page that cannot be had when it is first touched is no error but SIGBUS, which ends
the process: on a full tmpfs every worker, at each request that counts something new. Here what is written was reserved
before, and what finds no room is held back by its owner, who knows its value, until there is. To be imported after
`metrics.prepare` only, as the library itself.
"""

from __future__ import annotations

import logging
import os
import struct
import time

from prometheus_client.mmap_dict import MmapedDict

LOG = logging.getLogger(__name__)

FIRST = 1 << 16
"""Bytes of a new file; the library's own number."""

PAIR = struct.Struct("dd").pack

RETRY = 10.0
"""Seconds until room is asked for again."""


class ReservedDict(MmapedDict):
    """A dict of doubles in a file (the library's), none of whose bytes is a hole."""

    def __init__(self, filename: str) -> None:
        self._retry_at = 0.0
        self._there = False
        self._fname = filename
        self._positions = {}
        self._used = self._capacity = 0
        self._open()

    def read_value(self, key: str) -> tuple[float, float]:
        if not (key in self._positions or self._fits(key)):
            return 0.0, 0.0
        value: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
        return value

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        position = self._positions.get(key)
        if position is not None:  # the library's own way, without a second look: it is done some ten times a request
            self._m[position : position + 16] = PAIR(value, timestamp)
        elif self._fits(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        if self._there:
            super().close()  # type: ignore[no-untyped-call]

    def _fits(self, key: str) -> bool:
        return self._open() and self._reserve(self._used + entry_size(key))

    def _open(self) -> bool:
        """Whether the file is there, and all of it reserved."""
        if not self._there and self._room(self._fname, FIRST):
            self._there = True
            super().__init__(self._fname)  # type: ignore[no-untyped-call]
        return self._there

    def _reserve(self, size: int) -> bool:
        """The library doubles the file until an entry fits."""
        capacity = self._capacity
        while size > capacity:
            capacity *= 2
        return capacity == self._capacity or self._room(self._fname, capacity)

    def _room(self, filename: str, size: int) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        try:
            reserve(filename, size)
        except OSError as error:
            if not self._retry_at:
                LOG.error("metrics.directory has no room (%s): what is new is not shown until it has", error.strerror)
            self._retry_at = time.monotonic() + RETRY
            return False
        if self._retry_at:
            self._retry_at = 0.0
            LOG.warning("metrics.directory has room again")
        return True


def entry_size(key: str) -> int:
    """Bytes of an entry: the key's length, the key, filled up to 8 bytes, the value and its time."""
    length = len(key.encode())
    return 4 + length + (8 - (length + 4) % 8) + 16


def reserve(filename: str, size: int) -> None:
    """At least so many bytes of a file; raises `OSError` where there is no room, and then leaves no file of its own."""
    with open(filename, "ab") as file:
        before = file.tell()
        try:
            os.posix_fallocate(file.fileno(), 0, max(size, before))
        except OSError:
            if not before:
                os.unlink(filename)
            raise
