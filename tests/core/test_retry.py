from __future__ import annotations

import pytest

from app.core.retry import Budget, may_send_again


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_an_idempotent_request_may_be_sent_again(method: str) -> None:
    assert may_send_again(method, written=True, held=True)


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK", "MKCOL", "get", "NEW"])
def test_any_other_only_if_nothing_of_it_was_sent(method: str) -> None:
    assert not may_send_again(method, written=True, held=True)
    assert may_send_again(method, written=False, held=True)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("written", [True, False])
def test_never_without_the_whole_body(method: str, written: bool) -> None:
    assert not may_send_again(method, written=written, held=False)


def spent(budget: Budget) -> int:
    """How many may be sent again now."""
    count = 0
    while budget.spend():
        count += 1
    return count


def test_a_budget_has_a_reserve_and_is_a_share_of_what_is_sent() -> None:
    budget = Budget(0.25)
    assert (spent(budget), budget.spend()) == (10, False)
    for _ in range(20):
        budget.sent()
    assert spent(budget) == 5


def test_a_budget_is_never_more_than_its_reserve() -> None:
    budget = Budget(0.25)
    for _ in range(1000):
        budget.sent()
    assert spent(budget) == 10


def test_a_budget_of_nothing_and_of_all() -> None:
    nothing, everything = Budget(0), Budget(1)
    assert not nothing.spend()
    spent(everything)
    for _ in range(100):
        nothing.sent()
        everything.sent()
        assert (nothing.spend(), everything.spend()) == (False, True)


def test_another_share_counts_from_then_on_and_what_was_spent_stays_spent() -> None:
    budget = Budget(1)
    spent(budget)
    budget.sent()
    budget.share = 0.0
    assert not budget.spend()
    budget.share = 0.5
    assert spent(budget) == 1
    for _ in range(4):
        budget.sent()
    assert spent(budget) == 2
