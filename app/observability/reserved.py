"""The files of metrics, with their memory reserved.

The library makes them sparse, and a page that cannot be had when it is first touched is no error but SIGBUS, which ends
the process: on a full tmpfs every worker, at each request that counts something new. Here what is written was reserved
before, and what finds no room is held back by its owner, who knows its value, until there is. To be imported after
`metrics.prepare` only, as the library itself.

A value is one of a worker's one thread, and its place in the file is looked up once: the library's takes a lock, looks
for a fork and finds its place at each increment, of which a request makes three and a forwarded one six.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

from prometheus_client.mmap_dict import MmapedDict, mmap_key

LOG = logging.getLogger(__name__)

FIRST = 1 << 16
"""Bytes of a new file; the library's own number."""

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

    def place(self, key: str) -> tuple[memoryview[float], int] | None:
        """The doubles of the file, and which of them is the key's; None where there is no room. It stays the key's when
        the file grows, which maps it once more."""
        if key not in self._positions:
            if not self._fits(key):
                return None
            super().read_value(key)  # type: ignore[no-untyped-call]
        return memoryview(self._m).cast("d"), self._positions[key] // 8

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


class Value:
    """A metric's value, as the library's metrics hold it."""

    __slots__ = ("_cells", "_file", "_index", "_key", "_value")

    def __init__(self, file: ReservedDict, key: str) -> None:
        self._file = file
        self._key = key
        self._value = file.read_value(key)[0]
        self._cells: memoryview[float] | None = None
        self._index = 0
        self._place()

    def inc(self, amount: float) -> None:
        self.set(self._value + amount)

    def set(self, value: float, _: float | None = None) -> None:
        self._value = value
        if self._cells is not None:
            self._cells[self._index] = value
        else:
            self._place()

    def get(self) -> float:
        return self._value

    def _place(self) -> None:
        place = self._file.place(self._key)
        if place is not None:
            self._cells, self._index = place
            self._cells[self._index] = self._value


class Values:
    """The library's `ValueClass`: makes the values of one worker, in its files."""

    def __init__(self, directory: str, slot: int) -> None:
        self._directory = directory
        self._slot = slot
        self._files: dict[str, ReservedDict] = {}

    def __call__(
        self,
        kind: str,
        metric: str,
        name: str,
        labels: Sequence[str],
        values: Sequence[str],
        text: str,
        multiprocess_mode: str = "",
    ) -> Value:
        file = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        if file not in self._files:
            self._files[file] = ReservedDict(os.path.join(self._directory, f"{file}_{self._slot}.db"))
        return Value(self._files[file], mmap_key(metric, name, list(labels), list(values), text))


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
