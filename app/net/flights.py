"""Calls in greenlets of their own, one for each key: who asks for what is under way already waits for that.

Unlike with `SingleFlight` nobody who waits makes the call: all may leave, after any time, and it goes on.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, cast

from app.net.loop import Loop, Waiter

LOG = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Flight(Generic[V]):
    """A call that is under way, in line, or has ended."""

    def __init__(self, loop: Loop, function: Callable[[], V], left_alone: Callable[[], None]) -> None:
        """`left_alone` is called when nobody waits any more for one that is in line."""
        self.begun = False
        self.ended = False
        self._loop = loop
        self._function = function
        self._left_alone = left_alone
        self._waiters: list[Waiter] = []
        self._value: V | None = None
        self._succeeded = False

    def begins(self, seconds: float) -> bool:
        """Whether it begins within so many seconds."""
        return self._wait(lambda: self.begun, seconds)

    def ends(self, seconds: float | None = None) -> bool:
        """Whether it ends within so many seconds; None: it does."""
        return self._wait(lambda: self.ended, seconds)

    def result(self) -> V:
        """Once it has ended. Raises `RuntimeError` if the call failed, which it should not."""
        if not self._succeeded:
            raise RuntimeError("a call in the background failed; the log says why")
        return cast("V", self._value)

    def fly(self) -> None:
        """In its greenlet."""
        try:
            self._value = self._function()
            self._succeeded = True
        except Exception:  # the edge of a greenlet: those who wait are told, without its traceback
            LOG.exception("a call in the background failed")
        finally:
            self.ended = True
            self.wake()

    def wake(self) -> None:
        """Let all who wait look what has changed."""
        for waiter in self._waiters:
            self._loop.later(0, waiter.wake)

    def _wait(self, reached: Callable[[], bool], seconds: float | None) -> bool:
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        waiter = Waiter(self._loop)
        self._waiters.append(waiter)
        try:
            while not reached() and waiter.within(deadline - time.monotonic()):
                pass
        finally:
            self._waiters.remove(waiter)
            if not self.begun and not self._waiters:
                self._left_alone()
        return reached()


class Flights(Generic[K, V]):
    """Of one worker: at most `at_once()` calls are under way, the others wait in line."""

    def __init__(self, loop: Loop, at_once: Callable[[], int]) -> None:
        self._loop = loop
        self._at_once = at_once
        self._flights: dict[K, Flight[V]] = {}
        self._line: dict[K, Flight[V]] = {}
        self._busy = 0

    @property
    def waiting(self) -> int:
        """How many calls are in line."""
        return len(self._line)

    def join(self, key: K, function: Callable[[], V]) -> Flight[V]:
        """The call for a key; `function` handles its own errors. Whoever asked for it is to wait for it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight(self._loop, function, lambda: self._withdraw(key))
            self._line[key] = flight
            self._begin()
        return flight

    def spare(self, key: K, function: Callable[[], V]) -> bool:
        """The same for what nobody waits for; whether it was begun: half of all calls are for those who wait."""
        if key in self._flights or self._busy >= (self._at_once() + 1) // 2:
            return False
        self.join(key, function)
        return True

    def _begin(self) -> None:
        while self._line and self._busy < self._at_once():
            key = next(iter(self._line))
            flight = self._line.pop(key)
            self._busy += 1
            flight.begun = True
            flight.wake()
            self._loop.later(0, self._loop.run, self._fly, key)

    def _fly(self, key: K) -> None:
        try:
            self._flights[key].fly()
        finally:
            del self._flights[key]
            self._busy -= 1
            self._begin()

    def _withdraw(self, key: K) -> None:
        del self._flights[key]
        del self._line[key]
