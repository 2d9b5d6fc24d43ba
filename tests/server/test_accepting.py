"""Who takes the next connection, by the counts that workers share; test_workers.py has it with real ones."""

from __future__ import annotations

import pytest

from app.server.accepting import AHEAD, above_share


@pytest.mark.parametrize(
    ("held", "taken", "above"),
    [
        ([0, 0], [0, 0], False),
        ([1, 0], [0, 0], True),
        ([1, 1], [0, 0], False),
        ([10, 9, 10, 10], [0] * 4, False),
        ([12, 9, 9, 10], [0] * 4, True),
        ([10, 10], [AHEAD * 2 + 1, 0], True),
        ([10, 10], [AHEAD * 2, 0], False),
        ([1, 10], [1000, 0], False),  # it holds too little, whatever it took before
        ([20, 10], [0, 1000], True),
    ],
)
def test_the_first_of_these_workers_is_above_its_share(held: list[int], taken: list[int], above: bool) -> None:
    assert above_share(len(held), held[0], sum(held), taken[0], sum(taken)) is above


@pytest.mark.parametrize("workers", range(2, 9))
@pytest.mark.parametrize("connections", [1, 7, 40, 1000])
def test_there_is_always_one_that_may_take(workers: int, connections: int) -> None:
    held = [connections // workers + (slot < connections % workers) for slot in range(workers)]
    assert not all(above_share(workers, mine, connections, 0, 0) for mine in held)
