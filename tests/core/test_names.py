from __future__ import annotations

import socket

import pytest

from app.core.addresses import Address
from app.core.names import FIRST, GONE, OLD, Name, failed, found

KEPT = 5.0
A = (Address(socket.AF_INET, ("10.0.0.1", 80)),)
B = (Address(socket.AF_INET, ("10.0.0.2", 80)),)


def test_a_good_answer_serves_and_is_due_after_a_while() -> None:
    name = found(A, 100, KEPT)
    assert (name.addresses, name.due, name.failures) == (A, 100 + KEPT, 0)


@pytest.mark.parametrize(
    ("name", "now", "serves"),
    [
        (Name(), 100, False),
        (found(A, 100, KEPT), 100, True),
        (found(A, 100, KEPT), 100 + OLD - 0.1, True),
        (found(A, 100, KEPT), 100 + OLD, False),
        (failed(found(A, 100, KEPT), "x", 110, KEPT, absent=False), 100 + 10 * OLD, True),  # nobody has a better one
        (failed(Name(), "x", 100, KEPT, absent=True), 100, False),
    ],
)
def test_whether_an_answer_serves_at_once(name: Name, now: float, serves: bool) -> None:
    assert name.serves(now) == serves


def test_a_failure_leaves_the_last_good_answer_for_ever() -> None:
    name = found(A, 100, KEPT)
    for now in range(110, 100_000, 100):
        name = failed(name, "Temporary failure", now, KEPT, absent=False)
    assert (name.addresses, name.answered, name.why) == (A, 100, "Temporary failure")


def test_failures_are_tried_again_ever_more_slowly_up_to_the_usual_interval() -> None:
    name, pauses = found(A, 100, KEPT), []
    for _ in range(40):
        name = failed(name, "x", 200, KEPT, absent=False)
        pauses.append(name.due - 200)
    assert pauses[:4] == [FIRST, 2 * FIRST, 4 * FIRST, KEPT]
    assert set(pauses[4:]) == {KEPT}


def test_a_name_that_is_said_not_to_exist_serves_a_little_longer() -> None:
    name = failed(found(A, 100, KEPT), "x", 110, KEPT, absent=True)
    assert failed(name, "x", 110 + GONE - 0.1, KEPT, absent=True).addresses == A
    gone = failed(name, "x", 110 + GONE, KEPT, absent=True)
    assert (gone.addresses, gone.absent_since) == ((), 110)


def test_only_a_run_of_such_answers_counts() -> None:
    name = failed(found(A, 100, KEPT), "x", 110, KEPT, absent=True)
    name = failed(name, "x", 120, KEPT, absent=False)
    name = failed(name, "x", 110 + GONE, KEPT, absent=True)
    assert (name.addresses, name.absent_since) == (A, 110 + GONE)


def test_a_good_answer_ends_all_that_was() -> None:
    assert found(B, 300, KEPT) == Name(B, 300, 300 + KEPT)
