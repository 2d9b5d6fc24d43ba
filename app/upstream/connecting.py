"""A new connection: to the first of some addresses that takes one, TLS included.

An address that does not answer costs no more than the delay until the next one is tried beside it (RFC 8305, 5).
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.core.addresses import Address, AddressBook
from app.errors import Unavailable, UpstreamError, UpstreamRefused, UpstreamTimeout
from app.net.loop import WRITE, Loop, Waiter
from app.net.tls import Tls
from app.upstream.connection import UpstreamConnection
from app.upstream.handshake import shake_hands

STAGGER = 0.25
"""Seconds until the next address is tried beside those that have not answered (RFC 8305, 5: 250 ms); the loop looks
every 0.1 s."""


class Connector:
    """Opens connections, for one worker, and remembers which addresses are bad."""

    def __init__(self, loop: Loop, book: AddressBook | None = None) -> None:
        self._loop = loop
        self._book = AddressBook() if book is None else book

    def open(
        self, addresses: Sequence[Address], seconds: float, tls: Tls | None = None, name: str = ""
    ) -> UpstreamConnection:
        """To one of the addresses, within `seconds`, the TLS handshake included; the certificate is checked for `name`.

        Raises `UpstreamRefused`, `UpstreamTimeout`, what the last address failed by, or `Unavailable`.
        """
        now = time.monotonic()
        deadline = now + seconds
        left = deque(self._book.order(addresses, now))
        while True:
            sock, address = Race(self._loop, left, self._failed).run(deadline)
            try:
                connection = self._secured(sock, address, deadline, tls, name, last=not left)
            except UpstreamError:
                self._failed(address)
                if not left or time.monotonic() >= deadline:
                    raise
            else:
                self._book.succeeded(address)
                return connection

    def _secured(
        self, sock: socket.socket, address: Address, deadline: float, tls: Tls | None, name: str, *, last: bool
    ) -> UpstreamConnection:
        """A handshake may take half of the time that is left while there are other addresses."""
        if tls is not None:
            seconds = deadline - time.monotonic()
            sock = shake_hands(self._loop, sock, tls, name, seconds if last else seconds / 2)
        return UpstreamConnection(self._loop, sock, tls, address)

    def _failed(self, address: Address) -> None:
        self._book.failed(address, time.monotonic())


class Reached(NamedTuple):
    """A socket, and the address that it is connected to."""

    sock: socket.socket
    address: Address


class _Attempt:
    """A socket that is being connected."""

    __slots__ = ("address", "listener", "sock")

    def __init__(self, sock: socket.socket, address: Address) -> None:
        self.sock = sock
        self.address = address
        self.listener: object | None = None


class Race:
    """To the first that takes a connection of the addresses in `left`, which are taken from there; `failed` is told of
    those that refuse, and of those that have not answered when one that was tried later has."""

    def __init__(self, loop: Loop, left: deque[Address], failed: Callable[[Address], None]) -> None:
        self._loop = loop
        self._left = left
        self._failed = failed
        self._running: list[_Attempt] = []
        self._settled: list[_Attempt] = []
        self._waiter = Waiter(loop)
        self._error: UpstreamError = UpstreamRefused("The upstream has no address.")

    def run(self, deadline: float) -> Reached:
        """Raises what the last one failed by, or `UpstreamTimeout`."""
        try:
            while self._left or self._running:
                while self._left and not self._begin(self._left.popleft()):
                    pass
                self._wait(deadline)
                while self._settled:
                    attempt = self._settled.pop(0)
                    if self._won(attempt):
                        return Reached(attempt.sock, attempt.address)
            raise self._error
        finally:
            for attempt in self._running:
                self._end(attempt)

    def _begin(self, address: Address) -> bool:
        """False where it failed at once."""
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:
            raise Unavailable(
                f"The broker can open no connection: {error.strerror}; send the request again later."
            ) from None
        attempt = _Attempt(sock, address)
        self._running.append(attempt)
        sock.setblocking(False)
        if address.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address.sockaddr)
        except BlockingIOError:
            attempt.listener = self._loop.listen(WRITE, sock.fileno(), lambda _: self._settle(attempt))
        except OSError as error:
            self._lost(attempt, error.strerror)
            return False
        else:
            self._settled.append(attempt)
        return True

    def _settle(self, attempt: _Attempt) -> None:
        """From the hub."""
        self._unlisten(attempt)
        self._settled.append(attempt)
        self._waiter.wake()

    def _wait(self, deadline: float) -> None:
        """Until one has settled, or it is the next one's turn; raises `UpstreamTimeout` once it is too late."""
        if self._settled or not self._running:
            return
        now = time.monotonic()
        until = min(deadline, now + STAGGER) if self._left else deadline
        if not self._waiter.within(until - now) and until == deadline:
            for attempt in self._running:
                self._failed(attempt.address)
            raise UpstreamTimeout("The upstream did not take a connection in time.")

    def _won(self, attempt: _Attempt) -> bool:
        code = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._lost(attempt, os.strerror(code))
            return False
        for slow in self._running[: self._running.index(attempt)]:
            self._failed(slow.address)
        self._running.remove(attempt)
        return True

    def _lost(self, attempt: _Attempt, why: str | None) -> None:
        self._running.remove(attempt)
        self._end(attempt)
        self._failed(attempt.address)
        self._error = UpstreamRefused(f"The upstream took no connection: {why}.")

    def _end(self, attempt: _Attempt) -> None:
        self._unlisten(attempt)
        attempt.sock.close()

    def _unlisten(self, attempt: _Attempt) -> None:
        if attempt.listener is not None:
            self._loop.forget(attempt.listener)
            attempt.listener = None
