"""Names to addresses, without blocking the loop: the system's own resolver in a thread.

`getaddrinfo` honours /etc/hosts, search domains and the node's cache, as the operator expects; eventlet's
greendns has its own opinion of each. An answer is kept for a short time, so that a pod's new address is
found within seconds; while look-ups fail, the last good answer serves.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from typing import NamedTuple

import eventlet
from eventlet import tpool

from app.errors import UpstreamRefused, UpstreamTimeout

LOG = logging.getLogger(__name__)

KEPT = 5.0
"""Seconds for which an answer is taken as it is."""


class Address(NamedTuple):
    """Where to connect: a socket family and the address as `socket.connect` takes it."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


class Resolver:
    """Resolves and remembers, for one worker."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], tuple[float, list[Address]]] = {}

    def resolve(self, host: str, port: int, seconds: float) -> list[Address]:
        """The addresses of `host`, best first, within `seconds`.

        Raises `UpstreamRefused` if there is no such name, `UpstreamTimeout` if the resolver does not answer.
        """
        known = self._answers.get((host, port))
        if known and known[0] > time.monotonic():
            return known[1]
        try:
            addresses = _literal(host, port) or _look_up(host, port, seconds)
        except (UpstreamRefused, UpstreamTimeout) as error:
            if not known:
                raise
            LOG.warning("%s The last good answer is used.", error.message)
            addresses = known[1]
        self._answers[host, port] = (time.monotonic() + KEPT, addresses)
        return addresses


def _literal(host: str, port: int) -> list[Address]:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return []
    if version == 4:
        return [Address(socket.AF_INET, (host, port))]
    return [Address(socket.AF_INET6, (host, port, 0, 0))]


def _look_up(host: str, port: int, seconds: float) -> list[Address]:
    try:
        with eventlet.Timeout(seconds):
            found = tpool.execute(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    except eventlet.Timeout:
        raise UpstreamTimeout(f"The resolver did not find {host} in time; check the name service.") from None
    except (OSError, UnicodeError):
        raise UpstreamRefused(f"There is no host {host}; check the address and the name service.") from None
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
