"""Workers that stand still: their stacks are in the log, and another one serves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Process, a_broker, children, read_all, started, until

ECHO = str(Path(__file__).with_name("echo.py"))


def _watched(workers: int, **env: str) -> contextlib.AbstractContextManager[Process]:
    supervision = {"watchdog_timeout": 1.0, "start_timeout": 1.0}
    return started(ECHO, str(workers), env={"SUPERVISION": json.dumps(supervision), **env})


def _serving(process: Process) -> int:
    return sum("serves" in line for line in process.lines)


def _logged(process: Process, *words: str) -> bool:
    return any(all(word in line for word in words) for line in process.lines)


@pytest.mark.parametrize(("path", "at"), [(b"/spin", "in spin"), (b"/run-away", "in run_away")])
def test_a_worker_that_stands_still_is_replaced_and_its_stacks_are_logged(path: bytes, at: str) -> None:
    with _watched(1) as process, process.connect() as waiting:
        until(lambda: _serving(process) == 1)
        waiting.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        process.read_until("waits")
        (stalled,) = children(process.popen.pid)
        with process.connect() as sock:
            sock.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            since = time.monotonic()
            until(lambda: _serving(process) == 2)
            assert 0.8 < time.monotonic() - since < 2.5
        assert stalled not in children(process.popen.pid)
        assert process.ask("GET", "/")[2] == b"hello"
        assert process.end() == 0
    assert _logged(process, f"pid {stalled}", "has been silent for 1.0 s and is killed")
    text = "".join(process.lines)
    assert at in text
    assert "greenlets (most recent call first)" in text
    assert "in waiting\n" in text  # of the request that waits meanwhile
    assert _logged(process, f"pid {stalled}", "was killed by SIGKILL", "the next one starts now")
    assert "want of memory" not in text


def test_one_that_is_stopped_is_replaced_and_it_is_said_that_it_is() -> None:
    with _watched(2) as process:
        until(lambda: _serving(process) == 2)
        stopped = children(process.popen.pid)[0]
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: _serving(process) == 3)
        assert stopped not in children(process.popen.pid)
        assert _logged(process, f"pid {stopped}", "nothing that it could tell: it is stopped")
        assert process.end() == 0


def test_one_that_is_heard_again_is_left_alone() -> None:
    with _watched(1) as process:
        until(lambda: _serving(process) == 1)
        (worker,) = children(process.popen.pid)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(0.85)  # it is asked at 0.75, and killed at 1
        os.kill(worker, signal.SIGCONT)
        process.read_until("was silent for a while, and is heard again")
        assert children(process.popen.pid) == [worker]
        assert process.end() == 0


def test_a_broker_that_was_stopped_as_a_whole_kills_nobody() -> None:
    """A container that was paused, a machine that was suspended: the workers first, as it may happen."""
    with _watched(2) as process:
        until(lambda: _serving(process) == 2)
        workers = children(process.popen.pid)
        everybody = [*workers, process.popen.pid]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2)
        for pid in reversed(everybody):
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.1)
        assert process.ask("GET", "/")[2] == b"hello"
        assert children(process.popen.pid) == workers
        assert process.end() == 0
    assert not _logged(process, "is killed")


def test_one_that_never_begins_to_serve_is_replaced_too() -> None:
    with _watched(1, START="hangs") as process:
        (hanging,) = children(process.popen.pid)
        process.read_until(rf"pid {hanging}\) has not begun to serve for 1.0 s and is killed")
        until(lambda: children(process.popen.pid) not in ([hanging], []))
        assert _logged(process, "in build")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(20) == 0


def test_one_that_stands_still_while_it_drains_does_not_hold_the_end_up() -> None:
    with _watched(1) as process, process.connect() as sock:
        until(lambda: _serving(process) == 1)
        sock.sendall(b"GET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        since = time.monotonic()
        assert process.end() == 0
        assert time.monotonic() - since < 3
    assert _serving(process) == 1


def test_livez_tells_of_a_silent_worker_until_it_is_replaced(framework: str) -> None:
    with a_broker(framework, 2, BROKER_SERVER_WATCHDOG_TIMEOUT="4") as broker:
        until(lambda: _serving(broker) == 2)
        pid = next(int(str(entry["pid"])) for entry in broker.log() if entry["message"] == "worker 1 serves")
        os.kill(pid, signal.SIGSTOP)
        since = time.monotonic()
        until(lambda: _livez(broker) == (503, b"workers in slots 1 are missing or silent"))
        until(lambda: _livez(broker) == (200, b"ok"))
        assert 3.5 < time.monotonic() - since < 6
        assert 'restarts_total{reason="stalled"} 1.0' in broker.ask("GET", "/metrics")[2].decode()
        assert broker.end() == 0


def _livez(broker: Process) -> tuple[int, bytes]:
    """By whom it is answered in a second: connections to a worker that is stopped hang."""
    with contextlib.suppress(TimeoutError, OSError), broker.connect(1) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
        return int(head[9:12]), body
    return 0, b""


def test_an_exporter_that_stands_still_is_replaced_too(framework: str) -> None:
    with a_broker(framework, 1, BROKER_SERVER_WATCHDOG_TIMEOUT="1") as broker:
        until(lambda: _serving(broker) == 1)
        (worker,) = (int(str(entry["pid"])) for entry in broker.log() if entry["message"] == "worker 0 serves")
        (exporter,) = set(children(broker.popen.pid)) - {worker}
        os.kill(exporter, signal.SIGSTOP)
        broker.read_until(rf"the exporter \(pid {exporter}\) has been silent for 1.0 s and is killed")
        until(lambda: broker.ask("GET", "/metrics")[0] == 200)
        assert broker.end() == 0
