"""Processes that end: workers that are killed or end again and again, the parent, and those of nobody."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.conftest import Process, a_broker, children, needs_source, started, until

ECHO = str(Path(__file__).with_name("echo.py"))


def _serving(process: Process) -> int:
    return sum("serves" in line for line in process.lines)


def test_workers_that_are_killed_all_at_once_are_back_at_once() -> None:
    with started(ECHO, "4") as process:
        until(lambda: _serving(process) == 4)
        for times in (2, 3):
            since = time.monotonic()
            for pid in children(process.popen.pid):
                os.kill(pid, signal.SIGKILL)
            until(lambda times=times: _serving(process) == 4 * times)
            assert time.monotonic() - since < 1  # 0.17 where nobody else is at work
        assert process.end() == 0
    ends = [line for line in process.lines if re.search(r"worker \d \(pid \d+\) was killed by SIGKILL", line)]
    assert len(ends) == 8
    assert all("perhaps for want of memory" in line for line in ends)


def test_a_crash_loop_is_slowed_and_said_while_the_others_serve() -> None:
    with started(ECHO, "2") as process:
        until(lambda: _serving(process) == 2)
        steady = children(process.popen.pid)[0]
        for _ in range(5):
            _kill_all_but(process, steady)
        process.read_until(r"exited with status 3|killed by SIGKILL.*early for the 4th time.*starts in 0\.1 s")
        process.read_until(r"early for the 5th time \(10 s\); the next one starts in 0\.2 s")
        assert steady in children(process.popen.pid)
        assert process.end() == 0


def _kill_all_but(process: Process, steady: int) -> None:
    until(lambda: len(children(process.popen.pid)) == 2)
    (other,) = set(children(process.popen.pid)) - {steady}
    os.kill(other, signal.SIGKILL)
    until(lambda: other not in children(process.popen.pid))


def test_workers_that_cannot_start_are_tried_ever_later_and_the_parent_heeds_its_signals() -> None:
    with started(ECHO, "2", env={"START": "fails"}) as process:
        process.read_until(r"worker 1 \(pid \d+\) exited with status 1 .*early for the 6th time.*starts in 0\.4 s")
        assert process.end() == 0
    assert 12 <= sum("exited with status 1" in line for line in process.lines) <= 24  # hundreds, were they not slowed


def test_a_worker_that_ends_by_itself_is_replaced_and_its_status_said() -> None:
    with started(ECHO, "1") as process:
        until(lambda: _serving(process) == 1)
        (worker,) = children(process.popen.pid)
        with process.connect() as sock:
            sock.sendall(b"GET /exit HTTP/1.1\r\nHost: x\r\n\r\n")
        process.read_until(rf"worker 0 \(pid {worker}\) exited with status 3 after \d+\.\d s; the next one starts now")
        assert process.ask("GET", "/")[2] == b"hello"
        assert process.end() == 0


@needs_source
def test_a_worker_that_cannot_even_read_for_want_of_memory_ends_and_is_replaced() -> None:
    """It serves nothing whose end would give any back."""
    with started(ECHO, "1") as process:
        until(lambda: _serving(process) == 1)
        (worker,) = children(process.popen.pid)
        assert process.ask("GET", "/starve")[0] == 200
        process.read_until(rf"worker 0 \(pid {worker}\) exited with status 71 \(for want of memory: .* starts now")
        until(lambda: _serving(process) == 2)
        assert process.ask("GET", "/")[2] == b"hello"
        assert process.end() == 0


def test_where_no_process_is_to_be_had_the_parent_tries_again() -> None:
    """Each place that waits for one says so once."""
    with started(ECHO, "2", env={"FORKS_FAIL": "5"}) as process:
        until(lambda: _serving(process) == 2)
        assert process.end() == 0
    said = [line for line in process.lines if "cannot be started" in line]
    assert len(said) == 2
    assert all("Resource temporarily unavailable; it is tried again every 0.5 s" in line for line in said)
    assert sum("could be started at last" in line for line in process.lines) == 2


def test_what_a_containers_first_process_inherits_is_reaped() -> None:
    """Also of other process groups, which oslo.service does not wait for."""
    with started(ECHO, "1", env={"REAPS": "1"}) as process:
        until(lambda: _serving(process) == 1)
        (worker,) = children(process.popen.pid)
        assert process.ask("GET", "/orphan")[2] == b"hello"
        until(lambda: len(children(process.popen.pid)) == 2)
        until(lambda: children(process.popen.pid) == [worker])
        assert process.end() == 0


@pytest.mark.parametrize("stopped", [False, True], ids=["well", "stopped"])
def test_no_process_outlives_a_parent_that_is_killed(framework: str, stopped: bool) -> None:
    """Nor does the port stay taken: also by one that would heed no word."""
    with a_broker(framework, 2) as broker:
        until(lambda: _serving(broker) == 2)
        pids = children(broker.popen.pid)
        assert len(pids) == 3
        if stopped:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        since = time.monotonic()
        broker.popen.kill()
        until(lambda: not [pid for pid in pids if _alive(pid)])
        assert time.monotonic() - since < 1
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", broker.port))
            sock.listen()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_restarts_are_counted_by_their_reason(framework: str) -> None:
    with a_broker(framework, 2) as broker:
        until(lambda: _serving(broker) == 2)
        pid = next(int(str(entry["pid"])) for entry in broker.log() if "serves" in str(entry["message"]))
        os.kill(pid, signal.SIGKILL)
        until(lambda: _serving(broker) == 3)
        text = broker.ask("GET", "/metrics")[2].decode()
        assert 'multicloud_worker_restarts_total{reason="killed"} 1.0' in text
        assert 'multicloud_worker_restarts_total{reason="stalled"} 0.0' in text


def test_livez_tells_of_a_missing_worker(framework: str) -> None:
    with a_broker(framework, 2) as broker:
        for times in range(1, 7):  # the sixth time it is not replaced at once
            until(lambda times=times: len(_pids(broker, 1)) == times)
            os.kill(_pids(broker, 1)[-1], signal.SIGKILL)
        until(lambda: broker.ask("GET", "/livez")[::2] == (503, b"workers in slots 1 are missing or silent"))
        until(lambda: broker.ask("GET", "/livez")[0] == 200)


def _pids(broker: Process, slot: int) -> list[int]:
    """Of the workers that have served in a slot so far."""
    return [int(str(entry["pid"])) for entry in broker.log() if entry["message"] == f"worker {slot} serves"]
