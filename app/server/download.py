"""Sending to a client that does not take all at once: it is waited for as long as it reads fast enough."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
import time

from app.errors import ClientGone
from app.net.loop import Waiter
from app.server.pace import Pace

LOOK = 5.0
"""Seconds after which a client that takes no more is looked at: the kernel tells of room only when a third of its
buffer is free, and a slow reader may need minutes for that."""

AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _LookError(Exception):
    """It is time to look how much the client has taken."""


class Download:
    """One response's way to its client, from the first time that it is waited for."""

    __slots__ = ("_active", "_moved", "_pace", "_pause", "_sock", "_unread", "_waiter")

    def __init__(self, sock: socket.socket, waiter: Waiter, pace: Pace, pause: float) -> None:
        """`pause`: seconds for which the client may take nothing."""
        self._sock = sock
        self._waiter = waiter
        self._pace = pace
        self._pause = pause
        self._moved = 0
        self._active = 0.0
        self._unread = 0

    def send(self, rest: memoryview) -> None:
        """Send all of it; raises `ClientGone`, also for a client that is too slow."""
        self._active = time.monotonic()
        while rest:
            try:
                sent = self._sock.send(rest)  # TLS takes a record of 16 KiB at a time, though there is space
                rest = rest[sent:]
            except AGAIN:
                self._unread = _unread(self._sock)
                self._wait()
            except OSError:
                raise ClientGone from None

    def idle_for(self, now: float) -> float:
        """Seconds since the client's kernel has last taken a byte."""
        unread = _unread(self._sock)
        if unread < self._unread:
            self._moved += self._unread - unread
            self._active = now
        self._unread = unread
        return now - self._active

    def _wait(self) -> None:
        """Until the client takes more."""
        while True:
            started = time.monotonic()
            left = min(self._pace.left(self._moved), self._pause - (started - self._active))
            if left <= 0:
                raise ClientGone
            try:
                self._waiter.writable(self._sock.fileno(), min(left, LOOK), _LookError())
                return
            except _LookError:
                pass  # and wait on
            finally:
                now = time.monotonic()
                self._pace.waited += now - started
                self.idle_for(now)


def _unread(sock: socket.socket) -> int:
    """Bytes that were sent and that the client's kernel has not taken yet; of TLS, its records."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except (OSError, ValueError):  # it is closed: whoever waits is told by other means
        return 0
