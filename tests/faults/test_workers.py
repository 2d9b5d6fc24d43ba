"""Faults of the broker's own processes: what they served is lost, nothing else, and they are replaced at once."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import Process, children, until
from tests.faults.conftest import Staged
from tests.faults.stage import ALL, Stage, serving
from tests.faults.verdict import Seen

ENDED = ("closed unanswered", "cut")
"""What those see whose connections a process held that has ended."""


def workers_of(broker: Process) -> list[int]:
    """The pids of those that serve, the youngest last."""
    told = [int(found[1]) for line in broker.lines if (found := re.search(r'"pid": (\d+), .*serves"', line))]
    alive = children(broker.popen.pid)
    return [pid for pid in told if pid in alive]


def _busy(stage: Stage) -> Stage:
    """Each answer takes a while, so that requests are under way at any moment."""
    for plugins in (stage.one, stage.others):
        plugins.turn("late", 0.1)
    return stage


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until_replaced(broker: Process, gone: int) -> float:
    """Seconds until there are two workers again, none of which is the one that is gone."""
    began = time.monotonic()
    until(lambda: len(workers := workers_of(broker)) == 2 and gone not in workers)
    return time.monotonic() - began


def test_fault_worker_killed(staged: Staged) -> None:
    """A worker is killed (SIGKILL)."""
    stage, took = _busy(staged()), []

    def kill() -> None:
        worker = workers_of(stage.broker)[0]
        os.kill(worker, signal.SIGKILL)
        took.append(until_replaced(stage.broker, worker))

    seen = stage.play(kill, lambda: None, who=ALL, sees=ENDED, back_within=1, held=0)
    stage.record(seen, replaced_after=took[0])
    assert took[0] < 0.5
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
