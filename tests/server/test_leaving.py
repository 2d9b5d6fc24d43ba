"""Clients that leave at awkward moments: nothing of them stays behind, and nobody else notices."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.conftest import Process, read_all, started

LIMITS = {"body_timeout": 0.3, "connections": 3, "requests": 1, "uploads": 2}
UNREAD = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def echo() -> Iterator[Process]:
    with started("tests/server/echo.py", "1", json.dumps(LIMITS)) as process:
        yield process
        assert process.end() == 0
    assert not [line for line in process.lines if "Traceback" in line]


def answered(echo: Process, stack: contextlib.ExitStack, data: bytes) -> socket.socket:
    """A connection whose first answer is there."""
    sock = stack.enter_context(echo.connect())
    sock.sendall(data)
    assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    return sock


def test_one_that_leaves_while_its_unread_body_is_awaited_is_forgotten(echo: Process) -> None:
    """Else it is the first to be closed for others, and never goes."""
    with contextlib.ExitStack() as stack:
        answered(echo, stack, UNREAD).close()
        later = answered(echo, stack, UNREAD)
        assert read_all(later) == b""  # its time is over, and that of the one before it
        idle = [answered(echo, stack, GET % b"/") for _ in range(3)]
        assert echo.ask("GET", "/")[0] == 200
        assert idle[0].recv(1) == b""


def test_one_whose_unread_body_is_awaited_leaves_the_bound_of_requests_as_it_is(echo: Process) -> None:
    with contextlib.ExitStack() as stack:
        answered(echo, stack, UNREAD)
        stack.enter_context(echo.connect()).sendall(GET % b"/wait")
        assert echo.raw(GET % b"/").startswith(b"HTTP/1.1 503 ")


def test_a_pipelining_client_that_leaves_disturbs_nothing(echo: Process) -> None:
    """What else is done at that tick is done: the fixture looks for a traceback."""
    with echo.connect() as sock:
        sock.sendall(GET % b"/wait" + GET % b"/")
        echo.read_until("waits")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    echo.read_until("waits no longer")
    assert echo.ask("GET", "/")[0] == 200
