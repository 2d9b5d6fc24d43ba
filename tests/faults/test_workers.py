"""Faults of the broker's own processes: what they served is lost, nothing else, and they are replaced at once."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.conftest import until
from tests.faults.conftest import Staged
from tests.faults.processes import lives, until_replaced, workers_of
from tests.faults.stage import ALL, LONG, ONE, Stage, path_of, serving
from tests.faults.verdict import Seen

ENDED = ("closed unanswered", "cut")
"""What those see whose connections a process held that has ended."""

MOST, BODIES = 80, 120
"""MiB that a worker may have, and bodies of a MiB that two of them hold at once."""


def _busy(stage: Stage) -> Stage:
    """Each answer takes a while, so that requests are under way at any moment."""
    for plugins in (stage.one, stage.others):
        plugins.turn("late", 0.1)
    return stage


def test_fault_worker_killed(staged: Staged) -> None:
    """A worker is killed (SIGKILL)."""
    stage = _busy(staged())

    def kill() -> None:
        worker = workers_of(stage.broker)[0]
        os.kill(worker, signal.SIGKILL)
        stage.facts["replaced_after"] = until_replaced(stage.broker, worker)

    seen = stage.play(kill, lambda: None, who=ALL, sees=ENDED, back_within=1, held=0)
    assert stage.facts["replaced_after"] < (0.5 if LONG else 2)  # a machine that runs all tests has little time
    _only_what_was_under_way(seen)


def _only_what_was_under_way(seen: Seen) -> None:
    failed = [one for one in seen.samples if not one.fine]
    assert failed, "no request was under way: the load is too light to show anything"
    assert not [one for one in failed if one.began > seen.made + 0.1]


def test_fault_broker_killed(staged: Staged) -> None:
    """The parent of the workers is killed (SIGKILL), and another broker is started on its port."""
    stage, stack = _busy(staged()), ExitStack()

    def kill() -> None:
        pids = workers_of(stage.broker)
        stage.broker.popen.kill()
        until(lambda: not [pid for pid in pids if lives(pid)], 2)

    def again() -> None:
        broker = stack.enter_context(stage.another(BROKER_SERVER_PORT=str(stage.broker.port)))
        until(lambda: serving(broker, 2))

    with stack:
        stage.play(kill, again, who=ALL, sees=(*ENDED, "refused"), back_within=1, held=0, others_within=5)


def test_fault_worker_stopped(staged: Staged) -> None:
    """A worker is stopped (SIGSTOP), and the watchdog replaces it."""
    stage = _busy(staged(BROKER_SERVER_WATCHDOG_TIMEOUT="1"))

    def stop() -> None:
        worker = workers_of(stage.broker)[0]
        os.kill(worker, signal.SIGSTOP)
        stage.facts["replaced_after"] = until_replaced(stage.broker, worker)

    stage.play(stop, lambda: None, who=ALL, sees=ENDED, held=0, back_within=1)
    assert 1 <= stage.facts["replaced_after"] < 3


def test_fault_worker_out_of_memory(staged: Staged) -> None:
    """A worker grows beyond the memory that it may have, and is replaced."""
    stage = staged(
        BROKER_SERVER_WORKER_MEMORY_MAX=str(MOST),
        BROKER_UPSTREAM_REPLAY_LIMIT=str(1 << 20),
        BROKER_UPSTREAM_RESPONSE_TIMEOUT="5",
    )
    stage.one.turn("late", 1.5)
    before = workers_of(stage.broker)

    def post(_: int) -> int:
        return stage.broker.ask("POST", path_of(ONE), bytes(1 << 20))[0]

    def grow() -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(BODIES) as clients:
            assert set(clients.map(post, range(BODIES))) == {200}
        until(lambda: set(before) - set(workers_of(stage.broker)))
        stage.facts["replaced_after"] = time.monotonic() - began

    stage.play(grow, lambda: None, who=ALL, held=0, back_within=0, others_within=1)
    assert 'restarts_total{reason="memory"} 1.0' in stage.broker.ask("GET", "/metrics")[2].decode()
