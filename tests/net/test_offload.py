from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import eventlet
import pytest

from app.errors import ClientGone, Unavailable
from app.net.loop import Loop
from app.net.offload import NICE, Offload

AT_ONCE, WAITING = 2, 3


class Work:
    """What runs in threads: each job waits until it is let go; `began` tells their order."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._go = threading.Semaphore(0)

    def __call__(self, name: str) -> Callable[[], str]:
        def job() -> str:
            with self._lock:
                self.began.append(name)
                self._now += 1
                self.most = max(self.most, self._now)
            self._go.acquire()
            with self._lock:
                self._now -= 1
            return name

        return job

    def let(self, count: int) -> None:
        self._go.release(count)


@pytest.fixture(scope="module")
def loop() -> Loop:
    return Loop()


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.let(100)


@pytest.fixture
def offload(loop: Loop) -> Offload:
    return Offload(loop, AT_ONCE, WAITING, 20)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        eventlet.sleep(0.001)


def begun(offload: Offload, work: Work, *names: str) -> list[eventlet.greenthread.GreenThread]:
    """Jobs, each of the client that is its first letter."""
    jobs = []
    for name in names:
        jobs.append(eventlet.spawn(offload.run, work(name), name[0]))
        eventlet.sleep(0)
    return jobs


def test_the_result_or_the_error_comes_from_another_thread(offload: Offload) -> None:
    assert offload.run(threading.get_ident, "a") != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        offload.run(lambda: 1 // 0, "a")
    assert offload.run(lambda: "on", "a") == "on"


def test_the_loop_goes_on_meanwhile(offload: Offload, work: Work) -> None:
    (job,) = begun(offload, work, "a1")
    until(lambda: work.began)
    eventlet.sleep(0.01)
    assert not job.dead
    work.let(1)
    assert job.wait() == "a1"


def test_few_run_at_once_and_clients_take_turns(offload: Offload, work: Work) -> None:
    names = ("a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1")
    jobs = begun(offload, work, *names)
    until(lambda: len(work.began) == 2)
    for count in range(3, len(names) + 1):
        work.let(1)
        until(lambda count=count: len(work.began) == count)
    work.let(2)
    assert [job.wait() for job in jobs] == list(names)
    assert work.most == AT_ONCE
    assert set(work.began[:2]) == {"a1", "a2"}
    assert work.began[2:] == ["a3", "b1", "c1", "a4", "b2", "a5"]


def test_a_client_with_too_many_is_refused_and_another_one_is_not(offload: Offload, work: Work) -> None:
    jobs = begun(offload, work, "a1", "a2")
    until(lambda: len(work.began) == 2)
    jobs += begun(offload, work, "a3", "a4", "a5")
    with pytest.raises(Unavailable):
        offload.run(work("a6"), "a")
    jobs += begun(offload, work, "b1")
    work.let(6)
    assert [job.wait() for job in jobs] == ["a1", "a2", "a3", "a4", "a5", "b1"]


def test_who_waits_too_long_is_refused_and_leaves_no_job(loop: Loop, work: Work) -> None:
    offload = Offload(loop, 1, WAITING, 0.05)
    (first,) = begun(offload, work, "a1")
    until(lambda: work.began)
    with pytest.raises(Unavailable):
        offload.run(work("b1"), "b")
    with pytest.raises(Unavailable):
        first.wait()
    work.let(1)
    assert (offload.run(lambda: "next", "c"), work.began) == ("next", ["a1"])


def test_who_leaves_frees_no_thread_before_its_work_ends(offload: Offload, work: Work) -> None:
    """Else clients that come and go would have all threads busy, and name look-ups wait."""
    for _ in range(10):
        jobs = begun(offload, work, "a1", "a2")
        until(lambda: len(work.began) >= 2)
        for job in jobs:
            job.kill(ClientGone())
            with pytest.raises(ClientGone):
                job.wait()
    assert (len(work.began), offload._busy) == (AT_ONCE, AT_ONCE)
    work.let(AT_ONCE)
    assert offload.run(lambda: "on", "b") == "on"
    until(lambda: offload._busy == 0)
    assert (len(work.began), work.most, dict(offload._queues)) == (AT_ONCE, AT_ONCE, {})


def test_its_threads_yield_to_the_loops(offload: Offload) -> None:
    """Each has a niceness of its own."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    nice = offload.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), "a")
    assert (nice, os.getpriority(os.PRIO_PROCESS, 0)) == (min(before + NICE, 19), before)


def test_no_more_threads_than_may_run_at_once(offload: Offload) -> None:
    found = {offload.run(threading.get_ident, "a") for _ in range(20)}
    assert len(found) <= AT_ONCE


@pytest.mark.parametrize("threads", [0, 1])
def test_where_the_system_gives_no_thread_none_is_lost_for_later(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """A limit of processes is reached: threads count as such."""
    offload = Offload(loop, AT_ONCE, WAITING, 0.05)
    found = [offload.run(threading.get_ident, "a") for _ in range(threads)]

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    for _ in range(AT_ONCE + 1):
        if threads:
            assert offload.run(threading.get_ident, "a") == found[0]
        else:
            with pytest.raises(Unavailable, match="no thread"):
                offload.run(threading.get_ident, "a")
    assert (offload._busy, dict(offload._queues)) == (0, {})
    monkeypatch.undo()
    assert offload.run(lambda: "on", "b") == "on"
