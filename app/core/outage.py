"""Whether somebody who is asked about many things is out of order altogether: no clock, no asking."""

from __future__ import annotations

from collections.abc import Hashable

DIFFERENT = 3
"""Things that fail one after the other, with nothing that succeeds between them, before it is no longer asked: one
region that an inventory always fails for says nothing of the others."""

WINDOW = 60.0
"""Seconds for which a failure counts."""


class Outage:
    """Told of each question's outcome. Times in seconds, of any clock that only goes forward."""

    def __init__(self) -> None:
        self.doubted = False
        """Whether the last question failed, or one takes long: what is remembered is then better than a wait."""
        self._failed: dict[Hashable, float] = {}
        self._until = 0.0
        self._probing = False

    def left(self, now: float) -> float:
        """Seconds for which nobody else needs to ask; 0: ask."""
        if len(self._failed) < DIFFERENT:
            return 0.0
        return max(self._until - now, 1.0 if self._probing else 0.0)

    def may_ask(self, now: float) -> bool:
        """Before each question: in an outage one at a time is asked, once its time is over."""
        if self.left(now):
            return False
        self._probing = len(self._failed) >= DIFFERENT
        return True

    def slow(self) -> None:
        """A question takes longer than it should."""
        self.doubted = True

    def answered(self) -> None:
        self.doubted = self._probing = False
        self._failed.clear()

    def failed(self, thing: Hashable, now: float, pause: float) -> None:
        """A question about a thing; in an outage the next one is asked after `pause` seconds, if that is not 0."""
        self.doubted, self._probing = True, False
        self._until = now + pause
        if pause and len(self._failed) < DIFFERENT:
            self._failed = {one: at for one, at in self._failed.items() if at > now - WINDOW}
            self._failed[thing] = now
