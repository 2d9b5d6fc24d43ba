"""Several workers on one socket: their shares, their deaths, and their end."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT, Process, a_broker, children, read_all, started, until

ECHO = str(Path(__file__).with_name("echo.py"))
PID = b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def four() -> Iterator[Process]:
    with started(ECHO, "4") as process:
        _all_serve(process, 4)
        yield process


def _all_serve(process: Process, workers: int) -> None:
    until(lambda: sum("serves" in line for line in process.lines) >= workers)


def _ask_pid(sock: socket.socket) -> int:
    sock.sendall(PID)
    answer = b""
    while not (answer.count(b"\r\n\r\n") and answer.rpartition(b"\r\n\r\n")[2]):
        answer += sock.recv(4096)
    return int(answer.rpartition(b"\r\n\r\n")[2])


def _busiest(counts: Counter[int], workers: int) -> float:
    return max(counts.values()) * workers / counts.total()


@pytest.mark.parametrize("repeat", range(20))
def test_40_kept_connections_over_4_workers_within_1_3_of_the_mean(four: Process, repeat: int) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(four.connect()) for _ in range(40)]
        with ThreadPoolExecutor(40) as threads:
            counts = Counter(threads.map(_ask_pid, socks))
        assert _busiest(counts, 4) <= 1.3, counts
    until(lambda: _held(four) <= 1)


def _held(process: Process) -> int:
    """Connections that the workers hold, the asking one included."""
    answer = process.raw(b"GET /slots HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return sum(held for held, _ in json.loads(answer.rpartition(b"\r\n\r\n")[2]))


def test_40_connections_opened_one_by_one_are_shared_too(four: Process) -> None:
    with contextlib.ExitStack() as stack:
        counts = Counter(_ask_pid(stack.enter_context(four.connect())) for _ in range(40))
        assert _busiest(counts, 4) <= 1.3, counts


def test_connections_of_one_request_are_shared_too(four: Process) -> None:
    """As `ab` without keep-alive: 2,000 connections, 50 at a time. Once of three times, since a worker that gets less of
    the CPU than others for a while rightly takes less."""

    def ask(_: int) -> int:
        with four.connect() as sock:
            return _ask_pid(sock)

    def shared() -> Counter[int]:
        with ThreadPoolExecutor(50) as threads:
            return Counter(threads.map(ask, range(2000)))

    found: list[Counter[int]] = []
    while not (found and _busiest(found[-1], 4) <= 1.3):
        assert len(found) < 3, found
        found.append(shared())


def test_a_killed_worker_is_replaced_and_the_others_serve_on() -> None:
    with started(ECHO, "2") as process:
        _all_serve(process, 2)
        with process.connect() as one, process.connect() as other:
            killed, left = _ask_pid(one), _ask_pid(other)
            assert killed != left
            os.kill(killed, signal.SIGKILL)
            assert read_all(one) in (b"", b"<reset>")
            assert _ask_pid(other) == left
            _all_serve(process, 3)
            assert len(children(process.popen.pid)) == 2
            until(lambda: _serves_new(process) not in (killed, left))
        assert process.end() == 0


def _serves_new(process: Process) -> int:
    with process.connect() as sock:
        return _ask_pid(sock)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_an_end_finishes_what_is_in_flight(signo: int) -> None:
    with started(ECHO, "2") as process:
        _all_serve(process, 2)
        with process.connect() as busy, process.connect() as idle:
            _ask_pid(idle)
            busy.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
            head = busy.recv(4096)
            process.popen.send_signal(signo)
            assert read_all(idle) == b""
            until(lambda: _refused(process))
            busy.sendall(b"llo")
            answer = head + read_all(busy)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"llo" in answer
        assert process.end() == 0


def _refused(process: Process) -> bool:
    with contextlib.suppress(ConnectionRefusedError), process.connect():
        return False
    return True


@pytest.mark.parametrize("repeat", range(5))
def test_ctrl_c_at_once_reaches_workers_that_are_just_forked(repeat: int) -> None:
    """They still have their parent's handlers, and must not take the end for theirs."""
    with started(ECHO, "4") as process:
        os.killpg(process.popen.pid, signal.SIGINT)
        began = time.monotonic()
        process.popen.wait(30)
        assert time.monotonic() - began < 10


def test_signals_that_come_at_once_are_all_heeded() -> None:
    """CPython forgets a signal that is pending while the handler of another raises, as oslo.service's do."""
    with started(ECHO, "1") as process:
        _all_serve(process, 1)
        (worker,) = children(process.popen.pid)
        for signo in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            os.kill(worker, signo)
        until(lambda: worker not in children(process.popen.pid))
        _all_serve(process, 1)
        assert process.end() == 0


def _reloads(process: Process) -> list[int]:
    return [int(found[1]) for line in process.lines if (found := re.search(r"(\d+) reloads", line))]


def test_sighup_reloads_in_every_worker_and_ends_nothing() -> None:
    with started(ECHO, "2") as process:
        _all_serve(process, 2)
        workers = children(process.popen.pid)
        for times in (1, 2):
            process.popen.send_signal(signal.SIGHUP)
            until(lambda times=times: len(_reloads(process)) == 2 * times)
        assert sorted(_reloads(process)) == sorted(2 * workers)
        assert children(process.popen.pid) == workers
        assert process.end() == 0


def test_a_reload_that_fails_ends_nothing() -> None:
    with started(ECHO, "1", env={"RELOAD": "fails"}) as process:
        _all_serve(process, 1)
        for times in (1, 2):
            process.popen.send_signal(signal.SIGHUP)
            until(lambda times=times: len(_reloads(process)) == times)
        until(lambda: sum("could not reload" in line for line in process.lines) == 2)
        assert process.end() == 0


@pytest.mark.parametrize("whom", ["broker", "worker"])
def test_a_storm_of_sighups_leaves_time_for_requests(whom: str) -> None:
    """A reload takes 50 ms here, in which nobody is served, and a signal comes every 5 ms."""
    with started(ECHO, "1", env={"RELOAD_TAKES": "0.05"}) as process:
        _all_serve(process, 1)
        (worker,) = children(process.popen.pid)
        for _ in range(200):
            os.kill(process.popen.pid if whom == "broker" else worker, signal.SIGHUP)
            time.sleep(0.005)
        storm = len(_reloads(process))
        assert 2 <= storm <= (9 if whom == "broker" else 200)
        assert _serves_new(process) == worker
        time.sleep(0.3)
        assert len(_reloads(process)) <= storm + 2
        assert process.end() == 0


@pytest.mark.parametrize("repeat", range(5))
def test_sighup_at_once_ends_no_worker_that_is_just_forked(repeat: int) -> None:
    with started(ECHO, "4") as process:
        os.killpg(process.popen.pid, signal.SIGHUP)
        _all_serve(process, 4)
        until(lambda: len(set(_reloads(process))) == 4)
        assert not [line for line in process.lines if "killed" in line or "exited" in line]
        assert process.end() == 0


def test_a_terminal_that_goes_away_ends_the_broker_in_order() -> None:
    """Which is told by SIGHUP too, to all processes of the terminal at once."""
    terminal, side = pty.openpty()
    with started(ECHO, "2", stdin=side) as process:
        os.close(side)
        _all_serve(process, 2)
        os.close(terminal)
        os.killpg(process.popen.pid, signal.SIGHUP)
        assert process.popen.wait(30) == 0
    assert not [line for line in process.lines if "killed by" in line]


def test_a_second_ctrl_c_cuts() -> None:
    with started(ECHO, "1") as process, process.connect() as busy:
        busy.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        busy.recv(4096)
        process.popen.send_signal(signal.SIGINT)
        until(lambda: _refused(process))
        assert process.end(signal.SIGINT) == 0
        assert not read_all(busy).endswith(b"0\r\n\r\n")


def test_an_unread_body_that_never_comes_does_not_hold_the_end_up() -> None:
    with started(ECHO, "1") as process, process.connect() as sock:
        sock.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        started_at = time.monotonic()
        assert process.end() == 0
        assert time.monotonic() - started_at < 10  # the grace period is 30


def test_what_outlives_the_grace_period_is_cut_and_counted() -> None:
    with started(ECHO, "1", json.dumps({"grace_period": 0.5})) as process, process.connect() as busy:
        busy.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        busy.recv(4096)
        assert process.end() == 0
        assert not read_all(busy).endswith(b"0\r\n\r\n")
    assert [line for line in process.lines if "1 request" in line and "cut" in line], process.lines


def test_without_descriptors_a_worker_waits_and_lives_on() -> None:
    limit = resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE)
    with started(ECHO, "1") as process, contextlib.ExitStack() as stack:
        _all_serve(process, 1)
        (worker,) = children(process.popen.pid)
        in_use = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (in_use + 8, limit[1]))
        socks = [stack.enter_context(process.connect()) for _ in range(30)]
        for sock in socks:
            sock.sendall(PID)
        process.read_until("cannot accept connections")
        for sock in socks[:20]:
            sock.close()
        assert [_answer(sock) for sock in socks[20:]] == [worker] * 10
        assert children(process.popen.pid) == [worker]


def _answer(sock: socket.socket) -> int:
    with sock:
        return int(sock.recv(4096).rpartition(b"\r\n\r\n")[2])


def test_idle_connections_cost_little(four: Process) -> None:
    """2,000 of them: at most 16 KiB each, and nobody waits for them."""
    workers = children(four.popen.pid)
    before = sum(_resident(pid) for pid in workers)
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            _ask_pid(stack.enter_context(four.connect()))
        assert (sum(_resident(pid) for pid in workers) - before) / 2000 < 16384
        with four.connect() as sock:
            assert _ask_pid(sock) in workers


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_used_port_is_one_line(framework: str) -> None:
    with a_broker(framework) as broker:
        environ = {**os.environ, "WEB_FRAMEWORK": framework, "BROKER_SERVER_PORT": str(broker.port)}
        second = subprocess.run(
            [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 78
        assert second.stderr.count("\n") == 1
        assert f"port {broker.port}" in second.stderr
        assert "BROKER_SERVER_PORT" in second.stderr
        assert broker.ask("GET", "/livez")[0] == 200


def test_the_broker_ends_by_sigterm_with_status_0(framework: str) -> None:
    with a_broker(framework, 2) as broker:
        assert broker.ask("GET", "/readyz")[0] == 200
        pids = children(broker.popen.pid)
        assert broker.end() == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_workers_end_when_their_parent_is_killed() -> None:
    with a_broker("django", 2) as broker:
        until(lambda: sum("serves" in line for line in broker.lines) == 2)
        pids = children(broker.popen.pid)
        broker.popen.kill()
        until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])
