"""Signals that come before the broker serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Process, until


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_the_broker_starts_is_heeded(framework: str, tmp_path: Path, signo: int) -> None:
    """The start waits for a file that is a pipe. A container's first process would not even get what it does not
    handle."""
    regions = tmp_path / "regions.json"
    os.mkfifo(regions)
    env = {
        **os.environ,
        "WEB_FRAMEWORK": framework,
        "BROKER_SERVER_PORT": "0",
        "BROKER_SERVER_WORKERS": "1",
        "BROKER_SERVER_DRAIN_PAUSE": "0",
        "BROKER_INVENTORY_REGIONS_FILE": str(regions),
    }
    popen = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    )
    broker = Process(popen)
    try:
        until(lambda: _fed(regions))
        popen.send_signal(signo)
        until(lambda: _ended(popen, regions))
        assert popen.returncode == 0
    finally:
        popen.kill()
        popen.wait()
        broker.close()


def _fed(pipe: Path) -> bool:
    """Whether somebody reads from it now, who gets an empty list."""
    try:
        writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(writer, b"[]")
    except BrokenPipeError:  # it has closed in between
        return False
    finally:
        os.close(writer)
    return True


def _ended(popen: subprocess.Popen[str], pipe: Path) -> bool:
    """Whether it has; until then it may read on."""
    return not _fed(pipe) and popen.poll() is not None
