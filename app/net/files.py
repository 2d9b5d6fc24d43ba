"""What some files hold, kept fresh while the broker runs: certificates today, maps and credentials alike.

Looked at by `stat` from the loop's tick, not by inotify, which says nothing on network file systems and loses its
file when a ConfigMap's or Secret's `..data` link is swapped: what counts is the file that a path leads to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from app.errors import ConfigurationError

LOG = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks. A change counts once two looks agree: whoever writes several files, or a long one, has
mostly ended by then; and what is written after that has another time of modification for sure."""

RETRY = 10.0
"""Seconds until what could not be loaded is tried again unchanged: it may have been a descriptor too few."""

NEVER = float("inf")

T = TypeVar("T")


class Identity(NamedTuple):
    """Which file, and which state of it; times in nanoseconds. `changed` tells of permissions too, and of a copy that
    keeps the time of modification."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity(path: Path) -> Identity | None:
    """Of the file that a path leads to, through whatever links; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Watched(Generic[T]):
    """What `load` makes of some files together: `current`. Once one of them has changed it is loaded anew; what cannot
    be loaded leaves the former in place, with one line in the log for each change.

    `load` raises `ConfigurationError` that names the file, not its content; the first time it is raised here.
    """

    def __init__(self, name: str, paths: Sequence[Path], load: Callable[[], T]) -> None:
        self.replaced: list[Callable[[T], None]] = []
        """Each is called with what has replaced the former."""
        self._name = name
        self._paths = paths
        self._load = load
        self._tried = self._seen = self._identities()  # before the load: what is written meanwhile is a change
        self.current = load()
        self._next = 0.0
        self._retry = NEVER

    def look(self, now: float) -> None:
        """From the loop's tick: load anew what has changed, once nobody seems to write any more."""
        if now < self._next:
            return
        self._next = now + LOOK
        found = self._identities()
        settled = found == self._seen
        self._seen = found
        if settled and (found != self._tried or now >= self._retry):
            self._take(found, now)

    def refresh(self, now: float) -> None:
        """In a worker that has just been forked: what has changed since the parent's start is loaded at once."""
        found = self._identities()
        if found != self._tried:
            self._take(found, now)

    def _take(self, found: tuple[Identity | None, ...], now: float) -> None:
        changed = found != self._tried
        self._tried = found
        self._retry = now + RETRY
        try:
            self.current = self._load()
        except ConfigurationError as error:
            if changed:
                LOG.error("%s stays as it was loaded before: %s", self._name, error.message)
            return
        except Exception:  # the edge of a hub callback: the next look is to come, whatever a loader does
            LOG.exception("%s stays as it was loaded before", self._name)
            return
        self._retry = NEVER
        LOG.info("%s was loaded anew", self._name)
        for tell in self.replaced:
            tell(self.current)

    def _identities(self) -> tuple[Identity | None, ...]:
        return tuple(identity(path) for path in self._paths)
