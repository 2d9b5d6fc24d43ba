"""CPU work in threads, so that the loop goes on: few at once, and each client in its turn."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from app.errors import Unavailable
from app.net.bell import Bell
from app.net.loop import Loop, Waiter

T = TypeVar("T")

NICE = 10
"""The threads yield to the loop's: on Linux each has a niceness of its own (nice(2)). With both CPUs busy by others a
probe's p99 was 15 to 25 ms while passwords were verified, and 28 to 89 without this."""

BUSY = "The broker verifies as many passwords as it can; send this request again later."
NO_THREAD = "The broker cannot verify passwords: the system gives it no thread; send this request again later."


class _Job:
    __slots__ = ("begun", "error", "function", "value", "waiter")

    def __init__(self, function: Callable[[], Any], waiter: Waiter) -> None:
        self.function = function
        self.waiter = waiter
        self.begun = False
        self.value: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        """In a thread."""
        try:
            self.value = self.function()
        except Exception as error:  # raised where the result is waited for
            self.error = error


class Offload:
    """Of one worker: `at_once` threads, of its own, so that name look-ups never wait for one.

    At most `waiting` jobs of a client wait, each for `seconds`; clients are served in turn, so that one that asks for
    much delays another by a job, not by all of its own.
    """

    def __init__(self, loop: Loop, at_once: int, waiting: int, seconds: float) -> None:
        self._loop = loop
        self._at_once = at_once
        self._waiting = waiting
        self._seconds = seconds
        self._queues: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._busy = 0
        self._threads = 0
        self._begun: SimpleQueue[_Job] = SimpleQueue()
        self._bell: Bell[_Job] = Bell(loop, self._ended)

    def run(self, function: Callable[[], T], client: str) -> T:
        """The result, or the error, of `function`, which must release the GIL.

        Raises `Unavailable`. Whoever leaves before, its thread stays taken until the function ends.
        """
        queue = self._queues.setdefault(client, deque())
        if len(queue) >= self._waiting:
            raise Unavailable(BUSY)
        job = _Job(function, Waiter(self._loop))
        queue.append(job)
        try:
            self._begin()
            if not self._threads:
                raise Unavailable(NO_THREAD)
            job.waiter.wait(self._seconds, Unavailable(BUSY))
        finally:
            if not job.begun:
                self._withdraw(client, job)
        if job.error is not None:
            raise job.error
        return cast("T", job.value)

    def _begin(self) -> None:
        """Hand over as many jobs as threads are free; a thread is made when it is first needed. Where the system gives
        none, jobs wait for those that there are, and the next one asks again."""
        while self._queues and self._busy < self._at_once:
            if self._threads <= self._busy:
                try:
                    threading.Thread(target=self._work, name="offload", daemon=True).start()
                except RuntimeError:
                    return
                self._threads += 1
            self._busy += 1
            self._begun.put(self._next())

    def _next(self) -> _Job:
        client, queue = self._queues.popitem(last=False)
        job = queue.popleft()
        if queue:
            self._queues[client] = queue
        job.begun = True
        return job

    def _work(self) -> None:
        """A thread's life."""
        with suppress(OSError):  # where nobody may be nice, it works all the same
            os.nice(NICE)
        while True:
            job = self._begun.get()
            job.run()
            self._bell.ring(job)

    def _ended(self, ended: list[_Job]) -> None:
        """From the hub; their threads are free before whoever waited goes on."""
        self._busy -= len(ended)
        self._begin()
        for job in ended:
            job.waiter.wake()

    def _withdraw(self, client: str, job: _Job) -> None:
        queue = self._queues[client]
        queue.remove(job)
        if not queue:
            del self._queues[client]
