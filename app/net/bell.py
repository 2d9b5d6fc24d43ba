"""From threads to the loop: what a thread hands over is heard in the hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from app.net.loop import READ, Loop

T = TypeVar("T")


class Bell(Generic[T]):
    """For as long as its worker lives: `heard` is called from the hub with all that was rung for since."""

    def __init__(self, loop: Loop, heard: Callable[[list[T]], None]) -> None:
        self._heard = heard
        self._handed: SimpleQueue[T] = SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.listen(READ, self._bell, self._rung)

    def ring(self, handed: T) -> None:
        """In a thread."""
        self._handed.put(handed)
        os.eventfd_write(self._bell, 1)

    def _rung(self, bell: int) -> None:
        os.eventfd_read(bell)
        self._heard([self._handed.get_nowait() for _ in range(self._handed.qsize())])
