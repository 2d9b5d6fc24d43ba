"""The verdict of a soak: what rises is seen, what is noisy is not taken for it."""

from __future__ import annotations

import random

import pytest

from tests.soak.slopes import percentile, trend

MOMENTS = [float(second) for second in range(0, 1440, 5)]


@pytest.mark.parametrize(
    ("values", "rise", "flat"),
    [
        ([50.0] * len(MOMENTS), 0.0, True),
        ([50 + at / 1440 * 1.9 for at in MOMENTS], 1.9, True),
        ([50 + at / 1440 * 2.5 for at in MOMENTS], 2.5, False),
        ([50 - at / 1440 * 9 for at in MOMENTS], -9.0, True),
    ],
)
def test_a_rise_beyond_what_is_allowed_is_none_that_is_flat(values: list[float], rise: float, flat: bool) -> None:
    found = trend("memory", "MiB", MOMENTS, values, allowed=2.0)
    assert (found.rise, found.flat) == (pytest.approx(rise, rel=0.01), flat)
    assert found.ends == (pytest.approx(found.mean - found.rise / 2), pytest.approx(found.mean + found.rise / 2))
    assert ("flat" if flat else "RISES") in str(found)


@pytest.mark.parametrize(("leak", "flat"), [(0.0, True), (4.0, False)])
def test_noise_hides_no_leak_and_is_none(leak: float, flat: bool) -> None:
    noise = random.Random(7)
    values = [50 + noise.gauss(0, 3) + leak * at / 1440 for at in MOMENTS]
    assert trend("memory", "MiB", MOMENTS, values, allowed=2.0).flat is flat


def test_a_share_of_the_mean_may_be_more_than_what_is_allowed() -> None:
    values = [100 + at / 1440 * 15 for at in MOMENTS]
    assert not trend("p50", "ms", MOMENTS, values, allowed=2.0, share=0.1).flat
    assert trend("p50", "ms", MOMENTS, values, allowed=2.0, share=0.2).flat


def test_percentiles() -> None:
    assert [percentile([3.0, 1.0, 2.0], part) for part in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 2.0, 3.0]
    assert percentile([], 0.5) == 0.0
