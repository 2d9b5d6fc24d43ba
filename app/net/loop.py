"""A worker's event loop: eventlet's hub, plus deadlines and greenlets that cost little a request.

Made in the worker, after the fork: a hub holds an epoll descriptor, which processes must not share.
Everything here runs in one thread. A hub callback never blocks; a greenlet may, by `Waiter`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

from eventlet import hubs
from eventlet.hubs import hub as base
from greenlet import getcurrent, greenlet

from app.errors import ClientGone

LOG = logging.getLogger(__name__)

READ: str = base.READ
WRITE: str = base.WRITE

TICK = 0.1
"""Seconds between two looks at the deadlines: one timer for all, since one each costs 2 to 4 us a request."""

SPARE_GREENLETS = 256
"""Greenlets kept for the next requests: a new one costs an mmap and a munmap on CPython 3.11."""

NO_MEMORY = os.EX_OSERR
"""The exit status of a process that ends for want of memory."""

T = TypeVar("T")


class Timed(Protocol):
    """What has a deadline, on `time.monotonic`'s clock, and is told when it has passed."""

    deadline: float

    def expire(self) -> None: ...


class _TooLateError(Exception):
    """A wait has taken as long as it may."""


class Loop:
    """The hub of this process, one wheel of deadlines and a pool of greenlets."""

    def __init__(self) -> None:
        self.hub = hubs.get_hub()
        self.timed: set[Timed] = set()
        self.every_tick: list[Callable[[float], None]] = []
        self.lag = 0.0
        """Seconds by which the last tick came too late."""
        self.greenlets = 0
        """Those that run functions, or wait for the next."""
        self._spare: list[greenlet] = []
        self._due = time.monotonic() + TICK
        self._squelch, self.hub.squelch_exception = self.hub.squelch_exception, self._failed
        self.hub.squelch_timer_exception = self._timer_failed
        self.hub.schedule_call_global(TICK, self._tick)

    def listen(self, event: str, fileno: int, callback: Callable[[int], object]) -> object:
        """Call `callback(fileno)` from the hub whenever the descriptor is ready; ends by `forget`."""
        return self.hub.add(event, fileno, callback, _ignore, _ignore)

    def forget(self, listener: object) -> None:
        """End a `listen`, before its descriptor is closed."""
        self.hub.remove(listener)

    def later(self, seconds: float, function: Callable[..., object], *arguments: object) -> None:
        """Call a function that does not block, from the hub, after so many seconds."""
        self.hub.schedule_call_global(seconds, function, *arguments)

    def run(self, function: Callable[[T], object], argument: T) -> None:
        """Run `function(argument)` in a greenlet, at once, until it ends or first blocks. From the hub only."""
        if self._spare:
            self._spare.pop().switch(function, argument)
        else:
            made = greenlet(self._work, self.hub.greenlet)
            self.greenlets += 1
            made.switch([(function, argument)])

    def give_way(self) -> None:
        """From a greenlet: let the hub run until somebody switches back. As eventlet's `switch`, less what it looks for
        at each: a greenlet of this loop's has the hub for its parent."""
        hub = self.hub.greenlet
        if getcurrent().parent is hub and not hub.dead:
            hub.switch()
        else:
            self.hub.switch()

    def gather(self, functions: Sequence[Callable[[], T]], at_once: int, seconds: float) -> list[T | None]:
        """Run all in greenlets, at most `at_once` together, and return their results in order.

        After `seconds` those that have not ended give None; they end by themselves, and no more are started, as when
        a greenlet is thrown out of this wait. The first error of one is raised once the wait is over.
        """
        results: dict[int, T] = {}
        errors: list[Exception] = []
        waiting = list(enumerate(functions))[::-1]
        waiter = Waiter(self)

        def work(_: None) -> None:
            while waiting:
                index, function = waiting.pop()
                try:
                    results[index] = function()
                except Exception as error:  # raised where the results are waited for
                    errors.append(error)
            if len(results) + len(errors) == len(functions):
                self.later(0, waiter.wake)

        for _ in range(min(at_once, len(functions))):
            self.later(0, self.run, work, None)
        try:
            if functions:
                waiter.wait(seconds, _TooLateError())
        except _TooLateError:
            pass
        finally:
            waiting.clear()
        if errors:
            raise errors[0]
        return [results.get(index) for index in range(len(functions))]

    def _work(self, first: list[tuple[Callable[[Any], object] | None, Any]]) -> None:
        """`first` is emptied: a greenlet holds what it was begun with for as long as it lives, a request's head and
        body among it."""
        function, argument = first.pop()
        while function is not None:
            try:
                function(argument)
            except ClientGone:
                pass
            except Exception:  # the edge of a greenlet: nobody is above who could handle it
                LOG.exception("a request's greenlet failed")
            function = argument = None
            if len(self._spare) < SPARE_GREENLETS:
                self._spare.append(getcurrent())
                function, argument = self.hub.greenlet.switch()
        self.greenlets -= 1

    def _failed(self, fileno: int, error: Any) -> None:
        """From the hub: a callback has failed, so that its descriptor will not be listened to any more."""
        if issubclass(error[0], MemoryError):
            end_without_memory()
        self._squelch(fileno, error)

    def _timer_failed(self, _: object, error: Any) -> None:
        if issubclass(error[0], MemoryError):
            end_without_memory()
        LOG.error("a timer failed", exc_info=error)

    def _tick(self) -> None:
        self.hub.schedule_call_global(TICK, self._tick)
        now = time.monotonic()
        self.lag, self._due = max(now - self._due, 0.0), now + TICK
        for timed in [timed for timed in self.timed if timed.deadline <= now]:
            if timed in self.timed:  # the end of an earlier one may have ended it
                timed.expire()
        for callback in self.every_tick:
            callback(now)


class Waiter:
    """Lets one greenlet wait for what a hub callback brings, up to a deadline."""

    __slots__ = ("_error", "_greenlet", "_loop", "deadline")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._greenlet: greenlet | None = None
        self._error: BaseException | None = None
        self.deadline = 0.0

    @property
    def waiting(self) -> bool:
        return self._greenlet is not None

    def wait(self, seconds: float | None = None, error: BaseException | None = None) -> None:
        """Block this greenlet until `wake`; after `seconds`, if given, raise `error` instead."""
        self._greenlet = getcurrent()
        if seconds is not None:
            self._error = error
            self.deadline = time.monotonic() + seconds
            self._loop.timed.add(self)
        try:
            self._loop.give_way()
        finally:
            self._greenlet = self._error = None
            if seconds is not None:
                self._loop.timed.discard(self)

    def within(self, seconds: float) -> bool:
        """Block this greenlet until `wake`, or for so many seconds; whether it was woken."""
        try:
            self.wait(seconds, _TooLateError())
        except _TooLateError:
            return False
        return True

    def wake(self) -> None:
        """Go on with the waiting greenlet, if there is one. From the hub only."""
        if self._greenlet is not None:
            self._greenlet.switch()

    def throw(self, error: BaseException) -> None:
        """Raise an error in the waiting greenlet, if there is one. From the hub only."""
        if self._greenlet is not None:
            self._greenlet.throw(error)

    def expire(self) -> None:
        self.throw(self._error or TimeoutError())

    def writable(self, fileno: int, seconds: float, error: BaseException) -> None:
        """Wait until the descriptor takes bytes; after `seconds` raise `error`."""
        listener = self._loop.listen(WRITE, fileno, lambda _: self.wake())
        try:
            self.wait(seconds, error)
        finally:
            self._loop.forget(listener)

    def readable(self, fileno: int, seconds: float, error: BaseException) -> None:
        """Wait until the descriptor has bytes; after `seconds` raise `error`."""
        listener = self._loop.listen(READ, fileno, lambda _: self.wake())
        try:
            self.wait(seconds, error)
        finally:
            self._loop.forget(listener)


def end_without_memory() -> NoReturn:
    """What failed for want of memory may have been the listening socket's, or have had somebody to wake, and more will:
    this process ends, which gives back what it holds, and is replaced."""
    try:
        LOG.critical("this process has no memory left, and ends")
    finally:
        os._exit(NO_MEMORY)


def _ignore(*_: object) -> None:
    """For the hub's calls that this loop has no use for."""
