"""How many at once, and whose turn it is."""

from __future__ import annotations

import pytest

from app.core.bulkhead import Bulkhead


def full(most: int = 2) -> Bulkhead[str]:
    bulkhead: Bulkhead[str] = Bulkhead()
    assert all(bulkhead.enter(most) for _ in range(most))
    return bulkhead


def test_so_many_and_no_more() -> None:
    bulkhead = full(2)
    assert not bulkhead.enter(2)
    assert bulkhead.leave(2) is None
    assert (bulkhead.in_flight, bulkhead.enter(2), bulkhead.enter(2)) == (1, True, False)


def test_any_number_is_counted_all_the_same() -> None:
    bulkhead: Bulkhead[str] = Bulkhead()
    assert all(bulkhead.enter(0) for _ in range(1000))
    assert bulkhead.in_flight == 1000


def test_who_came_first_goes_first_and_is_counted() -> None:
    bulkhead = full()
    assert [bulkhead.queue(name, 3) for name in ("a", "b", "c", "d")] == [True, True, True, False]
    assert [bulkhead.leave(2) for _ in range(5)] == ["a", "b", "c", None, None]
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


@pytest.mark.parametrize("most", [2, 3])
def test_nobody_jumps_the_queue(most: int) -> None:
    bulkhead = full(2)
    bulkhead.queue("a", 1)
    assert not bulkhead.enter(most)
    assert bulkhead.leave(most) == "a"
    assert bulkhead.enter(most) == (most == 3)


def test_who_gives_up_is_passed_over() -> None:
    bulkhead = full()
    for name in ("a", "b"):
        bulkhead.queue(name, 2)
    assert bulkhead.give_up("a")
    assert bulkhead.leave(2) == "b"
    assert not bulkhead.give_up("b")  # it is counted: it has to leave
    assert [bulkhead.leave(2), bulkhead.leave(2), bulkhead.in_flight] == [None, None, 0]


def test_who_comes_back_finds_a_place_and_others_wait_the_longer() -> None:
    bulkhead = full()
    bulkhead.queue("a", 2)
    bulkhead.queue("b", 2)
    assert bulkhead.leave(2) == "a"
    bulkhead.come_back()
    assert bulkhead.in_flight == 3
    assert [bulkhead.leave(2), bulkhead.leave(2), bulkhead.in_flight] == [None, "b", 2]


def test_without_a_queue_nobody_waits() -> None:
    assert not full().queue("a", 0)


def test_where_the_bound_is_taken_away_those_who_wait_go() -> None:
    bulkhead = full()
    bulkhead.queue("a", 1)
    assert bulkhead.leave(0) == "a"
