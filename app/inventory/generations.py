"""Which of the workers' remembered regions are out of date: a table in memory that all of them share.

A registration reaches one worker, and all of them have to forget the region (contract, section 1).
"""

from __future__ import annotations

import mmap
import time
from zlib import crc32

from app.core.region import Region

ROWS = 4096
"""Regions of the same row are forgotten together, which costs a look-up and no more."""


class Generations:
    """For each region a number that changes whenever the region may have; made before the fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROWS * 8)
        self._words = memoryview(self._memory).cast("q")

    def of(self, region: Region) -> int:
        return self._words[crc32(region.vim_id.encode()) % ROWS]

    def advance(self, region: Region) -> None:
        """A time, not a count: of two processes that do it at once neither undoes the other's."""
        self._words[crc32(region.vim_id.encode()) % ROWS] = time.monotonic_ns()
