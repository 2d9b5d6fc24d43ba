from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from app.core.addresses import FIRST, LONGEST, PROBE, REMEMBERED, Address, AddressBook, interleaved


def four(*numbers: int) -> list[Address]:
    return [Address(socket.AF_INET, (f"10.0.0.{number}", 80)) for number in numbers]


def six(*numbers: int) -> list[Address]:
    return [Address(socket.AF_INET6, (f"fd00::{number}", 80, 0, 0)) for number in numbers]


A, B, C = four(1, 2, 3)
SHORTEST = 0.75
"""Of the time that an address is left out: with a chance of 0."""


def book() -> AddressBook:
    return AddressBook(lambda: 0.0)


@pytest.mark.parametrize(
    ("addresses", "chance", "ordered"),
    [
        ([], 0.5, []),
        (four(1, 2, 3), 0.0, four(1, 2, 3)),
        (four(1, 2, 3), 0.34, four(2, 3, 1)),
        (four(1, 2, 3), 0.99, four(3, 1, 2)),
        (six(1, 2, 3) + four(1, 2), 0.0, [*six(1), *four(1), *six(2), *four(2), *six(3)]),
        (four(1) + six(1, 2, 3), 0.0, [*four(1), *six(1, 2, 3)]),
        (six(1, 2) + four(1, 2), 0.5, [*six(2), *four(2), *six(1), *four(1)]),
    ],
)
def test_families_by_turns_and_each_begun_anywhere(
    addresses: Sequence[Address], chance: float, ordered: Sequence[Address]
) -> None:
    assert interleaved(addresses, chance) == ordered


def test_connections_spread_over_all_good_addresses() -> None:
    spread = AddressBook(Random(1).random)
    spread.failed(C, 0)
    firsts = Counter(spread.order([A, B, C], 0.1)[0] for _ in range(1000))
    assert set(firsts) == {A, B}
    assert min(firsts.values()) > 400


def test_a_bad_address_is_tried_last_until_its_time_is_over() -> None:
    made = book()
    made.failed(A, 100)
    assert made.order([A, B], 100 + FIRST * SHORTEST - 0.01) == [B, A]
    assert made.order([A, B], 100 + FIRST * SHORTEST) == [A, B]


def test_one_connection_finds_out_whether_an_address_is_back() -> None:
    made = book()
    made.failed(A, 100)
    assert made.order([A, B], 110) == [A, B]
    assert made.order([A, B], 110 + PROBE - 0.01) == [B, A]
    assert made.order([A, B], 110 + PROBE) == [A, B]


def test_each_failure_doubles_the_time_up_to_the_longest() -> None:
    made, now, times = book(), 100.0, []
    for _ in range(7):
        made.failed(A, now)
        assert made.order([A, B], now)[0] == B
        back = next(after for after in range(1, 2000) if book_says(made, now + after / 100))
        times.append(back / 100)
        now += back / 100
    assert times == [min(FIRST * 2**n, LONGEST) * SHORTEST for n in range(7)]


def book_says(made: AddressBook, now: float) -> bool:
    return made.order([A, B], now)[0] == A


def test_many_that_fail_together_count_once() -> None:
    made = book()
    for _ in range(50):
        made.failed(A, 100)
    assert made.order([A, B], 100 + FIRST * SHORTEST) == [A, B]


def test_a_probe_that_fails_counts_although_it_is_out() -> None:
    made = book()
    made.failed(A, 100)
    made.order([A, B], 110)
    made.failed(A, 110.2)
    assert made.order([A, B], 110.2 + 2 * FIRST * SHORTEST - 0.01) == [B, A]


def test_a_success_makes_an_address_as_good_as_ever() -> None:
    made = book()
    for now in (100, 110, 120):
        made.failed(A, now)
    made.succeeded(A)
    assert made.order([A, B], 120) == [A, B]
    made.failed(A, 130)
    assert made.order([A, B], 130 + FIRST * SHORTEST) == [A, B]


def test_when_all_are_bad_all_are_tried_the_one_that_is_back_first_first() -> None:
    made = book()
    for now, address in ((100, B), (100.1, C), (100.2, A)):
        made.failed(address, now)
    assert made.order([A, B, C], 100.3) == [B, C, A]


def test_the_only_address_is_never_left_out() -> None:
    made = book()
    made.failed(A, 100)
    assert made.order([A], 100) == [A]


def test_the_time_out_differs_from_worker_to_worker() -> None:
    late = AddressBook(lambda: 0.999)
    late.failed(A, 100)
    assert late.order([A, B], 100 + FIRST * 1.2)[0] == B
    assert AddressBook(lambda: 0.999).order([A], 0) == [A]


def test_bad_addresses_of_pods_that_are_gone_are_forgotten() -> None:
    made = book()
    for number in range(REMEMBERED * 3):
        made.failed(Address(socket.AF_INET, (f"pod-{number}", 80)), number * LONGEST)
    assert len(made._bad) <= REMEMBERED
