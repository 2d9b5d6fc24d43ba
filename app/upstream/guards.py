"""Keeps one plugin's trouble from the others: a circuit breaker and a bulkhead around each (rule 18).

A plugin is one at each of its addresses: where the map gives two of them for one name, one may fail alone. A request
counts against its plugin's bulkhead for as long as the plugin is waited for, to the end of the answer. While it is the
client that is waited for, with the body of an upload or to take an answer, it does not: slow clients have bounds of
their own (`server.uploads_max`, `server.downloads_max`), and shall not hold a plugin from others.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from app.core.breaker import CLOSED, Breaker, Breaking, Change, Passed
from app.core.bulkhead import Bulkhead
from app.core.circuits import Circuits, key_of
from app.core.message import Body
from app.core.origin import Origin
from app.errors import CircuitOpen, PluginBusy, UpstreamError
from app.net.loop import Loop, Waiter
from app.upstream.client import UpstreamResponse
from app.upstream.connection import EarlyAnswerError

LOG = logging.getLogger(__name__)

WARN_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """`breaking` None: no breaker. Of each plugin: requests in flight (0: any number), and those that wait for that,
    at most `patience` seconds."""

    breaking: Breaking | None
    in_flight: int
    waiting: int
    patience: float


Refused = Callable[[str, str], None]
"""Is told of each request that was not sent: the plugin, and `circuit` or `bulkhead`."""

Seen = Callable[[str, int, int, int], None]
"""Is told what has changed of a plugin since the last tick: its circuit's state, requests in flight, requests that
wait; of several addresses the worst state, and their requests together."""


class Guard:
    """One plugin at one address, as one worker sees it."""

    __slots__ = ("breaker", "bulkhead", "name", "plugin", "warned")

    def __init__(self, plugin: str, name: str, breaker: Breaker) -> None:
        self.plugin = plugin
        self.name = name
        self.breaker = breaker
        self.bulkhead: Bulkhead[Waiter] = Bulkhead()
        self.warned = -WARN_EVERY


class LateError(Exception):
    """The turn of a request did not come in time."""


class Guards:
    """Of one worker. `settings` may be replaced at any time."""

    def __init__(
        self,
        loop: Loop,
        circuits: Circuits,
        settings: GuardSettings,
        refused: Refused = lambda *_: None,
        seen: Seen = lambda *_: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._loop = loop
        self._circuits = circuits
        self._refused = refused
        self._seen = seen
        self._jitter = jitter
        self._guards: dict[tuple[str, Origin], Guard] = {}
        self._last: dict[str, tuple[int, int, int]] = {}

    def enter(self, plugin: str, origin: Origin) -> Ticket:
        """Let a request through, when its turn has come. Raises `CircuitOpen` or `PluginBusy`."""
        guard = self._guards.get((plugin, origin)) or self._guard(plugin, origin)
        settings = self.settings
        if not guard.bulkhead.enter(settings.in_flight):
            self._await_turn(guard)
        passed = None
        if settings.breaking is not None:
            passed = guard.breaker.admit(time.monotonic(), settings.breaking)
            if passed is None:
                self.leave(guard)
                raise self._open(guard)
            if passed.place >= 0 and guard.breaker.tried(passed):
                LOG.info("%s is tried again, by up to %d requests", guard.name, settings.breaking.probes)
        return Ticket(self, guard, passed)

    def check(self, plugin: str, origin: Origin) -> None:
        """For what is sent past the bulkhead. Raises `CircuitOpen` while the plugin is left alone."""
        guard = self._guards.get((plugin, origin)) or self._guard(plugin, origin)
        self._check(guard)

    def keep(self, places: Collection[tuple[str, Origin]]) -> None:
        """Of these plugins at these addresses: what became of others is forgotten. Their requests end as they began."""
        self._guards = {place: guard for place, guard in self._guards.items() if place in places}

    def tell(self, guard: Guard, passed: Passed, failure: UpstreamError | None) -> None:
        """What became of a request that was let through, and told something about its plugin."""
        settings = self.settings.breaking
        if settings is None:
            return
        if failure is None:
            change = guard.breaker.good(passed, time.monotonic(), settings)
        else:
            change = guard.breaker.bad(passed, time.monotonic(), settings, self._jitter())
        if change is not None:
            _log(guard, change, failure)

    def leave(self, guard: Guard) -> None:
        """A request waits for its plugin no longer: it is the next one's turn."""
        turn = guard.bulkhead.leave(self.settings.in_flight)
        if turn is not None:
            self._loop.later(0, turn.wake)

    def watch(self, now: float) -> None:
        """At each tick."""
        seen: dict[str, tuple[int, int, int]] = {}
        for guard in self._guards.values():
            state, in_flight, waiting = seen.get(guard.plugin, (CLOSED, 0, 0))
            own = guard.breaker.state(now) if self.settings.breaking is not None else CLOSED
            bulkhead = guard.bulkhead
            seen[guard.plugin] = max(state, own), in_flight + bulkhead.in_flight, waiting + bulkhead.waiting
        for plugin, values in seen.items():
            if self._last.get(plugin) != values:
                self._seen(plugin, *values)
        for plugin in self._last.keys() - seen.keys():
            self._seen(plugin, CLOSED, 0, 0)
        self._last = seen

    def _guard(self, plugin: str, origin: Origin) -> Guard:
        breaker = Breaker(self._circuits, key_of(plugin, origin), time.monotonic())
        guard = self._guards[plugin, origin] = Guard(plugin, f"{plugin} at {origin}", breaker)
        return guard

    def _await_turn(self, guard: Guard) -> None:
        """Returns once this request is counted."""
        settings, bulkhead = self.settings, guard.bulkhead
        self._check(guard)
        self._warn(guard)
        turn = Waiter(self._loop)
        if not bulkhead.queue(turn, settings.waiting):
            raise self._busy(guard)
        try:
            turn.wait(settings.patience, LateError())
        except LateError:
            if bulkhead.give_up(turn):
                raise self._busy(guard) from None
        except BaseException:  # the client has left
            if not bulkhead.give_up(turn):
                self.leave(guard)
            raise

    def _check(self, guard: Guard) -> None:
        if self.settings.breaking is not None and guard.breaker.wait(time.monotonic()):
            raise self._open(guard)

    def _open(self, guard: Guard) -> CircuitOpen:
        self._refused(guard.plugin, "circuit")
        seconds = max(1, math.ceil(guard.breaker.wait(time.monotonic())))
        return CircuitOpen(
            f"{guard.name} is left alone for now, since requests to it failed; send this one again in {seconds} s.",
            seconds,
        )

    def _busy(self, guard: Guard) -> PluginBusy:
        self._refused(guard.plugin, "bulkhead")
        return PluginBusy(f"{guard.name} has as many requests to answer as it may; send this one again later.")

    def _warn(self, guard: Guard) -> None:
        now = time.monotonic()
        if now - guard.warned >= WARN_EVERY:
            guard.warned = now
            most = self.settings.in_flight
            LOG.warning("%s has %d requests of this worker to answer (upstream.bulkhead_max); more wait, or are "
                        "answered 503", guard.name, most)  # fmt: skip


class Ticket:
    """One request that was let through; `end` it, whatever becomes of it."""

    __slots__ = ("_away", "_ended", "_guard", "_guards", "_passed", "blameless")

    def __init__(self, guards: Guards, guard: Guard, passed: Passed | None) -> None:
        """`passed` None: there is no breaker."""
        self._guards = guards
        self._guard = guard
        self._passed = passed
        self._away = self._ended = False
        self.blameless = False
        """Whether it failed while its client was waited for, or since the client left no time for it."""

    def answered(self) -> None:
        """The head of the plugin's answer is there; its status is the plugin's own affair."""
        if self._passed is not None:
            self._guards.tell(self._guard, self._passed, None)
            self._passed = None

    def failed(self, error: UpstreamError) -> None:
        """No answer has come."""
        if self._passed is not None and not self.blameless:
            self._guards.tell(self._guard, self._passed, error)
            self._passed = None

    def step_aside(self) -> None:
        """The client is waited for, and if this was a probe, others may try the plugin meanwhile."""
        if self._passed is not None:
            self._guard.breaker.gone(self._passed)
        self._away = True
        self._guards.leave(self._guard)

    def come_back(self) -> None:
        self._away = False
        self._guard.bulkhead.come_back()

    def end(self) -> None:
        """May be called more than once."""
        if self._ended:
            return
        self._ended = True
        if self._passed is not None:
            self._guard.breaker.gone(self._passed)
        if not self._away:
            self._guards.leave(self._guard)


class Upload:
    """A request's body, during whose pieces the client is waited for."""

    __slots__ = ("_body", "_ticket", "_total", "_waited", "length", "present")

    def __init__(self, body: Body, ticket: Ticket, total: float) -> None:
        """`total`: seconds for all of the request; 0: any time."""
        self._body = body
        self._ticket = ticket
        self._total = total
        self._waited = 0.0
        self.length = body.length
        self.present = body.present

    def piece(self, size: int = 65536) -> bytes:
        ticket = self._ticket
        ticket.step_aside()
        started = time.monotonic()
        try:
            return self._body.piece(size)
        except (UpstreamError, EarlyAnswerError):  # a time limit of all of the request; the plugin's own, or its answer
            ticket.blameless = True
            raise
        finally:
            ticket.come_back()
            self._waited += time.monotonic() - started
            if 0 < self._total < 2 * self._waited:
                ticket.blameless = True


class Download:
    """A response's body, between whose pieces the client is waited for. Close it."""

    __slots__ = ("_answer", "_ticket")

    def __init__(self, answer: UpstreamResponse, ticket: Ticket) -> None:
        self._answer = answer
        self._ticket = ticket

    def __iter__(self) -> Iterator[bytes]:
        ticket = self._ticket
        try:
            for piece in self._answer:
                ticket.step_aside()
                yield piece
                ticket.come_back()
        finally:
            self.close()

    def close(self) -> None:
        self._answer.close()
        self._ticket.end()


def body_of(answer: UpstreamResponse, ticket: Ticket) -> Iterable[bytes]:
    """What the client gets; the plugin is done where all of it is here."""
    if answer.whole is None:
        return Download(answer, ticket)
    ticket.end()
    return [answer.whole]


def _log(guard: Guard, change: Change, failure: UpstreamError | None) -> None:
    if change.state == CLOSED:
        LOG.info("%s answers again", guard.name)
    elif failure is not None:
        why = f"{change.why}, the last one so: {failure.message}"
        LOG.warning("%s is left alone for %.1f s: %s", guard.name, change.seconds, why)
