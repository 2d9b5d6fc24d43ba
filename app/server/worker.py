"""A worker process: an oslo.service service that serves the API on the socket it inherited."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from oslo_service.backend.base import ServiceBase

from app.net.loop import TICK, Loop, Waiter
from app.server.exchange import Application
from app.server.limits import Limits
from app.server.places import memory
from app.server.serving import Refused, Server
from app.server.slots import FRESH_SIZE, Slots

LOG = logging.getLogger(__name__)

NEVER = float("inf")


@dataclass(frozen=True)
class Served:
    """What a worker serves, made in the worker."""

    application: Application
    exempt: frozenset[bytes]
    refused: Refused
    in_flight: Callable[[int], None]
    """Told at each tick how many requests are being served."""
    unguarded: frozenset[bytes] | None = None
    """The paths that are served to clients without a certificate too; None: all."""
    reload: Callable[[], None] = lambda: None
    """Takes over what has changed in files; runs in a greenlet, one at a time."""
    opened: Callable[[Server], None] = lambda _: None
    """Given the server that serves it, where a reload may replace what is served."""


@dataclass(frozen=True)
class Settings:
    limits: Limits
    tls: Callable[[], ssl.SSLContext] | None = None
    """Gives the context of each new connection."""


Build = Callable[[Loop, int], Served]
"""Makes what slot number `int` serves; called after the fork, so that nothing of eventlet's is shared."""


class Worker(ServiceBase):  # type: ignore[misc]  # oslo.service has no types
    """One slot's worker: what runs in the process that the launcher has forked for it."""

    def __init__(self, listener: socket.socket, slots: Slots, slot: int, build: Build, settings: Settings) -> None:
        self._listener = listener
        self._slots = slots
        self._slot = slot
        self._build = build
        self._settings = settings
        self._loop: Loop | None = None
        self._server: Server | None = None
        self._served: Served | None = None
        self._drained: Waiter | None = None
        self._stopped = False
        self._shut_at = NEVER
        """When the pause before the drain is over."""
        self._deadline = NEVER
        self._reload_wanted = False
        self._reloading = False

    def start(self) -> None:
        loop = self._loop = Loop()
        self._drained = Waiter(loop)
        served = self._served = self._build(loop, self._slot)
        self._slots.set(self._slot, FRESH_SIZE, memory(os.getpid()))
        self._slots.claim(self._slot)
        server = self._server = Server(
            loop,
            self._listener,
            self._slots,
            self._slot,
            served.application,
            limits=self._settings.limits,
            tls=self._settings.tls,
            exempt=served.exempt,
            unguarded=served.unguarded,
            refused=served.refused,
        )
        served.opened(server)
        loop.every_tick.append(self._tick)
        server.open()
        LOG.info("worker %d serves", self._slot)
        if self._reload_wanted:
            self.reset()

    def stop(self) -> None:
        """Begin to drain. Who ends the broker by telling all of its processes may be heard here before the parent,
        which says by the table whether it is all or this worker alone: then it is waited for."""
        if self._loop is None or self._server is None or self._stopped:
            return
        self._stopped = True
        self._loop.later(0 if self._slots.draining else TICK, self._begin_drain)

    def _begin_drain(self) -> None:
        """Of all workers at once: for a while connections are still taken and served, the last request of each. Of
        this worker alone: others take them."""
        assert self._server is not None
        self._server.announce()
        pause = self._server.limits.drain_pause if self._slots.draining else 0.0
        self._shut_at = time.monotonic() + pause
        LOG.info("worker %d drains", self._slot)
        if not pause:
            self._shut(self._shut_at)

    def _shut(self, now: float) -> None:
        """Nobody comes any more: what is being served is finished, in time."""
        assert self._server is not None
        self._shut_at = NEVER
        self._deadline = now + self._server.limits.grace_period
        self._slots.release(self._slot)
        self._server.drain(last=self._slots.draining)

    def wait(self) -> None:
        """Until what was in flight when the drain began is answered, or the grace period has passed."""
        if self._drained is None or self._server is None:
            return
        while not self._server.drained:
            self._drained.wait()
        LOG.info("worker %d ends", self._slot)

    def _cut(self) -> None:
        assert self._server is not None
        cut = self._server.cut()
        if cut:
            when = "at once, as it was told to" if self._slots.hurried else "after its grace period"
            LOG.warning("worker %d ends %s: %d requests were cut", self._slot, when, cut)

    def reset(self) -> None:
        """Reload, in a greenlet: once more when it is asked for meanwhile, and once it serves when it does not yet."""
        self._reload_wanted = True
        if self._served is None or self._reloading:
            return
        self._reloading = True
        try:
            while self._reload_wanted:
                self._reload_wanted = False
                self._served.reload()
        except Exception:  # the edge of a greenlet: what was served before is served on
            LOG.exception("worker %d could not reload", self._slot)
        finally:
            self._reloading = False

    def _tick(self, now: float) -> None:
        server, drained, served = self._server, self._drained, self._served
        if server is None or drained is None or served is None:
            return
        self._slots.stamp(self._slot)
        served.in_flight(server.crowd.serving)
        if not self._stopped:
            return
        if now >= self._shut_at:
            self._shut(now)
        if now >= self._deadline or self._slots.hurried:
            self._cut()
        if server.drained:
            drained.wake()
