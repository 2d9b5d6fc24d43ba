"""CPU work in threads, so that the loop goes on: few at once, and each client in its turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from eventlet import tpool

from app.errors import Unavailable
from app.net.loop import Loop, Waiter

T = TypeVar("T")

BUSY = "The broker verifies as many passwords as it can; send this request again later."


class _Job:
    __slots__ = ("begun", "function", "outcome", "waiter")

    def __init__(self, function: Callable[[], Any], waiter: Waiter) -> None:
        self.function = function
        self.waiter = waiter
        self.begun = False
        self.outcome: tuple[Any, Exception | None] | None = None


class Offload:
    """Of one worker: `at_once` threads of the pool that name look-ups use too, so keep it far below that (20).

    At most `waiting` jobs of a client wait, each for `seconds`; clients are served in turn, so that one that asks for
    much delays another by a job, not by all of its own.
    """

    def __init__(self, loop: Loop, at_once: int, waiting: int, seconds: float) -> None:
        self._loop = loop
        self._at_once = at_once
        self._waiting = waiting
        self._seconds = seconds
        self._busy = 0
        self._queues: OrderedDict[str, deque[_Job]] = OrderedDict()

    def run(self, function: Callable[[], T], client: str) -> T:
        """The result, or the error, of `function`, which must release the GIL.

        Raises `Unavailable`. Whoever leaves before, its thread stays taken until the function ends.
        """
        queue = self._queues.setdefault(client, deque())
        if len(queue) >= self._waiting:
            raise Unavailable(BUSY)
        job = _Job(function, Waiter(self._loop))
        queue.append(job)
        if self._busy < self._at_once:
            self._busy += 1
            self._loop.later(0, self._loop.run, self._work, None)
        try:
            job.waiter.wait(self._seconds, Unavailable(BUSY))
        finally:
            if not job.begun:
                self._withdraw(client, job)
        value, error = cast("tuple[T, Exception | None]", job.outcome)
        if error is not None:
            raise error
        return value

    def _work(self, _: None) -> None:
        """In a greenlet of its own: jobs, until there are none."""
        try:
            while self._queues:
                job = self._next()
                job.outcome = tpool.execute(_attempt, job.function)
                self._loop.later(0, job.waiter.wake)
        finally:
            self._busy -= 1

    def _next(self) -> _Job:
        client, queue = self._queues.popitem(last=False)
        job = queue.popleft()
        if queue:
            self._queues[client] = queue
        job.begun = True
        return job

    def _withdraw(self, client: str, job: _Job) -> None:
        queue = self._queues[client]
        queue.remove(job)
        if not queue:
            del self._queues[client]


def _attempt(function: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return function(), None
    except Exception as error:  # raised where the result is waited for
        return None, error
