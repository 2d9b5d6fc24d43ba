"""A name server for a network of a row's own: A records of some names, at 127.0.0.1 port 53 (RFC 1035)."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
A = 1
TTL = 0


class NameServer:
    """Answers in a thread. `addresses` may change at any time; `rcode` is what it answers; `silent`: nothing."""

    def __init__(self, **addresses: tuple[str, ...]) -> None:
        self.addresses = {name.replace("_", "-").encode(): found for name, found in addresses.items()}
        self.rcode = NO_ERROR
        self.silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):  # it wakes the thread, and complains that nobody is connected
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if not client:
                return
            if not self.silent:
                self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        """To one question, which stands behind twelve bytes: labels, a zero, type and class."""
        end = query.index(0, 12) + 5
        question, (kind,) = query[12:end], struct.unpack("!H", query[end - 4 : end - 2])
        first = question[1 : 1 + question[0]]
        found = self.addresses.get(first, ()) if kind == A and self.rcode == NO_ERROR else ()
        rcode = self.rcode if first in self.addresses else NO_SUCH_NAME
        records = b"".join(struct.pack("!HHHIH", 0xC00C, A, 1, TTL, 4) + socket.inet_aton(address) for address in found)
        return query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(found), 0, 0) + question + records
