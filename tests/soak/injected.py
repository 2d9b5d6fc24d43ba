"""The faults of a soak, one after the other, and what clients may see of each."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.conftest import Process, until
from tests.faults.actors import Inventory, Plugins
from tests.faults.stage import ONE
from tests.soak.mix import VOLTE, Asked
from tests.soak.samples import processes

KILLED = "worker 0"
"""The only one that is killed: what another one holds has grown for all of the soak."""


class Kind(NamedTuple):
    """A fault: how it is made and, after `held` seconds, ended; from its begin until `grace` seconds after its end
    clients of `who` (None: all) may see `sees`."""

    name: str
    make: Callable[[], object]
    end: Callable[[], object]
    held: float
    grace: float
    who: str | None
    sees: tuple[str, ...]


class Made(NamedTuple):
    """A fault that was made; times of `time.monotonic`."""

    kind: Kind
    began: float
    ended: float

    def excuses(self, asked: Asked) -> bool:
        kind = self.kind
        there = asked.ended >= self.began and asked.began <= self.ended + kind.grace
        return there and kind.who in (None, asked.name) and asked.outcome.startswith(kind.sees)


def kinds(broker: Process, one: Plugins, aai: Inventory) -> list[Kind]:
    def kill() -> None:
        until(lambda: KILLED in processes(broker))  # the one that was killed before may be about to be replaced
        os.kill(processes(broker)[KILLED], signal.SIGKILL)

    def reload() -> None:
        broker.popen.send_signal(signal.SIGHUP)

    failed = ("502", "503", "504")
    return [
        Kind("plugin killed", one.kill, one.start, 3, 10, ONE, (*failed, "cut")),
        Kind("worker killed", kill, lambda: None, 0, 1, None, ("closed", "cut", "unanswered")),
        Kind("A&AI down", aai.kill, aai.start, 3, 15, VOLTE, failed),
        Kind("reload", reload, lambda: None, 0, 0, None, ()),
    ]


@dataclass
class Injector:
    """Makes each kind in its turn, one in `every` seconds, in a thread, until it is stopped."""

    kinds: list[Kind]
    every: float
    made: list[Made] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Raises what has kept a fault from being made."""
        self._stopping.set()
        self._thread.join(60)
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            self._make()
        except BaseException as error:  # the edge of a thread: a soak without faults is none
            self._failed = error

    def _make(self) -> None:
        while True:
            for kind in self.kinds:
                if self._stopping.wait(self.every):
                    return
                began = time.monotonic()
                kind.make()
                self._stopping.wait(kind.held)
                kind.end()
                self.made.append(Made(kind, began, time.monotonic()))
