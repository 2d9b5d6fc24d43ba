"""Standard output that takes no more: requests are served, workers replaced, and the end is in order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import pytest

from app.observability.logs import Output
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


def test_a_record_that_cannot_be_written_is_lost_and_other_errors_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        handler = Output(full)
        handler.handle(logging.makeLogRecord({"msg": "lost"}))
        assert capsys.readouterr().err == ""
        handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
        assert "TypeError" in capsys.readouterr().err
        handler.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
