"""A client's socket: when it is listened to, how it is sent to, how it ends. Knows no HTTP."""

from __future__ import annotations

import logging
import select
import socket
import struct
import time
from typing import Protocol

from app.errors import ClientGone
from app.net.loop import READ, Loop, Waiter
from app.net.tls import end_tls
from app.server.crowd import Crowd, Place
from app.server.download import AGAIN, Download
from app.server.limits import Limits
from app.server.pace import Pace

LOG = logging.getLogger(__name__)

LINGER_TIME = 2.0
LINGER_BYTES = 1 << 20
"""Seconds and bytes for which a closed side is still read: closing over unread bytes resets the connection, and
the client may lose the answer (RFC 9112, 9.6)."""

GONE = select.POLLERR | select.POLLHUP | select.POLLRDHUP

RESET = struct.pack("ii", 1, 0)


class Host(Protocol):
    """What a link needs of the server that accepted it."""

    loop: Loop
    limits: Limits
    crowd: Crowd


class Link:
    """One accepted socket, and its place in the crowd. A subclass says what is done with the bytes."""

    __slots__ = ("_download", "_host", "_linger", "_listener", "_place", "_waiter", "closed", "deadline", "sock")

    def __init__(self, host: Host, sock: socket.socket) -> None:
        self._host = host
        self.sock = sock
        self.closed = False
        self.deadline = time.monotonic() + host.limits.header_timeout
        self._waiter = Waiter(host.loop)
        self._listener: object | None = None
        self._linger = -1
        self._download: Download | None = None
        self._place: Place | None = None
        self._move(host.crowd.idle)
        host.loop.timed.add(self)

    # For the subclass to say.

    def readable(self, _: int = 0) -> None:
        """The socket may have bytes."""
        raise NotImplementedError

    def expire(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    def give_way(self) -> None:
        """There are too many, and this one is missed least."""
        raise NotImplementedError

    @property
    def held(self) -> int:
        """Bytes of a head that is not whole."""
        raise NotImplementedError

    def idle_for(self, now: float) -> float:
        """Of a transfer: seconds since the client moved a byte of it."""
        raise NotImplementedError

    def _place_served(self) -> Place | None:
        """Where a connection belongs that is served and whose client is not waited for."""
        raise NotImplementedError

    def _on_close(self) -> None:
        """The socket is closed."""
        raise NotImplementedError

    def _move(self, place: Place | None) -> None:
        """To the end of a place of the crowd, as the one that has moved last."""
        if self._place is not None:
            del self._place[self]
        self._place = place
        if place is not None:
            place[self] = None

    # Sending.

    def write(self, data: bytes) -> None:
        """Send all of it; blocks the greenlet while the client takes none, as long as that reads fast enough.

        Raises `ClientGone`.
        """
        try:
            sent = self.sock.send(data)
        except AGAIN:
            sent = 0
        except OSError:
            raise ClientGone from None
        if sent < len(data):
            self._write_rest(memoryview(data)[sent:])

    def _write_rest(self, rest: memoryview) -> None:
        limits, crowd = self._host.limits, self._host.crowd
        if self._download is None:
            pace = Pace(limits.body_rate, limits.body_grace)
            self._download = Download(self.sock, self._waiter, pace, limits.body_timeout)
        self._move(crowd.downloads)
        try:
            self._download.send(rest)
        finally:
            if self._place is crowd.downloads:
                self._move(self._place_served())

    # The link's life.

    def _listen(self) -> None:
        if self._listener is None and not self.closed:
            self._listener = self._host.loop.listen(READ, self.sock.fileno(), self.readable)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._host.loop.forget(self._listener)
            self._listener = None

    def _hang_up(self) -> None:
        """Close our side, and read on a little."""
        self._linger = LINGER_BYTES
        self._move(self._host.crowd.leaving)
        self.deadline = time.monotonic() + LINGER_TIME
        end_tls(self.sock)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._listen()

    def _discard(self, data: bytes) -> None:
        """What comes after our side was closed."""
        self._linger -= len(data)
        if self._linger <= 0:
            self.close()

    def _gone(self) -> bool:
        """Whether the client has closed its side, with or without a word; also while its bytes are left unread."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return any(events & GONE for _, events in poll.poll(0))

    def abort(self) -> None:
        """Close by a reset: even a response that ends by closing is then seen to be cut."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError:
            LOG.debug("the connection was closed already")
        self.close(in_order=False)

    def close(self, *, in_order: bool = True) -> None:
        if self.closed:
            return
        self.closed = True
        self._stop_listening()
        if in_order:
            end_tls(self.sock)
        self._move(None)
        self._host.loop.timed.discard(self)
        self.sock.close()
        self._on_close()
