"""Rule 13: 1 GiB up or down, between fast and slow peers, grows a worker by less than 32 MiB.

`make test` plays the combinations that `PLAYED` names, `make soak-memory` all of them. Peers move large buffers and
look at none of it, so that what is measured is the broker. A slow peer takes (or gives) a burst whenever the other side
has come to a stand: every buffer on the way is full (or empty) in between.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Process, a_broker, children, until
from tests.rules.conftest import last, request, scene_of

GIB = 1 << 30
ALLOWED = 32 << 20
PIECE = bytes(range(256)) * 4096
"""1 MiB."""
CHUNK = b"100000\r\n" + PIECE + b"\r\n"
BURST = 32 << 20
"""Bytes that a slow peer moves at once."""
STILL, LOOKS = 0.01, 6
"""Seconds between two looks at a counter, and how many have to find it where it was: a busy machine pauses too."""


class Case(NamedTuple):
    direction: str
    """up: from the client to the plugin; down: from the plugin to the client."""
    framing: str
    slow: str
    """Which peer is slow: none, sender or receiver."""


CASES = [
    Case(direction, framing, slow)
    for direction in ("up", "down")
    for framing in ("length", "chunked")
    for slow in ("none", "sender", "receiver")
]
PLAYED = {
    "django": {Case("up", "length", "receiver"), Case("down", "chunked", "receiver"), Case("up", "chunked", "sender"), Case("down", "length", "sender")},
    "pecan": {Case("up", "chunked", "none"), Case("down", "length", "none")},
}  # fmt: skip
SOAK = "SOAK" in os.environ


class Flow:
    """What a sender has sent and a receiver has received, in bytes on the wire."""

    def __init__(self) -> None:
        self.sent = self.received = 0

    def wait(self, who: str) -> None:
        """Until a counter moves no more."""
        before, looks = -1, 0
        while looks < LOOKS:
            now = getattr(self, who)
            looks, before = (looks + 1 if now == before else 0), now
            time.sleep(STILL)


def send(sock: socket.socket, flow: Flow, *, chunked: bool, slow: bool) -> None:
    """1 GiB of body."""
    unit = CHUNK if chunked else PIECE
    for number in range(GIB // len(PIECE)):
        if slow and number % (BURST // len(PIECE)) == 0:
            flow.wait("received")
        sock.sendall(unit)
        flow.sent += len(unit)
    if chunked:
        sock.sendall(b"0\r\n\r\n")


def receive(sock: socket.socket, flow: Flow, *, end: bytes | None, slow: bool) -> int:
    """Bytes up to `end` (of a chunked body), or of 1 GiB."""
    buffer = bytearray(1 << 20)
    tail = b""
    burst = 0
    while (flow.received < GIB) if end is None else not tail.endswith(end):
        if slow and burst <= 0:
            flow.wait("sent")
            burst = BURST
        count = sock.recv_into(buffer)
        assert count, "the body was cut"
        flow.received += count
        burst -= count
        tail = (tail + bytes(buffer[max(0, count - 8) : count]))[-8:]
    return flow.received


class Peak:
    """The largest resident set of a process since now, as the kernel keeps it (proc(5), clear_refs)."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.before = self._field("VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _field(self, name: str) -> int:
        (line,) = (line for line in self._status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) << 10

    @property
    def growth(self) -> int:
        return self._field("VmHWM") - self.before


@contextmanager
def plugin_of(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """A plugin that serves each of its connections once, in a thread; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    serve(sock)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def head_of(sock: socket.socket) -> tuple[bytes, bytes]:
    """A head, and what came behind it."""
    got = b""
    while b"\r\n\r\n" not in got:
        data = sock.recv(4096)
        assert data
        got += data
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def worker_of(broker: Process) -> int:
    """Its one worker's pid; it has answered, so that its line is about to be read."""

    def workers() -> list[int]:
        lines = [line for line in broker.lines if "serves" in line]
        return [pid for pid in children(broker.popen.pid) if any(f'"pid": {pid},' in line for line in lines)]

    until(workers)
    (worker,) = workers()
    return worker


def down(broker: Process, case: Case, flow: Flow) -> None:
    with broker.connect(60) as sock:
        sock.sendall(last())
        head, rest = head_of(sock)
        assert head.startswith(b"HTTP/1.1 200 ")
        flow.received = len(rest)
        chunked = case.framing == "chunked"
        assert (b"Transfer-Encoding: chunked" in head) == chunked
        assert receive(sock, flow, end=b"\r\n0\r\n\r\n" if chunked else None, slow=case.slow == "receiver") >= GIB
        assert not sock.recv(1)


def up(broker: Process, case: Case, flow: Flow) -> None:
    chunked = case.framing == "chunked"
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % GIB
    with broker.connect(60) as sock:
        sock.sendall(request(framing, b"Connection: close", method=b"PUT"))
        send(sock, flow, chunked=chunked, slow=case.slow == "sender")
        assert head_of(sock)[0].startswith(b"HTTP/1.1 200 ")


def serve_of(case: Case, flow: Flow) -> Callable[[socket.socket], object]:
    chunked = case.framing == "chunked"

    def serve(sock: socket.socket) -> None:
        head, rest = head_of(sock)
        if head.startswith(b"GET"):
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % GIB
            sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + framing + b"\r\n\r\n")
            send(sock, flow, chunked=chunked, slow=case.slow == "sender")
            return
        flow.received = len(rest)
        assert receive(sock, flow, end=b"\r\n0\r\n\r\n" if chunked else None, slow=case.slow == "receiver") >= GIB
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    return serve


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_rule_13_a_gibibyte_costs_less_than_32_mib(
    framework: str, case: Case, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    if not SOAK and case not in PLAYED[framework]:
        pytest.skip("make soak-memory plays it")
    flow = Flow()
    with plugin_of(serve_of(case, flow)) as port, a_broker(framework, 1, **scene_of(port, tmp_path)) as broker:
        assert broker.ask("GET", "/api/multicloud/v0/vim_types")[0] == 200
        peak = Peak(worker_of(broker))
        started = time.monotonic()
        (up if case.direction == "up" else down)(broker, case, flow)
        seconds, growth = time.monotonic() - started, peak.growth
    record_property("MiB of growth", growth / (1 << 20))
    print(f"memory: {framework}, {'-'.join(case)}: {growth / (1 << 20):.1f} MiB, {seconds:.1f} s")
    assert (flow.sent, flow.received) >= (GIB, GIB)
    assert growth < ALLOWED
