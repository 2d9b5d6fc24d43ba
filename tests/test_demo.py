"""`make run`: what it prints works, and it ends all that it started."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Process, children, started, until


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *descendants(child))]


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_three_requests_work_and_nothing_is_left(framework: str, signo: int, host: str) -> None:
    env = {"WEB_FRAMEWORK": framework, "BROKER_SERVER_PORT": "0", "BROKER_SERVER_HOST": host}
    with started("-m", "app", "demo", "--simulator-host", host, env=env) as demo:
        demo.read_until("Ctrl-C ends everything")
        commands = re.findall(r"^  (curl .*)$", "".join(demo.lines), flags=re.MULTILINE)
        assert len(commands) == 3
        for command in commands:
            asked = subprocess.run([*shlex.split(command), "-fsS"], capture_output=True, text=True, timeout=20)
            assert asked.returncode == 0, asked.stderr
            assert asked.stdout.startswith(("[{", "{"))
        pids = descendants(demo.popen.pid)
        assert len(pids) >= 4
        assert demo.end(signo) == 0
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_make_run_ends_all_that_it_started(signo: int) -> None:
    """A signal to make alone; Ctrl-C in a terminal reaches its children too, as the test above has it."""
    env = {**os.environ, "BROKER_SERVER_PORT": "0", "PYTHONUNBUFFERED": "1"}
    popen = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    make = Process(popen)
    try:
        make.read_until("Ctrl-C ends everything")
        pids = descendants(popen.pid)
        assert len(pids) >= 5
        if signo == signal.SIGINT:
            os.killpg(popen.pid, signo)
        else:
            popen.send_signal(signo)
        popen.wait(30)
        until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])
    finally:
        make.close()


def test_nothing_is_left_of_a_killed_demonstration() -> None:
    with started("-m", "app", "demo", env={"BROKER_SERVER_PORT": "0"}) as demo:
        demo.read_until("Ctrl-C ends everything")
        pids = descendants(demo.popen.pid)
        demo.popen.kill()
        until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])


def test_a_used_port_is_one_line_and_ends_all() -> None:
    with started("-m", "app", "demo", env={"BROKER_SERVER_PORT": "0"}) as demo:
        env = {"PATH": "/usr/bin:/bin", "BROKER_SERVER_PORT": str(demo.port)}
        second = subprocess.run(
            [sys.executable, "-m", "app", "demo"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 78
        assert second.stderr.count("\n") == 1
        assert f"port {demo.port}" in second.stderr


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_ended_at_once_every_worker_ends(signo: int) -> None:
    """Its signal may come right after a worker's fork; one that misses it would be killed after 35 s."""
    for _ in range(5):
        with started("-m", "app", "demo", env={"BROKER_SERVER_PORT": "0"}) as demo:
            demo.read_until("Ctrl-C ends everything")
            if signo == signal.SIGINT:
                os.killpg(demo.popen.pid, signo)
            else:
                demo.popen.send_signal(signo)
            assert demo.popen.wait(15) == 0
