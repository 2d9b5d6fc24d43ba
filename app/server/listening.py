"""The socket that all workers share: how it is opened, and how it is closed without a loss."""

from __future__ import annotations

import ctypes
import errno
import logging
import socket
import struct

from app.errors import ConfigurationError

LOG = logging.getLogger(__name__)

DEFER_ACCEPT = 5
"""Seconds the kernel waits for the first bytes before a connection is accepted; 15 us a connection saved."""

UNSENT = 131072
"""Bytes that the kernel holds for a client that does not read, beyond what is on its way; else some 2 MB each."""

SO_ATTACH_FILTER = 26
"""Linux's number, which the socket module does not have."""

NO_NEW_ONES = (
    (0x30, 0, 0, 13),  # the byte of TCP's flags (RFC 9293, 3.1)
    (0x45, 0, 1, 0x02),  # SYN is set:
    (0x06, 0, 0, 0),  # drop the segment
    (0x06, 0, 0, 0xFFFFFFFF),  # else keep it
)
"""A filter of segments that come to a listening socket (classic BPF: code, jump if true, if false, operand)."""


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
    socket is closed, which resets what waits there. Whoever comes now tries again a second later, and is refused."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in NO_NEW_ONES)
    program = ctypes.create_string_buffer(code)
    try:
        filter_ = struct.pack("HL", len(NO_NEW_ONES), ctypes.addressof(program))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
    except OSError as error:  # a kernel without such filters: who comes within a few microseconds is reset
        LOG.debug("no filter for the listening socket: %s", error)
