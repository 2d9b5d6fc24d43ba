"""The metrics library's files with every page allocated before it is written to.

The library makes files with holes. On a file system that is full (a small container's /dev/shm) the first write to a
hole ends the process by SIGBUS, and its successor with the next new label. Here what has no room is kept in the
worker's memory alone, where each value is whole, and gets into the file with its first change after there is room.
"""

from __future__ import annotations

import logging
import mmap
import os

from prometheus_client.mmap_dict import MmapedDict

LOG = logging.getLogger(__name__)

SIZE = 1 << 16
"""Bytes of a new file; the library doubles it when it is full."""

SCRATCH = 16
"""Bytes at a file's end, beyond what is read, where values without room are written."""

LARGEST = 28
"""Bytes that an entry has at most beside its key."""


class _Positions(dict[str, int]):
    """Where each value is in the file; `scratch` for those that have no room."""

    scratch = 0

    def __missing__(self, key: str) -> int:
        return self.scratch


class Allocated(MmapedDict):
    """Raises `OSError` where not even a new file has room."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._told = False
        _allocate(filename)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        self._places = self._positions = _Positions(self._positions)
        self._places.scratch = self._capacity - SCRATCH

    def read_value(self, key: str) -> tuple[float, float]:
        """What a former worker of the slot has left of a value; none where there is no room for it."""
        value: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
        return value if key in self._positions else (0.0, 0.0)

    def _init_value(self, key: str) -> None:
        """Called for each value that is not in the file yet."""
        needed = self._used + len(key.encode()) + LARGEST + SCRATCH
        if needed <= self._capacity or self._grow():
            super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> bool:
        """To twice the size, if there is room."""
        try:
            os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
        except OSError as error:
            if not self._told:
                LOG.error("metrics are incomplete until there is room for %s: %s", self._fname, error.strerror)
            self._told = True
            return False
        self._told = False
        self._capacity *= 2
        self._m = mmap.mmap(self._f.fileno(), self._capacity)
        self._places.scratch = self._capacity - SCRATCH
        return True


def _allocate(filename: str) -> None:
    """A file's pages, of a new one or of one that a former worker has left; without room there is none afterwards."""
    with open(filename, "ab") as file:
        size = max(os.fstat(file.fileno()).st_size, SIZE)
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            if not file.tell():
                os.unlink(filename)
            raise
