"""A function in a greenlet of its own, once at a time: who waits for its end may leave, and it goes on."""

from __future__ import annotations

from collections.abc import Callable

from app.net.loop import Loop, Waiter


class Background:
    """Runs `function`, which handles its own errors."""

    def __init__(self, loop: Loop, function: Callable[[], None]) -> None:
        self._loop = loop
        self._function = function
        self._waiters: list[Waiter] = []
        self.running = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    def begin(self) -> None:
        """Start it soon, unless it runs; from any greenlet."""
        if not self.running:
            self.running = True
            self._loop.later(0, self._loop.run, self._run, None)

    def wait(self, seconds: float, error: Exception) -> None:
        """Until it ends; after `seconds` raise `error`."""
        waiter = Waiter(self._loop)
        self._waiters.append(waiter)
        try:
            waiter.wait(seconds, error)
        finally:
            self._waiters.remove(waiter)

    def _run(self, _: None) -> None:
        try:
            self._function()
        finally:
            self.running = False
            for waiter in self._waiters:
                self._loop.later(0, waiter.wake)
