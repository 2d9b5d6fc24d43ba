"""How long a peer is waited for, by what it has moved."""

from __future__ import annotations

import math

import pytest

from app.server.pace import Pace


@pytest.mark.parametrize(
    ("moved", "waited", "left"),
    [(0, 0, 10), (0, 10, 0), (0, 12, -2), (2400, 10, 10), (240, 0, 11), (1 << 30, 1000, 10 + (1 << 30) / 240 - 1000)],
)
def test_a_grace_and_a_second_for_each_240_bytes(moved: int, waited: float, left: float) -> None:
    pace = Pace(240, 10.0)
    pace.waited = waited
    assert pace.left(moved) == pytest.approx(left)


def test_without_a_rate_any_pace_will_do() -> None:
    pace = Pace(0, 10.0)
    pace.waited = 1e9
    assert pace.left(0) == math.inf
