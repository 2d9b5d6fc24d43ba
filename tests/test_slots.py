"""Of app.server.slots."""

from __future__ import annotations

import os
import warnings

import pytest

from app.server.slots import ACCEPTED, FRESH, HEARTBEAT, HELD, PID, Slots


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic_ns(self) -> int:
        return int(self.now * 1e9)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic_ns", made.monotonic_ns)
    return made


def test_a_new_table_has_no_workers() -> None:
    table = Slots(3)
    assert (table.live(), table.stalled()) == ([], [0, 1, 2])


def test_a_worker_that_claims_its_slot_is_live() -> None:
    table = Slots(3)
    table.claim(1)
    assert (table.live(), table.stalled()) == ([1], [0, 2])
    assert table.get(1, PID) == os.getpid()


def test_a_worker_that_is_silent_counts_as_stalled_until_its_next_heartbeat(clock: Clock) -> None:
    table = Slots(1)
    table.claim(0)
    clock.now += FRESH - 0.5
    assert (table.live(), table.age(0)) == ([0], FRESH - 0.5)
    clock.now += 0.5
    assert (table.live(), table.stalled()) == ([], [0])
    table.stamp(0)
    assert (table.live(), table.stalled(), table.age(0)) == ([0], [], 0)


def test_a_released_slot_has_no_worker_and_holds_nothing() -> None:
    table = Slots(2)
    table.claim(0)
    table.set(0, HELD, 9)
    table.release(0)
    assert (table.live(), table.get(0, HELD)) == ([], 0)


def test_who_takes_a_slot_over_holds_nothing_yet() -> None:
    table = Slots(1)
    table.claim(0)
    table.set(0, HELD, 9)
    table.claim(0)
    assert table.get(0, HELD) == 0


def test_a_new_worker_begins_with_as_many_accepted_as_the_busiest_live_one(clock: Clock) -> None:
    table = Slots(4)
    for slot, accepted in ((0, 900), (1, 20), (2, 50)):
        table.claim(slot)
        table.set(slot, ACCEPTED, accepted)
    clock.now += FRESH
    table.stamp(1)
    table.stamp(2)
    table.claim(3)
    assert table.get(3, ACCEPTED) == 50


@pytest.mark.parametrize("count", [1, 7, 200])
def test_slots_and_fields_do_not_share_words(count: int) -> None:
    table = Slots(count)
    cells = [(slot, field) for slot in range(count) for field in (PID, HEARTBEAT, HELD, ACCEPTED)]
    for number, (slot, field) in enumerate(cells):
        table.set(slot, field, number)
    assert [table.get(slot, field) for slot, field in cells] == list(range(len(cells)))


def test_what_one_process_writes_the_others_read() -> None:
    table = Slots(2)
    with warnings.catch_warnings(action="ignore"):
        pid = os.fork()
    if pid == 0:
        table.claim(1)
        table.set(1, HELD, 1 << 40)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert (table.get(1, PID), table.get(1, HELD), table.live()) == (pid, 1 << 40, [1])
