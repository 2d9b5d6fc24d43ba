"""Names to addresses, without blocking the loop: the system's own resolver in threads.

`getaddrinfo` honours /etc/hosts, search domains and the node's cache, as the operator expects; eventlet's
greendns has its own opinion of each. A name that is known is looked up anew in the background, every few seconds
while it is used, so that a pod's new address is found; while look-ups fail, the last good answer serves.

The threads are no pool of eventlet's: its twenty are everybody's, and its end waits for those that hang. A look-up
that hangs cannot be ended, so a worker's end waits for none.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.core.addresses import Address
from app.core.names import GONE, Name, failed, found
from app.errors import Unavailable, UpstreamRefused, UpstreamTimeout
from app.net.bell import Bell
from app.net.loop import Loop, Waiter

LOG = logging.getLogger(__name__)

AT_ONCE = 16
"""Threads: look-ups that are under way, one of each name. Those of names that have an answer take half of them, so
that names which are known and hang leave room for others."""

PATIENCE = 1.0
"""Seconds that a new answer is waited for where the last one is old."""

UNUSED = 600.0
"""Seconds beyond its time to be looked up anew after which a name is forgotten: nobody has asked for it, since a reload
took its plugin away or moved it."""

ABSENT = frozenset(getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name))
"""What the name service says of a name that is not there; all else says something of the name service."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ResolverSettings:
    """Seconds after which a name is looked up anew."""

    interval: float = 5.0


class _Lookup:
    """One that is under way or in line. The outcome: addresses, or why there are none; a `RuntimeError` where there was
    no thread to ask in."""

    __slots__ = ("begun", "key", "outcome", "waiters")

    def __init__(self, key: Key, now: float) -> None:
        self.key = key
        self.begun = now
        self.waiters: list[Waiter] = []
        self.outcome: tuple[Address, ...] | OSError | UnicodeError | RuntimeError | None = None


class Resolver:
    """Resolves and remembers, for one worker."""

    def __init__(
        self, loop: Loop, settings: ResolverSettings = ResolverSettings(), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self._loop = loop
        self._clock = clock
        self._names: dict[Key, Name] = {}
        self._lookups: dict[Key, _Lookup] = {}
        self._line: deque[_Lookup] = deque()
        self._busy = 0
        self._bell: Bell[_Lookup] | None = None

    def resolve(self, host: str, port: int, seconds: float) -> Sequence[Address]:
        """The addresses of `host` as the system sorts them, within `seconds`; mostly at once.

        Raises `UpstreamRefused` if there is no such name, `UpstreamTimeout` if the resolver does not answer, or
        `Unavailable`.
        """
        key = host, port
        name = self._names.get(key)
        if name is None:
            return _literal(host, port) or self._first(key, Name(), seconds)
        if not name.addresses:
            return self._first(key, name, seconds)
        self._renew(key, name)
        lookup = self._lookups.get(key)
        if lookup is not None and not name.serves(self._clock()):
            self._wait(lookup, min(PATIENCE, seconds))
            name = self._names[key]
        return name.addresses or self._first(key, name, 0)

    def known(self, host: str, port: int) -> tuple[Address, ...] | None:
        """For a name that is in use: its addresses of now, and it is looked up anew when it is time. None for what is
        an address itself, or was never found."""
        name = self._names.get((host, port))
        if name is None or (not name.addresses and name.absent_since is None):
            return None
        if name.addresses:
            self._renew((host, port), name)
        return name.addresses

    def _renew(self, key: Key, name: Name) -> None:
        """In the background, unless there is too much of that under way."""
        if self._clock() >= name.due and key not in self._lookups and self._busy < AT_ONCE // 2:
            self._look_up(key)

    def _first(self, key: Key, name: Name, seconds: float) -> tuple[Address, ...]:
        """Of a name without an answer: that of a look-up, or why the last one, which was just before, has none."""
        if self._clock() >= name.due:
            lookup = self._lookups.get(key) or self._look_up(key)
            self._wait(lookup, seconds)
            if self._lookups.get(key) is lookup:
                raise UpstreamTimeout(f"The resolver did not find {key[0]} in time; check the name service.")
            if isinstance(lookup.outcome, RuntimeError):
                raise _unable(str(lookup.outcome))
            name = self._names[key]
        if name.addresses:
            return name.addresses
        if name.absent_since is not None:
            raise UpstreamRefused(f"There is no host {key[0]}; check the address and the name service.")
        raise UpstreamRefused(f"The resolver did not find {key[0]} ({name.why}); check the name service.")

    def _wait(self, lookup: _Lookup, seconds: float) -> None:
        """Until it has ended, or that many seconds after its beginning: who comes late to one that hangs does not wait
        for it all over again."""
        left = lookup.begun + seconds - self._clock()
        if left <= 0:
            return
        waiter = Waiter(self._loop)
        lookup.waiters.append(waiter)
        try:
            waiter.within(left)
        finally:
            lookup.waiters.remove(waiter)

    def _look_up(self, key: Key) -> _Lookup:
        if self._bell is None:
            self._bell = self._new_bell()
        lookup = self._lookups[key] = _Lookup(key, self._clock())
        self._line.append(lookup)
        self._begin(self._bell)
        return lookup

    def _new_bell(self) -> Bell[_Lookup]:
        try:
            return Bell(self._loop, self._ended)
        except OSError as error:
            raise _unable(error.strerror) from None

    def _begin(self, bell: Bell[_Lookup]) -> None:
        """As many of those in line as may be under way."""
        while self._line and self._busy < AT_ONCE:
            lookup = self._line.popleft()
            self._busy += 1
            try:
                threading.Thread(target=_ask, args=(lookup, bell), name="resolver", daemon=True).start()
            except RuntimeError as error:  # there may be no more threads
                lookup.outcome = error
                bell.ring(lookup)

    def _ended(self, lookups: list[_Lookup]) -> None:
        """From the hub."""
        self._busy -= len(lookups)
        for lookup in lookups:
            del self._lookups[lookup.key]
            self._take(lookup)
        if self._bell is not None:
            self._begin(self._bell)
        for lookup in lookups:
            for waiter in list(lookup.waiters):
                waiter.wake()

    def _take(self, lookup: _Lookup) -> None:
        now, kept, outcome = self._clock(), self.settings.interval, lookup.outcome
        before = self._names.get(lookup.key, Name())
        if isinstance(outcome, tuple) and outcome:
            after = found(outcome, now, kept)
        elif isinstance(outcome, RuntimeError) and not before.addresses:
            return  # it says nothing of the name: who asks next has it looked up
        else:
            absent = isinstance(outcome, UnicodeError) or getattr(outcome, "errno", None) in ABSENT
            why = getattr(outcome, "strerror", None) or str(outcome) or "no address"
            after = failed(before, why, now, kept, absent=absent)
        self._names[lookup.key] = after
        _tell(lookup.key[0], before, after)
        self._forget_unused(now)

    def _forget_unused(self, now: float) -> None:
        for key in [key for key, name in self._names.items() if now - name.due > UNUSED and key not in self._lookups]:
            del self._names[key]


def _ask(lookup: _Lookup, bell: Bell[_Lookup]) -> None:
    """In a thread."""
    host, port = lookup.key
    try:
        answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        lookup.outcome = tuple(Address(family, sockaddr) for family, _, _, _, sockaddr in answer)  # type: ignore[arg-type]
    except (OSError, UnicodeError) as error:
        lookup.outcome = error.with_traceback(None)
    bell.ring(lookup)


def _tell(host: str, before: Name, after: Name) -> None:
    """Of a name that has been found before: one line a change, not one a look-up."""
    if after.failures and before.addresses and not before.failures:
        LOG.warning("%s is not found any more (%s); its last good addresses are used", host, after.why)
    if before.addresses and not after.addresses:
        LOG.warning("%s is gone: the name service says for %d seconds that there is none", host, GONE)
    if before.failures and after.addresses and not after.failures:
        LOG.info("%s is found again", host)


def _unable(why: str | None) -> Unavailable:
    return Unavailable(f"The broker can look up no name: {why}; send this request again later.")


def _literal(host: str, port: int) -> list[Address]:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return []
    if version == 4:
        return [Address(socket.AF_INET, (host, port))]
    return [Address(socket.AF_INET6, (host, port, 0, 0))]
