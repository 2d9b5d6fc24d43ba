from __future__ import annotations

import pytest

from app.core.outage import DIFFERENT, WINDOW, Outage

PAUSE = 5.0


def out(now: float = 100.0) -> Outage:
    """One that has just begun."""
    outage = Outage()
    for number in range(DIFFERENT):
        outage.failed(number, now, PAUSE)
    return outage


def test_at_first_everything_may_be_asked() -> None:
    outage = Outage()
    assert (outage.may_ask(0), outage.may_ask(0), outage.left(0), outage.doubted) == (True, True, 0, False)


def test_one_thing_that_always_fails_is_no_outage_but_a_doubt() -> None:
    outage = Outage()
    for now in range(50):
        outage.failed("a", now, PAUSE)
    assert (outage.may_ask(50), outage.left(50), outage.doubted) == (True, 0, True)


def test_different_ones_that_fail_are_an_outage_for_a_while() -> None:
    outage = out(100)
    assert (outage.may_ask(100 + PAUSE - 0.5), outage.left(100 + PAUSE - 0.5)) == (False, 0.5)
    assert outage.left(100 + PAUSE) == 0


def test_after_it_one_at_a_time_is_asked() -> None:
    outage = out(100)
    assert [outage.may_ask(105), outage.may_ask(105), outage.may_ask(300)] == [True, False, False]
    assert outage.left(300) > 0
    outage.failed("x", 310, PAUSE)
    assert (outage.left(310), outage.may_ask(314.9), outage.may_ask(315)) == (PAUSE, False, True)


def test_an_outage_lasts_as_long_as_every_one_fails() -> None:
    outage, now = out(100), 105.0
    while now < 100 + 5 * WINDOW:
        assert [outage.may_ask(now), outage.may_ask(now)] == [True, False]
        outage.failed("the same", now, PAUSE)
        now += PAUSE


def test_one_success_ends_it() -> None:
    outage = out(100)
    outage.may_ask(105)
    outage.answered()
    assert [outage.may_ask(105), outage.may_ask(105), outage.doubted] == [True, True, False]


def test_a_success_between_failures_begins_anew() -> None:
    outage = Outage()
    for number in range(20):
        if number % (DIFFERENT - 1) == 0:
            outage.answered()
        outage.failed(number, 100, PAUSE)
        assert outage.may_ask(100)


def test_a_failure_of_long_ago_does_not_count() -> None:
    outage = Outage()
    outage.failed("a", 100, PAUSE)
    for number in range(DIFFERENT - 1):
        outage.failed(number, 100 + WINDOW, PAUSE)
    assert outage.may_ask(100 + WINDOW)


@pytest.mark.parametrize("things", [["a"] * 9, list("abcdefghi")])
def test_without_a_pause_everything_is_always_asked(things: list[str]) -> None:
    outage = Outage()
    for thing in things:
        outage.failed(thing, 100, 0)
    assert [outage.may_ask(100), outage.may_ask(100)] == [True, True]


def test_one_that_takes_long_is_a_doubt_until_one_is_answered() -> None:
    outage = Outage()
    outage.slow()
    assert (outage.doubted, outage.may_ask(0)) == (True, True)
    outage.answered()
    assert not outage.doubted
