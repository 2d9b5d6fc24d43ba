"""Standard output that takes no more: requests are served, workers replaced, and the end is in order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

from tests.conftest import LISTENS, ROOT, Process, children, until


def test_whoever_reads_the_log_may_go(framework: str) -> None:
    env = {
        **os.environ,
        "WEB_FRAMEWORK": framework,
        "BROKER_SERVER_PORT": "0",
        "BROKER_SERVER_WORKERS": "2",
        "BROKER_SERVER_DRAIN_PAUSE": "0",
    }
    popen = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with popen:
        assert popen.stdout is not None
        assert popen.stderr is not None
        found = next(found for line in popen.stdout if (found := LISTENS.search(line)))
        broker = _silent(popen, int(found[2]))
        popen.stdout.close()
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        before = children(popen.pid)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: before[0] not in children(popen.pid) and len(children(popen.pid)) == 3)
        until(lambda: broker.ask("GET", "/livez")[0] == 200)
        assert {broker.ask("GET", "/api/multicloud/v0/vim_types")[0] for _ in range(50)} == {200}
        popen.terminate()
        assert popen.wait(20) == 0
        assert popen.stderr.read() == ""


def _silent(popen: subprocess.Popen[str], port: int) -> Process:
    broker = Process.__new__(Process)  # one without a thread that reads its output
    broker.popen, broker.port = popen, port
    return broker


def test_a_disk_that_is_full_of_logs_costs_no_request(framework: str) -> None:
    """From the start on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "WEB_FRAMEWORK": framework,
        "BROKER_SERVER_PORT": str(port),
        "BROKER_SERVER_WORKERS": "2",
        "BROKER_SERVER_DRAIN_PAUSE": "0",
    }
    with open("/dev/full", "wb") as full:
        popen = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=env, text=True, stdout=full, stderr=subprocess.PIPE
        )
    with popen:
        assert popen.stderr is not None
        broker = _silent(popen, port)
        until(lambda: _lives(broker))
        before = children(popen.pid)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: before[0] not in children(popen.pid) and len(children(popen.pid)) == 3 and _lives(broker))
        assert {broker.ask("GET", "/api/multicloud/v0/vim_types")[0] for _ in range(50)} == {200}
        assert broker.ask("GET", "/api/multicloud/v0/no-region/x")[0] == 400  # which the log tells more of
        popen.terminate()
        assert popen.wait(20) == 0
        assert popen.stderr.read() == ""


def _lives(broker: Process) -> bool:
    with contextlib.suppress(OSError):
        return broker.ask("GET", "/livez")[0] == 200
    return False
