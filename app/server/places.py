"""What the parent does about processes that are silent or have grown: kills them, or has another take their place."""

from __future__ import annotations

import logging
import os
import resource
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.server import stacks
from app.server.respawn import Backoff
from app.server.slots import FRESH_SIZE, PID, Slots
from app.server.stacks import Stacks
from app.server.watchdog import Looks, Verdict, Watch, bound, heaviest

LOG = logging.getLogger(__name__)

LOOK = 0.1
"""Seconds between two looks at the heartbeats."""

WEIGH = 2.0
"""Seconds between two looks at what the workers hold in memory."""

NEXT = 10.0
"""Seconds after a worker that had grown has ended before another one is replaced for it."""

KILL_AFTER = 5.0
"""Seconds beyond the grace period after which a process that has not ended is killed."""

NEVER = float("inf")


@dataclass(frozen=True)
class Supervision:
    """Times in seconds, memory in bytes; the option of the same name in group `server` says more."""

    grace_period: float = 20.0
    drain_pause: float = 0.0
    watchdog_timeout: float = 30.0
    """0: a process may be silent for as long as it likes."""
    start_timeout: float = 60.0
    """Within which a process has to give its first heartbeat."""
    memory_max: int = 0
    """0: a worker may grow as it likes."""


@dataclass(eq=False)
class Place:
    """Where a process is, and after its end the next one."""

    name: str
    row: int
    """Its row of the table of slots."""
    wrap: Any
    """oslo.service's."""
    wanted: bool = True
    """Whether there shall be a process."""
    pid: int = 0
    """0: there is none."""
    started: float = 0.0
    due: float = 0.0
    """When the next one may start."""
    refused: bool = False
    """Whether the system gave no process when there was to be one."""
    until: float = NEVER
    """When it is killed."""
    killed: str = ""
    """Why we have killed it."""
    stacks: Stacks = field(default_factory=Stacks)
    backoff: Backoff = field(default_factory=Backoff)
    watch: Watch = field(default_factory=lambda: Watch(0.0))

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else self.name

    def begin(self, pid: int, now: float) -> None:
        self.pid, self.started, self.until, self.killed = pid, now, NEVER, ""
        self.watch = Watch(now)
        self.stacks.take()  # what its predecessor may have left

    def signal(self, signo: int) -> None:
        try:
            os.kill(self.pid, signo)
        except ProcessLookupError:
            LOG.debug("%s has ended already", self)

    def kill(self, why: str) -> None:
        self.killed = why
        self.signal(signal.SIGKILL)


class Supervisor:
    """Looks after the processes of all places. `workers` are the places of slots, the rest beside them."""

    def __init__(self, slots: Slots, settings: Supervision) -> None:
        self.places: list[Place] = []
        self._slots = slots
        self.settings = settings
        self._looks = Looks(time.monotonic())
        self._look_at = 0.0
        self._weigh_at = 0.0
        self._grown: Place | None = None
        self._successor: Place | None = None
        self._told_too_little = False

    def workers(self) -> list[Place]:
        return [place for place in self.places if place.row in self._slots.rows]

    def look(self, now: float) -> None:
        """From the parent's loop: what is due of all this."""
        if self._looks.late(now):
            for place in self.places:
                place.watch.since = now
        if now < self._look_at:
            return
        self._look_at = now + LOOK
        for place in self.places:
            if place.pid and not place.killed:
                self._judge(place, now)

    def _judge(self, place: Place, now: float) -> None:
        settings, heard = self.settings, self._slots.heard(place.row)
        serves = heard > place.started
        timeout = settings.watchdog_timeout if serves else settings.watchdog_timeout and settings.start_timeout
        verdict = place.watch.look(now, max(heard, place.started), timeout)
        if verdict is Verdict.ASK:
            place.signal(stacks.ASK)
        elif verdict is Verdict.RECOVERED:
            LOG.warning("%s was silent for a while, and is heard again; it was at%s", place, _told(place))
        elif verdict is Verdict.KILL:
            what = "has been silent" if serves else "has not begun to serve"
            LOG.error("%s %s for %.1f s and is killed; it was at%s", place, what, timeout, _told(place))
            place.kill("stalled")
        elif now > place.until:
            LOG.error("%s did not end in time and is killed", place)
            place.kill("late")

    # A worker that has grown is replaced: the next one first, so that somebody accepts all the while.

    def weigh(self, now: float) -> None:
        """From the parent's loop: one at a time, whatever they weigh."""
        if not self.settings.memory_max:
            return
        if self._grown is not None:
            self._replace(self._grown, now)
        elif now >= self._weigh_at:
            self._weigh_at = now + WEIGH
            self._find_grown(now)

    def _find_grown(self, now: float) -> None:
        serving = {place.row: place for place in self.workers() if place.pid and self._serves(place)}
        resident = {row: memory(place.pid) for row, place in serving.items()}
        bounds = {row: self._bound(row) for row in serving}
        row = heaviest(resident, bounds)
        successor = next((place for place in self.workers() if not (place.wanted or place.pid)), None)
        if row is None or successor is None:
            return
        grown = serving[row]
        LOG.warning(
            "%s holds %d MiB of memory, more than %d (worker_memory_max), after %.0f s: %s takes its place",
            grown, resident[row] >> 20, bounds[row] >> 20, now - grown.started, successor,
        )  # fmt: skip
        self._grown, self._successor = grown, successor
        successor.wanted, successor.due, successor.backoff = True, now, Backoff()

    def _bound(self, row: int) -> int:
        """Of a worker that serves. That it is more than what was asked for is said once."""
        fresh, most = self._slots.get(row, FRESH_SIZE), self.settings.memory_max
        found = bound(fresh, most)
        if found > most and not self._told_too_little:
            self._told_too_little = True
            LOG.error(
                "worker_memory_max is %d MiB, which is too little: a worker holds %d when it begins to serve; one is "
                "replaced beyond %d",
                most >> 20, fresh >> 20, found >> 20,
            )  # fmt: skip
        return found

    def _serves(self, place: Place) -> bool:
        return self._slots.get(place.row, PID) == place.pid and self._slots.heard(place.row) > place.started

    def _replace(self, grown: Place, now: float) -> None:
        successor = self._successor
        if successor is not None and grown.wanted and successor.pid and self._serves(successor):
            self._hand_over(grown, successor)
            grown.until = now + self.settings.grace_period + KILL_AFTER
            grown.signal(signal.SIGTERM)
        elif not grown.pid:
            self._grown = self._successor = None
            self._weigh_at = now + NEXT

    def ended(self, place: Place) -> str:
        """A place's process has ended; returns why it has, where we know: stalled, late, memory."""
        if place is not self._grown:
            return place.killed
        if place.wanted and self._successor is not None:  # by itself, before its successor served
            self._hand_over(place, self._successor)
        return "memory"

    def _hand_over(self, grown: Place, successor: Place) -> None:
        grown.wanted = False
        self._slots.miss(successor.row, True)
        self._slots.miss(grown.row, False)


def _told(place: Place) -> str:
    text = place.stacks.take().strip("\n")
    return f":\n{text}" if text else f" nothing that it could tell: {stacks.state(place.pid)}"


def memory(pid: int) -> int:
    """Bytes of a process that are in memory, those that it shares with others included (proc(5), statm); 0 where it
    has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0
