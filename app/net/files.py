"""What some files hold, kept fresh while the broker runs: certificates today, maps and credentials alike.

Looked at by `stat` from the loop's tick, not by inotify, which says nothing on network file systems and loses its
file when a ConfigMap's or Secret's `..data` link is swapped: what counts is the file that a path leads to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from app.errors import ConfigurationError
from app.observability.once import Once

LOG = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks. A change counts once two looks agree: whoever writes several files, or a long one, has
mostly ended by then; and what is written after that has another time of modification for sure."""

RETRY = 10.0
"""Seconds until what could not be loaded is tried again unchanged: it may have been a descriptor too few."""

FRESH = 5.0
"""Seconds since a change of a file during which another one might leave it with the same size and times, by the
granularity of its file system's clock: what is loaded so soon is loaded again once it has settled."""

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


Found = tuple[Identity | None, ...]


def identity(path: Path) -> Identity | None:
    """Of the file that a path leads to, through whatever links; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Watched(Generic[T]):
    """What `load` makes of some files together: `current`. Once one of them has changed it is loaded anew; what cannot
    be loaded leaves the former in place, with one line in the log for each change, and is said in `problem`.

    `load` raises `ConfigurationError` that names the file, not its content; the first time it is raised here.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        load: Callable[[], T],
        once: Once,
        *,
        always: bool = False,
        described: Callable[[T], str] = lambda _: "",
    ) -> None:
        """Of several processes that watch the same, `once` lets one log. `always`: what is asked for is loaded though
        no file has changed, since not all of it is in `paths`. `described` adds to the line that it was loaded."""
        self.replaced: list[Callable[[T], None]] = []
        """Each is called with what has replaced the former."""
        self.problem = ""
        """Why the former is still in place; empty if it is not."""
        self._name = name
        self._paths = paths
        self._load = load
        self._once = once
        self._always = always
        self._described = described
        self._tried = self._seen = self._identities()  # before the load: what is written meanwhile is a change
        self.current = load()
        self._next = 0.0
        self._retry = NEVER

    def look(self, now: float) -> bool:
        """From the loop's tick: load anew what has changed, once nobody seems to write any more. Whether it was
        tried."""
        if now < self._next:
            return False
        self._next = now + LOOK
        found = self._identities()
        settled = found == self._seen
        self._seen = found
        if not settled or (found == self._tried and now < self._retry):
            return False
        self._take(found, now, told=found != self._tried)
        return True

    def reload(self, now: float) -> None:
        """Somebody asks for it: load what has changed, or failed, at once."""
        found = self._identities()
        if found != self._tried or self.problem or self._always:
            self._take_now(found, now)

    def refresh(self, now: float) -> None:
        """In a worker that has just been forked: what has changed since the parent looked is loaded at once."""
        found = self._identities()
        if found != self._tried:
            self._take_now(found, now)

    def _take_now(self, found: Found, now: float) -> None:
        self._take(found, now, told=True)
        if _newest(found) > time.time() - FRESH:
            self._tried = ()

    def _take(self, found: Found, now: float, *, told: bool) -> None:
        self._tried = found
        self._retry = now + RETRY
        try:
            loaded = self._load()
            if self._being_written(found):
                return
            self.current = loaded
            for tell in self.replaced:
                tell(loaded)
        except ConfigurationError as error:
            if self._being_written(found):
                return
            self._fail(error.message, found, told=told)
            return
        except Exception as error:  # the edge of a hub callback: the next look is to come, whatever a loader does
            LOG.exception("%s could not be loaded", self._name)
            self._fail(f"{type(error).__name__}; the log says more", found, told=told)
            return
        self._retry = NEVER
        self.problem = ""
        line = f"{self._name} was loaded anew{self._described(self.current)}"
        self._once.log(LOG, logging.INFO, line, self._name, found)

    def _being_written(self, found: Found) -> bool:
        """Whether what was loaded may be half of what is to be; then the next looks take it, once it has settled."""
        changed = self._identities() != found
        if changed:
            self._tried = ()
        return changed

    def _fail(self, why: str, found: Found, *, told: bool) -> None:
        former, self.problem = self.problem, f"{self._name} stays as it was loaded before: {why}"
        if told or self.problem != former:
            self._once.log(LOG, logging.ERROR, self.problem, self.problem, found)

    def _identities(self) -> Found:
        return tuple(identity(path) for path in self._paths)


def _newest(found: Found) -> float:
    """Seconds since the epoch of the last change of any; 0 if there is none."""
    return max((one.changed for one in found if one is not None), default=0) / 1e9
