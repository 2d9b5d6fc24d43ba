"""The bootstrap process: opens the shared socket, forks the workers by oslo.service, and keeps them.

A ProcessLauncher always, also for one worker. Each slot is a service of its own with one worker, so
that a dead worker's successor has its slot. What of the launcher is overridden here, and why, is in
each method's docstring (oslo.service 4.8; `tests/server/test_launcher.py` fails when it moves).
"""

from __future__ import annotations

import errno
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

from app.errors import ConfigurationError
from app.server.slots import Slots

LOG = logging.getLogger(__name__)

DEFER_ACCEPT = 5
"""Seconds the kernel waits for the first bytes before a connection is accepted; 15 us a connection saved."""

UNSENT = 131072
"""Bytes that the kernel holds for a client that does not read, beyond what is on its way; else some 2 MB each."""

KILL_AFTER = 5.0
"""Seconds beyond the grace period after which a worker that has not ended is killed."""


def open_listener(host: str, port: int, backlog: int) -> socket.socket:
    """The listening socket that all workers share; `port` 0 for any free one.

    Raises `ConfigurationError` with one line when the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_why_not(host, port, error)) from None
    listener.setblocking(False)
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"cannot listen on {host} port {port}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}; end whatever serves there, or set BROKER_SERVER_PORT to a free port"
    return f"{where}; set BROKER_SERVER_HOST to an address of this machine and BROKER_SERVER_PORT to a port"


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that this launcher handles."""


class Launcher(service.ProcessLauncher):  # type: ignore[misc]  # oslo.service has no types
    """oslo.service's launcher, without the traps that it sets for a container's first process."""

    def __init__(self, slots: Slots, grace_period: float, ended: Callable[[int], None]) -> None:
        """`ended(slot)` is called when a slot's worker has ended, before it is replaced."""
        self._deadline = float("inf")
        self._terminals = [descriptor for descriptor in range(3) if os.isatty(descriptor)]
        self._hung_up = False
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
        self._slots = slots
        self._patience = grace_period + KILL_AFTER
        self._ended = ended
        self._slot_of: dict[int, int] = {}

    def launch(self, workers: Sequence[service.ServiceBase], others: Sequence[service.ServiceBase] = ()) -> None:
        """Fork a process for each service; `workers[i]` is slot `i`'s."""
        self._slot_of = {id(worker): slot for slot, worker in enumerate(workers)}
        for one in (*workers, *others):
            self.launch_service(one, workers=1)

    def handle_signal(self) -> None:
        """In the bootstrap process: a signal is noted and acted upon within `wait_interval`. oslo.service's handlers
        raise, and CPython forgets another signal that has come with the one whose handler raises, until a third."""
        for signo in SIGNALS:
            signal.signal(signo, self._told)

    def _told(self, signo: int, _: object) -> None:
        """Begin to end, once: oslo.service would let a second signal kill this process, and with it what is in flight.
        A second Ctrl-C is impatient, and cuts."""
        if signo == signal.SIGHUP:
            self._hung_up = True
        elif self.sigcaught is None:
            self._end()
        elif signo == signal.SIGINT:
            self._deadline = 0.0

    def _end(self) -> None:
        self.sigcaught = signal.SIGTERM  # of SIGINT oslo.service has its own opinion
        self.running = False

    def _respawn_children(self) -> None:
        """Until a signal ends it. oslo.service's knows no SIGHUP that ends nothing."""
        while self.running:
            if self._hung_up:
                self._heed_hangup()
            for look in self.every_look:
                look(time.monotonic())
            wrap = self._wait_child()
            if wrap is None:
                time.sleep(self.wait_interval)
            elif self.running:
                self._start_child(wrap)

    def _heed_hangup(self) -> None:
        """SIGHUP is a word to reload, which the workers do, unless it tells that the terminal has gone."""
        self._hung_up = False
        if not all(os.isatty(descriptor) for descriptor in self._terminals):
            LOG.info("the terminal has gone: the broker ends")
            self._end()
            return
        LOG.debug("SIGHUP: the workers reload")
        self.reload()
        self._signal(signal.SIGHUP)

    def bound(self, grace_period: float) -> None:
        """Another grace period counts from now on."""
        self._patience = grace_period + KILL_AFTER

    def _start_child(self, wrap: Any) -> Any:
        """A signal waits until the child has handlers of its own: those that it inherits are its parent's."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            return super()._start_child(wrap)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _child_process(self, service: service.ServiceBase) -> Any:
        launcher = super()._child_process(service)
        eventlet.spawn_n(self._watch_signals, launcher, _wakeups())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return launcher

    def _child_process_handle_signal(self) -> None:
        """In a child: signals arrive by a descriptor that its hub waits for, so that none is lost. Ctrl-C reaches the
        children too: the parent tells them when to end."""
        signal.signal(signal.SIGTERM, _noted)
        signal.signal(signal.SIGHUP, _noted)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _watch_signals(self, launcher: service.Launcher, wakeups: GreenPipe) -> None:
        """In a child: SIGHUP resets its service, in a greenlet of its own, and SIGTERM stops it."""
        while (signo := wakeups.read(1)[0]) != signal.SIGTERM:
            if signo == signal.SIGHUP:
                for one in launcher.services.services:
                    eventlet.spawn_n(one.reset)
        launcher.stop()

    def _wait_child(self) -> Any:
        """Frees the slot of a worker that has ended, which oslo.service knows nothing of."""
        wrap = super()._wait_child()
        if wrap is not None and id(wrap.service) in self._slot_of:
            slot = self._slot_of[id(wrap.service)]
            self._slots.release(slot)
            self._ended(slot)
        return wrap

    def stop(self) -> None:
        """Ends the children; oslo.service spins while it waits for them, and waits for ever."""
        self.running = False
        for wrap in set(self.children.values()):
            wrap.service.stop()
        self._signal(signal.SIGTERM)
        self._deadline = min(self._deadline, time.monotonic() + self._patience)
        while self.children:
            if self._wait_child() is None:
                time.sleep(self.wait_interval)
            if time.monotonic() > self._deadline:
                LOG.error("%d processes did not end in time and are killed", len(self.children))
                self._signal(signal.SIGKILL)
                self._deadline = float("inf")

    def _signal(self, signo: int) -> None:
        for pid in list(self.children):
            try:
                os.kill(pid, signo)
            except ProcessLookupError:
                LOG.debug("process %d has ended already", pid)


def _noted(*_: object) -> None:
    """A handler must be there for a signal to reach the wake-up descriptor; it never raises."""


def _wakeups() -> GreenPipe:
    """The numbers of this process's signals, a byte each."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return GreenPipe(readable, "rb", 0)
