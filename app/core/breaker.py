"""When a plugin is left alone, and when it is tried again: a circuit breaker (rule 18).

Rules only: no clock of its own, every call gets `now`, in seconds of a clock that all workers share and that never
goes back. What a worker counts is its own; what it finds, open or closed, is all workers' (`app.core.circuits`), and
so are the places of the probes. A request's outcome counts for the state in which it was let through, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from app.core.circuits import FIRST_PLACE, KEY, LEVELS, STATE, Circuits, microseconds

CLOSED, HALF_OPEN, OPEN = range(3)
"""As the metric `multicloud_circuit_state` has them."""

PROVEN = -1
"""In a probe's place: it was answered. Else the time until which it is taken, and 0 before the first."""


@dataclass(frozen=True, slots=True)
class Breaking:
    """What opens a circuit: failures in a row, or their percentage of at least `minimum` requests within `window`
    seconds; 0: never. For how many seconds: `first`, twice as long each time it fails again, at most `longest`.
    Then `probes` requests have to be answered, at most as many at once."""

    failures: int
    percent: int
    window: float
    minimum: int
    first: float
    longest: float
    probes: int

    def backoff(self, level: int) -> float:
        """Seconds for which a circuit is opened for the `level`th time in a row, at most."""
        return min(self.first * 2.0 ** (level - 1), self.longest)


class Passed(NamedTuple):
    """A request that was let through: in which state, and at which probe's place, until when; -1 for no probe."""

    state: int
    place: int = -1
    until: int = 0


class Change(NamedTuple):
    """A circuit has become open for so many seconds, for a reason, half-open or closed."""

    state: int
    seconds: float = 0.0
    why: str = ""


class Tally:
    """What became of one worker's requests of late. The window slides: its last length counts by what is not over."""

    __slots__ = ("_end", "_failed", "_failed_before", "_total", "_total_before", "in_a_row")

    def __init__(self) -> None:
        self.in_a_row = 0
        self._end = 0.0
        self._failed = self._total = 0
        self._failed_before = self._total_before = 0

    def good(self, now: float, window: float) -> None:
        if now >= self._end:
            self._slide(now, window)
        self._total += 1
        self.in_a_row = 0

    def bad(self, now: float, settings: Breaking) -> str:
        """Count a failure; why it is one too many, empty if it is not."""
        if now >= self._end:
            self._slide(now, settings.window)
        self._total += 1
        self._failed += 1
        self.in_a_row += 1
        if settings.failures and self.in_a_row >= settings.failures:
            return f"{self.in_a_row} requests in a row failed"
        part = (self._end - now) / settings.window
        total = self._total + self._total_before * part
        percent = 100 * (self._failed + self._failed_before * part) / total
        if settings.percent and total >= settings.minimum and percent >= settings.percent:
            return f"{percent:.0f}% of {total:.0f} requests failed"
        return ""

    def _slide(self, now: float, window: float) -> None:
        follows = now < self._end + window
        self._failed_before, self._total_before = (self._failed, self._total) if follows else (0, 0)
        self._failed = self._total = 0
        self._end = self._end + window if follows else now + window


class Breaker:
    """One worker's view of a circuit."""

    __slots__ = ("_circuits", "_key", "_passed", "_row", "_tally", "_tried")

    def __init__(self, circuits: Circuits, key: int, now: float) -> None:
        self._circuits = circuits
        self._key = key
        self._row = circuits.find(key, now)
        self._passed = Passed(-1)
        self._tally = Tally()
        self._tried = 0

    def admit(self, now: float, settings: Breaking) -> Passed | None:
        """Let a request through, in the end to be told to `good`, `bad` or `gone`; None: it is not to be sent."""
        word = self._word(now)
        if word == self._passed.state:
            return self._passed
        if not word & LEVELS:
            self._passed, self._tally = Passed(word), Tally()
            return self._passed
        return None if word >> 8 > microseconds(now) else self._probe(word, now, settings)

    def state(self, now: float) -> int:
        word = self._word(now)
        if not word & LEVELS:
            return CLOSED
        return OPEN if word >> 8 > microseconds(now) else HALF_OPEN

    def wait(self, now: float) -> float:
        """Seconds until a request may be let through again; 0 unless the circuit is open."""
        word = self._word(now)
        return max((word >> 8) / 1e6 - now, 0.0) if word & LEVELS else 0.0

    def good(self, passed: Passed, now: float, settings: Breaking) -> Change | None:
        """The plugin has answered."""
        row = self._row
        words = self._circuits.words
        if words[row + STATE] != passed.state:
            return None
        if passed.place < 0:
            self._tally.good(now, settings.window)
            return None
        words[passed.place] = PROVEN
        if not self._proven(settings):
            return None
        self._circuits.put(row, now, 0)
        return Change(CLOSED)

    def bad(self, passed: Passed, now: float, settings: Breaking, jitter: float) -> Change | None:
        """The plugin has failed. `jitter`, from 0 to 1, shortens the time for which it is left alone by up to half:
        several brokers do not try it all at once."""
        if self._circuits.words[self._row + STATE] != passed.state:
            return None
        probe = passed.place >= 0
        why = "it failed when it was tried again" if probe else self._tally.bad(now, settings)
        if not why:
            return None
        level = min((passed.state & LEVELS) + 1, LEVELS)
        seconds = settings.backoff(level) * (1 - jitter / 2)
        self._circuits.put(self._row, now + seconds, level)
        return Change(OPEN, seconds, why)

    def gone(self, passed: Passed) -> None:
        """A request has ended in a way that says nothing about the plugin: if it was a probe, another may be one."""
        if passed.place >= 0 and self._circuits.words[passed.place] == passed.until:
            self._circuits.words[passed.place] = 0

    def tried(self, passed: Passed) -> bool:
        """Whether this is the first probe since the circuit was opened, of this worker."""
        first = passed.place >= 0 and passed.state != self._tried
        if first:
            self._tried = passed.state
        return first

    def _word(self, now: float) -> int:
        words = self._circuits.words
        if words[self._row + KEY] != self._key:  # the row was closed, and another circuit needed one
            self._row = self._circuits.find(self._key, now)
        return words[self._row + STATE]

    def _probe(self, word: int, now: float, settings: Breaking) -> Passed | None:
        """A place is taken for `longest` seconds at most: neither a worker that is killed nor a plugin that hangs may
        hold one for ever."""
        words, first = self._circuits.words, self._row + FIRST_PLACE
        for place in range(first, first + settings.probes):
            if 0 <= words[place] <= microseconds(now):
                until = words[place] = microseconds(now + settings.longest)
                return Passed(word, place, until)
        if not self._proven(settings):
            return None
        # nobody is left to close it: fewer are asked for since a reload, or who had the last answer was killed with it
        self._circuits.put(self._row, now, 0)
        return self.admit(now, settings)

    def _proven(self, settings: Breaking) -> bool:
        """Whether as many probes were answered as have to be."""
        words, first = self._circuits.words, self._row + FIRST_PLACE
        return all(words[place] == PROVEN for place in range(first, first + settings.probes))
