"""The socket that all workers share: how it is opened, and how it is closed without a loss."""

from __future__ import annotations

import errno
import logging
import socket

from app.errors import ConfigurationError

LOG = logging.getLogger(__name__)

DEFER_ACCEPT = 5
"""Seconds the kernel waits for the first bytes before a connection is accepted; 15 us a connection saved."""

UNSENT = 131072
"""Bytes that the kernel holds for a client that does not read, beyond what is on its way; else some 2 MB each."""

IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73
"""Linux's numbers (ip(7), `linux/in6.h`), which the socket module does not have."""

FARTHEST = 255
"""Hops that a packet may have left at most; hosts begin with 64 or 128, and packets of less than the least are dropped
(RFC 5082)."""


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


def accept_silent_ones(listener: socket.socket) -> None:
    """Connections that have sent nothing yet come through too, with the kernel's next try within a second or two.
    Those that it holds back when the socket is closed are reset."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)


def refuse_new(listener: socket.socket) -> None:
    """For all who share it: begin no more connections, so that those that have begun can all be accepted before the
    socket is closed, which resets what waits there. Whoever comes now tries again a second later, and is refused.

    By a least count of hops, which Linux asks of a SYN, and not of what completes a handshake; a packet filter would
    say it more plainly, but takes CAP_NET_ADMIN on newer kernels. An accepted connection inherits the count: `hear` it.
    """
    _set_least_hops(listener, FARTHEST)


def hear(accepted: socket.socket) -> None:
    """A connection that was accepted after `refuse_new`: what its client sends counts. What was dropped comes again."""
    _set_least_hops(accepted, 0)


def _set_least_hops(sock: socket.socket, least: int) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)
    except OSError as error:  # closed by its client; or a kernel without: who comes within a few microseconds is reset
        LOG.debug("no least count of hops: %s", error)
