"""Which plugins are left alone, known to all workers: a table in memory that they share.

One circuit a row: its key, one word for its state, and the places of its probes. Every worker may write them, without
a lock that one which is killed could leave behind: a word is replaced as a whole, and of two that do it at once either
tells the truth. What of a dead worker is left is a time that passes.
"""

from __future__ import annotations

import mmap
from collections.abc import Hashable

ROWS = 512
PLACES = 10
KEY, STATE, FIRST_PLACE = range(3)
WIDTH = FIRST_PLACE + PLACES

LEVELS = 255
"""The lower byte of a state's word: how often in a row a circuit was opened, 0 for a closed one."""


class Circuits:
    """The table. Made before the fork."""

    def __init__(self) -> None:
        self.words = memoryview(mmap.mmap(-1, ROWS * WIDTH * 8)).cast("q")

    def find(self, key: int, now: float) -> int:
        """Where a key's row begins; a new key gets one, if need be that of a circuit which is closed. No two share
        one: with more than `ROWS` open circuits the one whose time was over first is forgotten, so that its plugin is
        tried again. Mostly it is one that nobody has tried since: a reload has taken it out of the map."""
        words, home = self.words, key % ROWS
        closed: int | None = None
        for number in range(home, home + ROWS):
            row = number % ROWS * WIDTH
            if words[row + KEY] == key:
                return row
            if not words[row + KEY]:
                closed = row
                break
            if closed is None and not words[row + STATE] & LEVELS:
                closed = row
        row = min(range(0, ROWS * WIDTH, WIDTH), key=lambda row: words[row + STATE]) if closed is None else closed
        self.put(row, now, 0)
        words[row + KEY] = key
        return row

    def put(self, row: int, time: float, level: int) -> int:
        """Replace a circuit's state: open until a time, or with level 0 closed since then. Returns the word."""
        words = self.words
        for place in range(row + FIRST_PLACE, row + WIDTH):
            words[place] = 0
        word = words[row + STATE] = microseconds(time) << 8 | level
        return word


def microseconds(seconds: float) -> int:
    """As the words hold times, which leaves room for a level, whatever a machine's uptime."""
    return int(seconds * 1e6)


def key_of(*parts: Hashable) -> int:
    """The same in all workers, since they are forked; never 0, which is no key."""
    return hash(parts) & (1 << 63) - 1 or 1
