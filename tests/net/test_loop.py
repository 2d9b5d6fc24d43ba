from __future__ import annotations

import gc
import logging
import os
import socket
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from functools import partial

import eventlet
import pytest
from eventlet import hubs
from greenlet import GreenletExit, getcurrent

from app.errors import ClientGone
from app.net.loop import NO_MEMORY, READ, TICK, Loop, Waiter


@pytest.fixture(scope="module")
def loop() -> Loop:
    return Loop()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


def turn(loop: Loop, function: Callable[[], object]) -> None:
    """Call a function from the hub, and let the hub go on until it is done."""
    waiter = Waiter(loop)
    loop.later(0, function)
    loop.later(0, waiter.wake)
    waiter.wait()


class Gate:
    """Where greenlets of a loop wait; the most that ever did at once is kept."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.waiters: list[Waiter] = []
        self.most = 0

    def __call__(self, result: int) -> int:
        waiter = Waiter(self.loop)
        self.waiters.append(waiter)
        self.most = max(self.most, len(self.waiters))
        waiter.wait()
        return result

    def open(self) -> None:
        """The one that came last goes first, so that results do not come in order."""
        while self.waiters:
            self.waiters.pop().wake()


def fill(socket_: socket.socket) -> None:
    try:
        while True:
            socket_.send(b"x" * 65536)
    except BlockingIOError:
        pass


def test_a_waiter_goes_on_when_it_is_woken(loop: Loop) -> None:
    waiter, seen = Waiter(loop), []
    loop.later(0, lambda: (seen.append(waiter.waiting), waiter.wake()))
    waiter.wait()
    assert (seen, waiter.waiting) == ([True], False)


def test_to_wake_or_throw_where_nobody_waits_is_nothing(loop: Loop) -> None:
    waiter = Waiter(loop)
    waiter.wake()
    waiter.throw(ValueError())
    assert not waiter.waiting


def test_an_error_is_thrown_into_the_wait(loop: Loop) -> None:
    waiter = Waiter(loop)
    loop.later(0, waiter.throw, ClientGone())
    with pytest.raises(ClientGone):
        waiter.wait()
    assert not waiter.waiting


@pytest.mark.parametrize("error", [LookupError("late"), None], ids=["its own", "the common one"])
def test_a_wait_that_lasts_too_long_raises(loop: Loop, error: LookupError | None) -> None:
    started = time.monotonic()
    with pytest.raises(LookupError if error else TimeoutError):
        Waiter(loop).wait(0.01, error)
    assert 0.01 <= time.monotonic() - started < 20 * TICK
    assert not loop.timed


def test_a_wait_that_is_woken_in_time_raises_nothing_later(loop: Loop) -> None:
    waiter = Waiter(loop)
    loop.later(0, waiter.wake)
    waiter.wait(0.01, LookupError())
    assert not loop.timed
    loop.later(2 * TICK, waiter.wake)
    waiter.wait()


class Timed:
    """Has a deadline that is past; ends another one with itself."""

    def __init__(self, loop: Loop, deadline: float = 0.0) -> None:
        self.loop, self.deadline, self.expired = loop, deadline, 0
        self.others: list[Timed] = []
        loop.timed.add(self)

    def expire(self) -> None:
        self.expired += 1
        for timed in (self, *self.others):
            self.loop.timed.discard(timed)


def after_a_tick(loop: Loop) -> None:
    waiter = Waiter(loop)
    loop.every_tick.append(lambda _: loop.later(0, waiter.wake))
    try:
        waiter.wait()
    finally:
        loop.every_tick.pop()


def test_what_has_a_deadline_is_told_once_it_has_passed(loop: Loop) -> None:
    past, future = Timed(loop), Timed(loop, time.monotonic() + 1000)
    after_a_tick(loop)
    assert (past.expired, future.expired) == (1, 0)
    loop.timed.discard(future)


def test_what_the_end_of_another_has_ended_is_not_told(loop: Loop) -> None:
    one, other = Timed(loop), Timed(loop)
    one.others, other.others = [other], [one]
    after_a_tick(loop)
    assert one.expired + other.expired == 1


def test_every_tick_is_told_the_time(loop: Loop) -> None:
    told: list[float] = []
    loop.every_tick.append(told.append)
    before = time.monotonic()
    after_a_tick(loop)
    loop.every_tick.remove(told.append)
    assert len(told) == 1
    assert before <= told[0] <= time.monotonic()


def test_a_listener_is_called_while_there_is_something_and_not_once_forgotten(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, other = pair
    waiter, got = Waiter(loop), []

    def read(fileno: int) -> None:
        got.append((fileno, one.recv(10)))
        waiter.wake()

    listener = loop.listen(READ, one.fileno(), read)
    for piece in (b"a", b"b"):
        other.send(piece)
        waiter.wait()
    loop.forget(listener)
    other.send(b"c")
    eventlet.sleep(0.01)
    assert got == [(one.fileno(), b"a"), (one.fileno(), b"b")]


def test_a_greenlet_waits_until_there_are_bytes(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    loop.later(0, other.send, b"a")
    Waiter(loop).readable(one.fileno(), 5, TimeoutError())
    assert one.recv(10) == b"a"


def test_a_greenlet_waits_until_there_is_room(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    fill(one)
    loop.later(0, partial(drain, other))
    Waiter(loop).writable(one.fileno(), 5, TimeoutError())
    assert one.send(b"x") == 1


def drain(socket_: socket.socket) -> None:
    try:
        while socket_.recv(1 << 20):
            pass
    except BlockingIOError:
        pass


@pytest.mark.parametrize("what", ["readable", "writable"])
def test_a_wait_for_a_socket_ends_in_time_and_can_be_made_again(
    loop: Loop, pair: tuple[socket.socket, socket.socket], what: str
) -> None:
    one, _ = pair
    fill(one)
    for _ in range(2):
        with pytest.raises(LookupError):
            getattr(Waiter(loop), what)(one.fileno(), 0.01, LookupError())


def test_a_function_runs_at_once_in_a_greenlet_of_its_own(loop: Loop) -> None:
    seen: list[object] = []
    turn(loop, lambda: (loop.run(lambda text: seen.append((text, getcurrent())), "a"), seen.append("after")))
    ((text, greenlet), after) = seen  # type: ignore[misc]
    assert (text, after) == ("a", "after")
    assert greenlet not in (getcurrent(), loop.hub.greenlet)


def test_a_greenlet_that_is_done_serves_again_and_one_that_waits_does_not(loop: Loop) -> None:
    used: list[object] = []
    gate = Gate(loop)

    def work(_: None) -> None:
        used.append(getcurrent())

    def blocked(_: None) -> None:
        used.append(getcurrent())
        gate(0)

    for function in (work, blocked, work):
        turn(loop, partial(loop.run, function, None))
    turn(loop, gate.open)
    first, second, third = used
    assert first is second
    assert second is not third


def test_an_error_in_a_greenlet_is_logged_and_ends_nothing_else(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: None) -> None:
        raise LookupError("unhandled")

    turn(loop, partial(loop.run, fail, None))
    (record,) = caplog.records
    assert (record.levelno, "unhandled" in str(record.exc_info)) == (logging.ERROR, True)
    ran: list[int] = []
    turn(loop, partial(loop.run, ran.append, 1))
    assert ran == [1]


def test_a_client_that_is_gone_is_no_news(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    def gone(_: None) -> None:
        raise ClientGone

    turn(loop, partial(loop.run, gone, None))
    assert caplog.records == []


@pytest.mark.parametrize(("count", "at_once", "most"), [(5, 2, 2), (3, 10, 3), (4, 1, 1)])
def test_functions_run_side_by_side_and_results_are_in_order(loop: Loop, count: int, at_once: int, most: int) -> None:
    gate = Gate(loop)
    opener = eventlet.spawn(keep_opening, gate)
    assert loop.gather([partial(gate, number) for number in range(count)], at_once, 5) == list(range(count))
    assert gate.most == most
    opener.kill()


def keep_opening(gate: Gate) -> None:
    while True:
        eventlet.sleep(0.005)
        turn(gate.loop, gate.open)


def test_nothing_to_run_is_done_at_once(loop: Loop) -> None:
    assert loop.gather([], 5, 5) == []


def test_functions_that_do_not_wait_are_all_run(loop: Loop) -> None:
    assert loop.gather([partial(int, number) for number in range(100)], 3, 5) == list(range(100))


def test_who_is_thrown_out_starts_no_more(loop: Loop) -> None:
    gate = Gate(loop)
    started: list[int] = []

    def work(number: int) -> int:
        started.append(number)
        return gate(number)

    thread = eventlet.spawn(loop.gather, [partial(work, number) for number in range(5)], 2, 5)
    eventlet.sleep(0.01)
    thread.kill()
    with pytest.raises(GreenletExit):
        thread.wait()
    turn(loop, gate.open)
    assert started == [0, 1]


def test_gather_raises_the_error_of_one_once_all_have_ended() -> None:
    ended: list[int] = []

    def fail() -> int:
        raise ValueError("as asked")

    def work() -> None:
        with pytest.raises(ValueError, match="as asked"):
            loop.gather([fail, lambda: ended.append(1) or 1], 2, 5)
        done.append(True)

    loop = Loop()
    done: list[bool] = []
    loop.later(0, loop.run, lambda _: work(), None)
    deadline = time.monotonic() + 5
    while not done and time.monotonic() < deadline:
        eventlet.sleep(0.01)
    assert (done, ended) == ([True], [1])


def test_gather_gives_none_for_what_takes_too_long(loop: Loop) -> None:
    results: list[object] = []
    waiter = Waiter(loop)
    loop.later(0, loop.run, lambda _: results.append(loop.gather([lambda: 1, waiter.wait, lambda: 3], 2, 0.05)), None)
    deadline = time.monotonic() + 5
    while not results and time.monotonic() < deadline:
        eventlet.sleep(0.01)
    assert results == [[1, None, 3]]
    turn(loop, waiter.wake)


def test_a_greenlet_that_is_done_holds_nothing_of_what_it_ran(loop: Loop) -> None:
    class Request:
        """Something to hold on to."""

    request = Request()
    gone = weakref.ref(request)
    loop._spare.clear()
    turn(loop, partial(loop.run, repr, request))
    del request
    gc.collect()
    assert gone() is None


def test_a_tick_that_comes_too_late_is_told(loop: Loop) -> None:
    told: list[float] = []
    waiter = Waiter(loop)

    def look(_: float) -> None:
        told.append(loop.lag)
        waiter.wake()

    loop.every_tick.append(look)
    try:
        while not (told and told[-1] < 0.1):  # the first may come late: nobody has run the loop before
            waiter.wait()
        loop.later(0, time.sleep, TICK + 0.3)  # it blocks the loop
        waiter.wait()
    finally:
        loop.every_tick.remove(look)
    assert told[-2] < 0.1 < 0.2 < told[-1]  # whatever else the machine does meanwhile


def test_greenlets_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.net.loop.SPARE_GREENLETS", 2)
    loop = Loop()
    gate = Gate(loop)
    for number in range(3):
        turn(loop, partial(loop.run, gate, number))
    assert loop.greenlets == 3
    turn(loop, gate.open)
    assert loop.greenlets == 2  # which are kept for the next
    turn(loop, partial(loop.run, gate, 4))
    assert loop.greenlets == 2
    turn(loop, gate.open)


@pytest.mark.parametrize("where", ["listener", "timer"])
def test_what_fails_in_the_hub_for_want_of_memory_ends_the_process(where: str) -> None:
    """A worker that is deaf, or has forgotten to wake somebody, looks sound to everybody else."""
    with warnings.catch_warnings(action="ignore"):  # the child only runs a hub of its own
        pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        hubs.use_hub()
        loop, reading = Loop(), os.eventfd(1, os.EFD_NONBLOCK)
        if where == "timer":
            loop.later(0, _starved)
        else:
            loop.listen(READ, reading, _starved)
        Waiter(loop).within(10)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == NO_MEMORY


def _starved(*_: object) -> None:
    raise MemoryError
