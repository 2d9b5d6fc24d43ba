"""What one client may take up, over several workers."""

from __future__ import annotations

import pytest

from app.core.quota import Allowance, Counts, Quota, client_of


def quotas(allowance: Allowance, workers: int = 2) -> list[Quota]:
    counts = Counts(workers)
    return [Quota(counts, slot, allowance) for slot in range(workers)]


def test_requests_at_once_are_counted_over_all_workers() -> None:
    first, second = quotas(Allowance(at_once=2))
    row, other = 1, 2
    first.enter(row, 0.0)
    second.enter(row, 0.0)
    assert (first.wait(row, 0.0), second.wait(row, 0.0), first.wait(other, 0.0)) == (1, 1, 0)
    first.leave(row)
    assert second.wait(row, 0.0) == 0


def test_what_a_dead_worker_served_is_served_no_longer() -> None:
    counts = Counts(2)
    allowance = Allowance(at_once=1)
    living, dying = Quota(counts, 0, allowance), Quota(counts, 1, allowance)
    dying.enter(5, 0.0)
    assert living.wait(5, 0.0) == 1
    counts.clear(1)
    assert living.wait(5, 0.0) == 0


def test_a_rate_lets_so_many_through_in_each_window_over_all_workers() -> None:
    both = quotas(Allowance(rate=2.0, window=10.0))
    let_in = 0
    for number in range(100):
        quota = both[number % 2]
        if not quota.wait(7, 1000.0 + number / 100):
            quota.enter(7, 1000.0 + number / 100)
            let_in += 1
    assert let_in == 20


@pytest.mark.parametrize("start", [0.0, 3.0, 9.9])
def test_the_window_slides(start: float) -> None:
    """Whenever a client begins, in no ten seconds are there more than half again its rate, and on the average not
    more than that."""
    (quota,) = quotas(Allowance(rate=2.0, window=10.0), 1)
    times = []
    for tick in range(1000):
        now = 1000.0 + start + tick / 10
        if not quota.wait(3, now):
            quota.enter(3, now)
            times.append(now)
    assert len(times) <= 2 * 100 + 20
    assert max(sum(1 for other in times if 0 <= other - one < 10) for one in times) <= 30


@pytest.mark.parametrize("after", [0.0, 4.0, 9.5])
@pytest.mark.parametrize("before", [0, 10, 20])
def test_whoever_waits_as_told_is_let_in(before: int, after: float) -> None:
    (quota,) = quotas(Allowance(rate=2.0, window=10.0), 1)
    for _ in range(before):
        quota.enter(1, 995.0)
    now = 1000.0 + after
    while not quota.wait(1, now):
        quota.enter(1, now)
    wait = quota.wait(1, now)
    assert 1 <= wait <= 20
    assert quota.wait(1, now + wait) == 0


def test_without_an_allowance_all_are_let_in() -> None:
    (quota,) = quotas(Allowance(), 1)
    for _ in range(1000):
        quota.enter(1, 0.0)
    assert quota.wait(1, 0.0) == 0


def test_rows_spread() -> None:
    (quota,) = quotas(Allowance(), 1)
    assert len({quota.row_of(f"10.0.{n // 256}.{n % 256}") for n in range(1000)}) > 900


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:name:with:colons", "a:name:with:colons"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of(address) == client


@pytest.mark.parametrize(
    ("allowance", "any_"), [(Allowance(), False), (Allowance(1), True), (Allowance(rate=0.1), True)]
)
def test_an_allowance_without_a_bound_is_none(allowance: Allowance, any_: bool) -> None:
    assert bool(allowance) is any_


def test_what_one_allowance_let_in_leaves_by_another() -> None:
    counts = Counts(1)
    Quota(counts, 0, Allowance(at_once=1)).enter(3, 0.0)
    other = Quota(counts, 0, Allowance(at_once=2))
    assert other.wait(3, 0.0) == 0
    other.leave(3)
    assert Quota(counts, 0, Allowance(at_once=1)).wait(3, 0.0) == 0
