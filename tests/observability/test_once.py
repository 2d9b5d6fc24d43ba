"""One log line for many processes."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Callable

import pytest

from app.observability.once import ROWS, Once

LOG = logging.getLogger("once")


def levels(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.levelno for record in caplog.records]


def in_a_child(function: Callable[[], object]) -> int:
    """Fork; returns the pid, of a process that ends with what the function returns."""
    with warnings.catch_warnings(action="ignore"):  # eventlet's, where another test has a hub
        pid = os.fork()
    if pid == 0:
        os._exit(int(bool(function())))
    return pid


def test_the_second_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    once = Once()
    for key in ("a", "b", "a"):
        once.log(LOG, logging.ERROR, f"line of {key}", key)
    once.log(LOG, logging.ERROR, "another line", "a")
    assert levels(caplog) == [logging.ERROR, logging.ERROR, logging.DEBUG, logging.DEBUG]


def test_who_asks_again_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    once = Once()
    for _ in range(2):
        once.log(LOG, logging.INFO, "line")
    once.begin_round()
    once.log(LOG, logging.INFO, "line")
    assert levels(caplog) == [logging.INFO, logging.DEBUG, logging.INFO]


def test_of_many_processes_that_find_it_out_at_once_one_logs() -> None:
    once = Once()
    lines = 40

    def logged() -> int:
        """As a bit for each line, too many for an exit status: their number."""
        return sum(once._is_first((line,)) for line in range(lines))

    readable, writable = os.pipe()
    pids = [in_a_child(lambda: os.write(writable, bytes([logged()]))) for _ in range(8)]
    for pid in pids:
        os.waitpid(pid, 0)
    os.close(writable)
    with os.fdopen(readable, "rb") as counts:
        assert sum(counts.read()) == lines


def test_one_that_is_stopped_within_keeps_nobody() -> None:
    once = Once()
    readable, writable = os.pipe()

    def hold() -> None:
        once._lock()
        os.write(writable, b".")
        signal.pause()

    pid = in_a_child(hold)
    try:
        os.read(readable, 1)
        assert once._lock() is False
        assert once._is_first(("line",))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert once._lock() is True
    os.close(readable)
    os.close(writable)


def test_it_remembers_so_many_lines_and_no_more() -> None:
    once = Once()
    assert all(once._is_first((line,)) for line in range(ROWS))
    assert not once._is_first((0,))
    assert once._is_first((ROWS,))
    assert once._is_first((0,))
