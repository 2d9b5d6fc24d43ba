"""A broker ends in order, time after time, and nobody loses a request (rules 23 and 24)."""

from __future__ import annotations

import http.client
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.conftest import Process
from tests.faults.conftest import Staged
from tests.faults.stage import ALL, LONG, Stage

TIMES = 100 if LONG else 5
LATE = 0.03
"""Seconds that an answer takes, so that requests are under way at any moment."""
LOOK = 0.02
"""Seconds between two looks at the readiness, as if those who watch it were quick: kubelet's are seconds."""


@pytest.mark.timeout(900)
def test_fault_drain(staged: Staged) -> None:
    """A broker is told to end (SIGTERM), its successor has begun to serve: {times} times."""
    stage = staged(BROKER_SERVER_DRAIN_PAUSE="0.3")
    stage.facts["times"] = TIMES
    for plugins in (stage.one, stage.others):
        plugins.turn("late", LATE)
    with ExitStack() as stack:
        stage.play(lambda: _drain(stage, stack), lambda: None, who=ALL, held=0, back_within=0)


def _drain(stage: Stage, stack: ExitStack) -> None:
    """One broker after the other; the load's new connections go where readiness is not 503. While one ends, the next
    but one starts."""

    def begin() -> Process:
        return stack.enter_context(stage.another(BROKER_SERVER_DRAIN_PAUSE="0.3"))

    broker, starter = stage.broker, stack.enter_context(ThreadPoolExecutor(1))
    coming = starter.submit(begin)
    for left in range(TIMES, 0, -1):
        successor = coming.result()
        if left > 1:
            coming = starter.submit(begin)
        broker.popen.send_signal(signal.SIGTERM)
        while ready(broker):
            time.sleep(LOOK)
        stage.load.port = successor.port
        assert broker.popen.wait(30) == 0
        broker = successor


def ready(broker: Process) -> bool:
    """Whether a broker still says that it is: one that takes no connection does not."""
    try:
        return broker.ask("GET", "/readyz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False
