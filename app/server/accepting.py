"""Taking connections from the shared socket, so that each worker holds its share.

All workers wait on one socket, and the kernel wakes whom it likes: 40 connections over 4 workers split
18/10/8/4. So a worker that holds more than its share looks away, by the counts in shared memory, until
one of its own connections closes or a millisecond has passed. `SO_REUSEPORT` alone cannot do it: even
ideal hashing keeps 40 over 4 within 1.3 times the mean in 60% of tries only.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable

from app.net.loop import READ, Loop
from app.server.listening import hear, refuse_new
from app.server.slots import ACCEPTED, HELD, Slots

LOG = logging.getLogger(__name__)

LOOK_AWAY = 0.001
"""Seconds to look away when above the share; 2 ms without the early return below collapsed forwarding to .05."""

PATIENCE = 20
"""Looks after which a connection that nobody else takes is accepted all the same."""

EXHAUSTED_PAUSE = 0.1
RECOVERED = 1.0
"""Seconds without a failure after which descriptors are taken to be there again."""

EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

BURST_PER = 8
BURST_MOST = 32
"""One more connection is taken at a look for each so many that are held, at most so many more."""

BEGUN = 0.1
"""Seconds for connections that have begun to come through, once no more begin, before the socket is closed."""

AHEAD = 16
"""Connections that a worker may have accepted beyond the mean while others wait for theirs."""


class Acceptor:
    """Accepts for one worker: calls `accepted(socket, address)` for each connection."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        slots: Slots,
        slot: int,
        accepted: Callable[[socket.socket, str], None],
        free_one: Callable[[], bool],
    ) -> None:
        """`free_one` closes a connection that nobody misses, where there is one; whether it did."""
        self._loop = loop
        self._listener = listener
        self._slots = slots
        self._slot = slot
        self._accepted = accepted
        self._free_one = free_one
        self._exhausted_at: float | None = None
        self._held = 0
        self._total = slots.get(slot, ACCEPTED)
        self._armed: object | None = None
        self._away = 0
        self._live = [slot]
        self._open = False
        self.closing = False
        """Whether what comes now is the last that comes."""
        self.closed = False

    def open(self) -> None:
        self._open = True
        self._live = self._slots.live()
        self._loop.every_tick.append(self._look_around)
        self._arm()

    def close(self, *, last: bool) -> None:
        """Accept no more; where others accept on, at once. Else (`last`) what is on its way here is accepted first: to
        close the socket resets it."""
        if last and self._open:
            self.closing = True
            refuse_new(self._listener)
            self._loop.later(BEGUN, self._close)
        else:
            self._close()

    def _close(self) -> None:
        if self.closed:
            return
        while self.closing and self._accept():
            pass
        self._open = False
        self.closed = True
        self._disarm()
        self._listener.close()

    def released(self) -> None:
        """One of this worker's connections has closed."""
        self._held -= 1
        self._slots.set(self._slot, HELD, self._held)
        if self._open and self._armed is None and self._held >= 0:
            self._arm()

    def _look_around(self, now: float = 0) -> None:
        self._live = self._slots.live()
        if self._exhausted_at is not None and now > self._exhausted_at + RECOVERED:
            self._exhausted_at = None
            LOG.warning("connections can be accepted again")

    def _arm(self) -> None:
        if self._open and self._armed is None:
            self._armed = self._loop.listen(READ, self._listener.fileno(), self._acceptable)

    def _disarm(self) -> None:
        if self._armed is not None:
            self._loop.forget(self._armed)
            self._armed = None

    def _above_share(self) -> bool:
        live, slots = self._live, self._slots
        if len(live) < 2:
            return False
        held = sum(slots.get(slot, HELD) for slot in live)
        taken = sum(slots.get(slot, ACCEPTED) for slot in live)
        return above_share(len(live), self._held, held, self._total, taken)

    def _acceptable(self, _: int) -> None:
        """Take one, or where many are held, some: between two looks of the loop all those may have had their turn."""
        for _ in range(1 + min(self._held, BURST_MOST * BURST_PER) // BURST_PER):
            if not (self._armed and self._take()):
                return

    def _take(self) -> bool:
        """Whether a connection was taken."""
        if len(self._live) < self._slots.count:  # a worker is about to come: its share begins at once
            self._look_around()
        if self._away < PATIENCE and not self.closing and self._above_share():
            self._away += 1
            self._disarm()
            self._loop.later(LOOK_AWAY, self._arm)
            return False
        return self._accept()

    def _accept(self) -> bool:
        try:
            sock, address = self._listener.accept()
        except BlockingIOError:
            self._away = 0
            return False
        except MemoryError:
            self._failed(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
            return False
        except OSError as error:
            self._failed(error)
            return False
        self._away = 0
        self._held += 1
        self._total += 1
        self._slots.set(self._slot, HELD, self._held)
        self._slots.set(self._slot, ACCEPTED, self._total)
        sock.setblocking(False)
        if self.closing:
            hear(sock)
        self._accepted(sock, address[0] if isinstance(address, tuple) else "")
        return True

    def _failed(self, error: OSError) -> None:
        """A failed accept never ends a worker: without descriptors it closes an idle connection, or waits for one to
        close; anything else is the peer's."""
        if error.errno not in EXHAUSTED:
            LOG.debug("accept: %s", error)
            return
        first, self._exhausted_at = self._exhausted_at is None, time.monotonic()
        if first:
            LOG.error("cannot accept connections: %s; idle ones are closed (raise the limit of files)", error.strerror)
        if not self._free_one():
            self._disarm()
            self._loop.later(EXHAUSTED_PAUSE, self._arm)


def above_share(workers: int, held: int, held_by_all: int, taken: int, taken_by_all: int) -> bool:
    """Whether a worker holds, or has taken, more than its share of connections.

    What it holds: at most 1/8 above the mean. What it took: at most `AHEAD` above the mean, which is what spreads
    connections that end as soon as they are answered; one that holds less than 7/8 of the mean takes all the same.
    """
    eighths = held * workers * 8
    if not held_by_all * 7 <= eighths <= held_by_all * 9:
        return eighths > held_by_all * 9
    return (taken - AHEAD) * workers > taken_by_all
