"""A file that is read anew when it has changed; a bad new one leaves the old one in force."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from app.errors import ConfigurationError

LOG = logging.getLogger(__name__)

T = TypeVar("T")

EVERY = 1.0
"""Seconds between two looks."""

_Signature = tuple[int, int, int, int]


class Watched(Generic[T]):
    """What a file holds. Made before the fork, so that a file that is bad ends the start; `tick` in each worker.

    Raises what `load` raises.
    """

    def __init__(self, path: Path, load: Callable[[Path], T]) -> None:
        self._path = path
        self._load = load
        self._seen = _signature(path)
        self._next = 0.0
        self.value = load(path)

    def current(self) -> T:
        return self.value

    renewed = current
    """A change is seen by `tick` alone: who calls with a key that is unknown cannot have the file read."""

    def tick(self, now: float) -> None:
        """Look at the file, once a second. A failure is logged once for each change of the file."""
        if now < self._next:
            return
        self._next = now + EVERY
        signature = _signature(self._path)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self.value = self._load(self._path)
        except ConfigurationError as error:
            LOG.error("%s; what was read before stays in force", error.message)
        else:
            LOG.info("read anew: %s", self._path)


def _signature(path: Path) -> _Signature | None:
    """Changes with the file's content, also where a link is turned to another file, as Kubernetes does it."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
