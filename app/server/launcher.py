"""The bootstrap process: forks the workers by oslo.service, keeps them, and ends them.

A ProcessLauncher always, also for one worker. Each slot is a service of its own with one worker, so
that a dead worker's successor has its slot. What of the launcher is overridden here, and why, is in
each method's docstring (oslo.service 4.8; `tests/server/test_launcher.py` fails when it moves).
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import eventlet
from eventlet.greenio import GreenPipe
from oslo_config import cfg
from oslo_service import service

from app.server.child import end_with, noted, wakeups
from app.server.held import SIGNALS, hold_back, let_come
from app.server.listening import accept_silent_ones
from app.server.places import KILL_AFTER, Place, Supervision, Supervisor
from app.server.respawn import LIVED, hint, how
from app.server.slots import Slots

LOG = logging.getLogger(__name__)

ONE_WORD = 0.1
"""Seconds within which two signals to end are one: some tell a process, and then its group."""

REST = 4
"""Times as long as a reload has taken until the next one begins: who sends one SIGHUP after the other has what changed
taken over all the same, and requests are served meanwhile."""

AGAIN = 0.5
"""Seconds until a process that the system refused is asked for again: that costs little, and who waits for one shall
have it as soon as there is room."""

AT_ONCE = 4096
"""Signals that a child takes note of together, at most: of each kind one is as good as many."""

HURRY = 2.0
"""Seconds that a worker has to end when it shall hurry."""


class Launcher(service.ProcessLauncher):  # type: ignore[misc]  # oslo.service has no types
    """oslo.service's launcher, without the traps that it sets for a container's first process."""

    def __init__(
        self, slots: Slots, listener: socket.socket, supervision: Supervision, ended: Callable[[int], None]
    ) -> None:
        """`ended(slot)` is called when a slot's worker has ended, before it is replaced."""
        self._slots = slots
        self._listener = listener
        self._supervision = supervision
        self._supervisor = Supervisor(slots, supervision)
        self._slot_ended = ended
        self._parent = os.getpid()
        self._told_at = 0.0
        self._terminals = [descriptor for descriptor in range(3) if os.isatty(descriptor)]
        self._hung_up = False
        self._heed_at = 0.0
        self.reload: Callable[[], None] = lambda: None
        """For the bootstrap process itself, by SIGHUP, before the workers are told."""
        self.every_look: list[Callable[[float], None]] = []
        """Each is called some times a second, with the time of `time.monotonic`."""
        self.sigcaught: signal.Signals | None = None
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        super().__init__(conf, wait_interval=0.02, restart_method="mutate")
        conf.set_override("graceful_shutdown_timeout", 0)  # ours is the worker's own deadline
        conf.set_override("log_options", False)  # it would log every option, secrets included
        let_come()

    def launch(self, workers: Sequence[service.ServiceBase], others: Sequence[service.ServiceBase] = ()) -> None:
        """Fork a process for each service; `workers[i]` is slot `i`'s, and those beyond the table's `count` wait
        until they are needed."""
        places = self._supervisor.places
        for slot, worker in enumerate(workers):
            wrap = service.ServiceWrapper(worker, 1)
            places.append(Place(f"worker {slot}", slot, wrap, wanted=slot < self._slots.count))
        for other in others:
            name = f"the {type(other).__name__.lower()}"
            places.append(Place(name, self._slots.beside, service.ServiceWrapper(other, 1)))
        gc.freeze()  # as oslo.service does: pages that the collector does not write to stay shared
        self._start_due()

    def supervise(self, supervision: Supervision) -> None:
        """Other limits count from now on."""
        self._supervision = self._supervisor.settings = supervision

    # Signals.

    def handle_signal(self) -> None:
        """In the bootstrap process: a signal is noted and acted upon within `wait_interval`. oslo.service's handlers
        raise, and CPython forgets another signal that has come with the one whose handler raises, until a third."""
        for signo in SIGNALS:
            signal.signal(signo, self._told)

    def _told(self, signo: int, _: object) -> None:
        """Begin to end, once: oslo.service would let a second signal kill this process, and with it what is in flight.
        A second one is impatient, and cuts that in order."""
        if signo == signal.SIGHUP:
            self._hung_up = True
        elif self.sigcaught is None:
            self._end()
        elif time.monotonic() - self._told_at > ONE_WORD:
            self._slots.hurry()

    def _end(self) -> None:
        self._told_at = time.monotonic()
        self.sigcaught = signal.SIGTERM  # of SIGINT oslo.service has its own opinion
        self.running = False
        self._slots.drain()  # readiness of all workers is 503 from here on

    def _heed_hangup(self) -> None:
        """SIGHUP is a word to reload, which the workers do, unless it tells that the terminal has gone."""
        self._hung_up = False
        if not all(os.isatty(descriptor) for descriptor in self._terminals):
            LOG.info("the terminal has gone: the broker ends")
            self._end()
            return
        LOG.debug("SIGHUP: the workers reload")
        began = time.monotonic()
        self.reload()
        now = time.monotonic()
        self._heed_at = now + REST * (now - began)
        for place in self._running():
            place.signal(signal.SIGHUP)

    # Starting.

    def _respawn_children(self) -> None:
        """Until a signal ends it. oslo.service's waits for no process but those of its own group, so that as a
        container's first one it would leave orphans as zombies, starts the next process at once or after a second in
        which it heeds nobody, and knows no SIGHUP that ends nothing."""
        while self.running:
            if self._hung_up and time.monotonic() >= self._heed_at:
                self._heed_hangup()
            for look in self.every_look:
                look(time.monotonic())
            self._tend()
            self._supervisor.weigh(time.monotonic())
            self._start_due()
            time.sleep(self.wait_interval)

    def _start_due(self) -> None:
        for place in self._supervisor.places:
            if self.running and place.wanted and not place.pid and time.monotonic() >= place.due:
                self._start(place)

    def _start(self, place: Place) -> None:
        place.wrap.forktimes.clear()  # oslo.service sleeps for a second when it thinks that it forks too fast
        now = time.monotonic()
        try:
            place.begin(self._start_child(place.wrap), now)
        except OSError as error:  # no process or no memory to be had: what runs is not to suffer for it
            place.due = now + AGAIN
            if not place.refused:
                LOG.error("%s cannot be started: %s; it is tried again every %g s", place, error.strerror, AGAIN)
            place.refused = True
            return
        if place.refused:
            LOG.warning("%s could be started at last", place)
        place.refused = False

    def _start_child(self, wrap: Any) -> Any:
        """A signal waits until the child has handlers of its own: those that it inherits are its parent's."""
        hold_back()
        try:
            return super()._start_child(wrap)
        finally:
            let_come()

    def _child_process(self, service: service.ServiceBase) -> Any:
        """In a child. What fails here must not run on as a second parent."""
        try:
            end_with(self._parent)
            self._stacks(service).register()
            launcher = super()._child_process(service)
            eventlet.spawn_n(self._watch_signals, launcher, wakeups())
            let_come()
        except Exception:  # the edge of a process
            LOG.exception("a process could not be started")
            os._exit(1)
        return launcher

    def _child_process_handle_signal(self) -> None:
        """In a child: signals arrive by a descriptor that its hub waits for, so that none is lost. Ctrl-C reaches the
        children too: the parent tells them when to end."""
        signal.signal(signal.SIGTERM, noted)
        signal.signal(signal.SIGHUP, noted)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _watch_signals(self, launcher: service.Launcher, wakeups: GreenPipe) -> None:
        """In a child: SIGHUP resets its service, in a greenlet of its own, and SIGTERM stops it."""
        while signal.SIGTERM not in (signals := wakeups.read(AT_ONCE)):
            if signal.SIGHUP in signals:
                for one in launcher.services.services:
                    eventlet.spawn_n(one.reset)
        launcher.stop()

    # Their ends.

    def _tend(self) -> None:
        now = time.monotonic()
        self._reap(now)
        self._supervisor.look(now)

    def _reap(self, now: float) -> None:
        """All that have ended, those included that a container's first process inherits from others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            wrap = self.children.pop(pid, None)
            if wrap is None:
                LOG.debug("process %d has ended, which is none of ours", pid)
                continue
            wrap.children.remove(pid)
            self._has_ended(next(place for place in self._supervisor.places if place.wrap is wrap), status, now)

    def _has_ended(self, place: Place, status: int, now: float) -> None:
        why, lived, name = self._supervisor.ended(place), now - place.started, str(place)
        place.pid = 0
        if place.row in self._slots.rows:
            self._slots.release(place.row)
            self._slot_ended(place.row)
        if not self.running:
            LOG.info("%s %s", name, how(status))
            return
        if place.row in self._slots.rows:
            self._slots.count_end(why or ("killed" if os.WIFSIGNALED(status) else "exited"))
        what = f"{name} {how(status)}{'' if why else hint(status)} after {lived:.1f} s"
        if not place.wanted:
            LOG.info("%s; its successor is there", what)
            return
        wait = place.backoff.ended(lived)
        place.due = now + wait
        if wait:
            early = place.backoff.early
            LOG.error("%s, early for the %dth time (%g s); the next one starts in %.1f s", what, early, LIVED, wait)
        else:
            LOG.warning("%s; the next one starts now", what)

    def stop(self) -> None:
        """Ends the children; oslo.service spins while it waits for them, waits for ever, and keeps the socket open."""
        self.running = False
        self._slots.drain()
        accept_silent_ones(self._listener)
        for place in self._supervisor.workers():
            if place.pid:
                place.signal(signal.SIGTERM)
        settings = self._supervision
        pause_ends = time.monotonic() + settings.drain_pause
        self._await(self._supervisor.workers(), settings.drain_pause + settings.grace_period + KILL_AFTER, pause_ends)
        others = self._running()  # whoever asks for metrics has them until here
        for place in others:
            place.signal(signal.SIGTERM)
        self._await(others, KILL_AFTER, pause_ends)

    def _await(self, places: Sequence[Place], patience: float, pause_ends: float) -> None:
        """Until these have ended; those that have not after so many seconds are killed."""
        deadline = time.monotonic() + patience
        while any(place.pid for place in places):
            self._tend()
            now = time.monotonic()
            if self._slots.hurried:
                deadline = min(deadline, now + HURRY)
            if now > deadline:
                for place in places:
                    place.until = min(place.until, now)
            if now >= pause_ends or self._slots.hurried:
                self._listener.close()
            time.sleep(self.wait_interval)
        self._listener.close()

    def _running(self) -> list[Place]:
        return [place for place in self._supervisor.places if place.pid]

    def _stacks(self, service: service.ServiceBase) -> Any:
        return next(place.stacks for place in self._supervisor.places if place.wrap.service is service)
