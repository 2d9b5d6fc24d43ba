"""A worker that has grown beyond `worker_memory_max`: another one serves before it drains, and no request is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

from tests.conftest import Process, a_broker, children, started, until

ECHO = str(Path(__file__).with_name("echo.py"))
MOST = 150 << 20


def _bounded(workers: int) -> contextlib.AbstractContextManager[Process]:
    return started(ECHO, str(workers), env={"SUPERVISION": json.dumps({"memory_max": MOST})})


def _serving(process: Process) -> int:
    return sum("serves" in line for line in process.lines)


class Steady(threading.Thread):
    """A client that opens a connection for each request, and remembers whatever was no answer."""

    def __init__(self, process: Process) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.over = threading.Event()
        self.asked = 0
        self.lost: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            try:
                status, _, body = self.process.ask("GET", "/")
                if (status, body) != (200, b"hello"):
                    self.lost.append(f"{status}")
            except OSError as error:
                self.lost.append(repr(error))
            self.asked += 1

    def end(self) -> None:
        self.over.set()
        self.join()


def test_the_only_worker_is_replaced_without_a_loss_and_ends_its_own_requests() -> None:
    with _bounded(1) as process, process.connect() as busy:
        until(lambda: _serving(process) == 1)
        (grown,) = children(process.popen.pid)
        busy.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        assert busy.recv(4096).startswith(b"HTTP/1.1 200")
        client = Steady(process)
        client.start()
        assert process.ask("GET", "/grow")[2] == b"hello"
        process.read_until(rf"worker 0 \(pid {grown}\) holds 2\d\d MiB of memory, more than 150.*: worker 1 takes its")
        until(lambda: _serving(process) == 2)
        assert grown in children(process.popen.pid)  # it is still at the request from before
        busy.sendall(b"llo")
        process.read_until(rf"worker 0 \(pid {grown}\) exited with status 0 .*; its successor is there")
        client.end()
        assert b"llo" in busy.recv(4096)
        assert len(children(process.popen.pid)) == 1
        assert (client.lost, client.asked > 20) == ([], True)
        assert process.end() == 0


def test_of_two_that_have_grown_one_is_replaced_at_a_time() -> None:
    with _bounded(2) as process, contextlib.ExitStack() as stack:
        until(lambda: _serving(process) == 2)
        first = children(process.popen.pid)
        socks = [stack.enter_context(process.connect()) for _ in range(8)]
        for sock in socks[:4]:  # both get some
            sock.sendall(b"GET /grow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(4096).endswith(b"hello")
        process.read_until("takes its place")
        most = 0
        since = time.monotonic()
        while any(pid in children(process.popen.pid) for pid in first) and time.monotonic() - since < 30:
            most = max(most, len(children(process.popen.pid)))
            time.sleep(0.05)
        assert most == 3
        assert not set(first) & set(children(process.popen.pid))
        assert process.end() == 0
    assert sum("takes its place" in line for line in process.lines) == 2


def test_one_that_dies_before_its_successor_serves_is_not_missed() -> None:
    with _bounded(1) as process:
        until(lambda: _serving(process) == 1)
        (grown,) = children(process.popen.pid)
        assert process.ask("GET", "/grow")[2] == b"hello"
        process.read_until("takes its place")
        os.kill(grown, signal.SIGKILL)
        until(lambda: grown not in children(process.popen.pid))
        until(lambda: _serving(process) == 2)
        assert process.ask("GET", "/")[2] == b"hello"
        assert len(children(process.popen.pid)) == 1
        assert process.end() == 0


def test_workers_within_the_bound_stay_and_livez_misses_nobody(framework: str) -> None:
    with a_broker(framework, 2, BROKER_SERVER_WORKER_MEMORY_MAX="1000") as broker:
        until(lambda: _serving(broker) == 2)
        pids = children(broker.popen.pid)
        assert broker.ask("GET", "/livez")[0] == 200
        time.sleep(2.5)  # it has been looked at by then
        assert children(broker.popen.pid) == pids
        assert broker.ask("GET", "/livez")[0] == 200


def test_a_bound_that_a_fresh_worker_is_beyond_is_said_once_and_its_growth_counts() -> None:
    """Else each worker would be replaced for the next one, for ever."""
    with started(ECHO, "2", env={"SUPERVISION": json.dumps({"memory_max": 5 << 20})}) as process:
        until(lambda: _serving(process) == 2)
        pids = children(process.popen.pid)
        process.read_until(
            r"worker_memory_max is 5 MiB, which is too little: a worker holds [23]\d when it begins to serve"
        )
        time.sleep(2.5)  # it has been looked at once more by then
        assert children(process.popen.pid) == pids
        assert process.ask("GET", "/grow")[2] == b"hello"
        process.read_until(r"holds 2\d\d MiB of memory, more than [345]\d \(worker_memory_max\)")
        until(lambda: not set(pids) <= set(children(process.popen.pid)))
        assert process.end() == 0
    assert sum("too little" in line for line in process.lines) == 1
