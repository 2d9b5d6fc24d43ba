"""Rule 14: a client that leaves has its request at the plugin cancelled within a second; the times are measured."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from statistics import median

import pytest

from tests.conftest import Process, until
from tests.rules.conftest import request
from tests.rules.plugin import Asked, Plugin, Wire, says_and_waits
from tests.rules.reading import Session

ZERO_LINGER = struct.pack("ii", 1, 0)
TIMES = 5
HELLO = b"HTTP/1.1 200 OK\r\n"
PIECE = b"x" * 65536
CHUNKED = b"Transfer-Encoding: chunked"

Scene = Callable[[Plugin, Session], None]
"""Brings a request to the point at which its client leaves."""


def asks(plugin: Plugin, session: Session) -> None:
    plugin.answers(says_and_waits())
    session.send(request())
    plugin.wait()


def reads_an_answer_that_pauses(plugin: Plugin, session: Session) -> None:
    plugin.answers(says_and_waits(HELLO + CHUNKED + b"\r\n\r\n4\r\nhalf\r\n"))
    session.send(request())
    got = b""
    while b"half" not in got:
        got += session.sock.recv(4096)


def pours(wire: Wire, _: Asked) -> None:
    wire.read_body()
    wire.send(HELLO + b"Content-Length: 10000000000\r\n\r\n")
    while True:
        wire.send(PIECE)


def reads_an_answer_that_pours(plugin: Plugin, session: Session) -> None:
    plugin.answers(pours)
    session.send(request())
    for _ in range(20):
        assert session.sock.recv(65536)


def does_not_read_an_answer_that_pours(plugin: Plugin, session: Session) -> None:
    """Every buffer on the way is full."""
    sent = [0, 0]

    def step(wire: Wire, _: Asked) -> None:
        wire.read_body()
        wire.send(HELLO + b"Content-Length: 10000000000\r\n\r\n")
        while True:
            wire.send(PIECE)
            sent[0] += 1

    def still() -> bool:
        before, sent[1] = sent[1], sent[0]
        return 0 < before == sent[0]

    plugin.answers(step)
    session.send(request())
    until(still)


def pauses_an_upload(plugin: Plugin, session: Session) -> None:
    session.send(request(b"Content-Length: 1000000", method=b"PUT", body=b"x" * 100_000))
    plugin.wait()


def pauses_a_chunked_upload(plugin: Plugin, session: Session) -> None:
    session.send(request(CHUNKED, method=b"POST", body=b"3\r\nabc\r\n"))
    plugin.wait()


def uploads_to_a_plugin_that_does_not_read(plugin: Plugin, session: Session) -> None:
    """Every buffer on the way is full: the broker reads no more of the client."""

    def step(wire: Wire, _: Asked) -> None:
        while wire.sock.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 1)[0] == 1:  # established
            time.sleep(0.005)  # the kernel tells of a reset only who asks
        wire.close()

    plugin.answers(step)
    session.sock.setblocking(False)
    session.sock.send(request(b"Content-Length: 10000000000", method=b"PUT"))
    sent = [0, 0]

    def still() -> bool:
        try:
            while True:
                sent[0] += session.sock.send(PIECE)
        except BlockingIOError:
            before, sent[1] = sent[1], sent[0]
            return 0 < before == sent[0]

    until(still)
    plugin.wait()


def pipelines(plugin: Plugin, session: Session) -> None:
    """More of its requests are here than are wanted yet, so that the connection is not read."""
    plugin.answers(says_and_waits())
    session.send(request() * 3 + request(b"Content-Length: 100000", method=b"PUT", body=b"x" * 100_000))
    plugin.wait()


SCENES: list[Scene] = [
    asks, reads_an_answer_that_pauses, reads_an_answer_that_pours, does_not_read_an_answer_that_pours, pauses_an_upload,
    pauses_a_chunked_upload, uploads_to_a_plugin_that_does_not_read, pipelines,
]  # fmt: skip


CASES = [(scene, how) for scene in SCENES for how in ("fin", "rst")]
CASES.remove((uploads_to_a_plugin_that_does_not_read, "fin"))  # which waits in the client's kernel behind its data


@pytest.mark.parametrize(("scene_of", "how"), CASES, ids=[f"{scene.__name__}-{how}" for scene, how in CASES])
def test_rule_14_a_client_that_leaves_cancels_its_request(
    broker: Process, plugin: Plugin, scene_of: Scene, how: str, record_property: Callable[[str, object], None]
) -> None:
    """`pytest -rP` prints the times; the broker looks at its waiting clients each 0.1 s."""
    times = []
    for _ in range(TIMES):
        plugin.reset()
        with broker.connect() as sock:
            scene_of(plugin, Session(sock))
            if how == "rst":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ZERO_LINGER)
            left = time.monotonic()
        asked = plugin.asked[0]
        assert asked.ended.wait(5), "the request was not cancelled"
        times.append(asked.ended_at - left)
        assert len(plugin.asked) == 1
    record_property("seconds to cancel", times)
    print(f"cancel: {scene_of.__name__}, {how}: median {median(times):.3f} s, most {max(times):.3f} s")
    assert max(times) < 1


def test_rule_14_the_broker_counts_it_as_499(broker: Process, plugin: Plugin) -> None:
    def counted() -> float:
        lines = broker.ask("GET", "/metrics")[2].decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if "http_requests_total{" in line and '"499"' in line
        )

    before = counted()
    with broker.connect() as sock:
        asks(plugin, Session(sock))
    assert plugin.asked[0].ended.wait(5)
    until(lambda: counted() == before + 1)
