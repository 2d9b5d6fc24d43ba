"""Whether what is measured over time stays flat: a line by least squares, after the warm-up. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Trend(NamedTuple):
    """The line through a series: what it rises by over all that was measured, and what it may."""

    name: str
    unit: str
    mean: float
    slope: float
    """Per second."""
    seconds: float
    allowed: float

    @property
    def rise(self) -> float:
        return self.slope * self.seconds

    @property
    def ends(self) -> tuple[float, float]:
        """Of the line."""
        return self.mean - self.rise / 2, self.mean + self.rise / 2

    @property
    def flat(self) -> bool:
        """A fall is none of our business: what was warm may cool."""
        return self.rise <= self.allowed

    def __str__(self) -> str:
        verdict = "flat" if self.flat else "RISES"
        return (
            f"{self.name:32} mean {self.mean:9.2f} {self.unit:7} slope {self.slope * 3600:+10.2f} an hour, "
            f"{self.rise:+8.2f} in all, allowed {self.allowed:+8.2f}: {verdict}"
        )


def trend(
    name: str, unit: str, moments: Sequence[float], values: Sequence[float], allowed: float, share: float = 0.0
) -> Trend:
    """Of one series; it may rise by `allowed`, or by this share of its mean if that is more."""
    line = statistics.linear_regression(moments, values)
    mean = statistics.fmean(values)
    return Trend(name, unit, mean, line.slope, moments[-1] - moments[0], max(allowed, share * mean))


def percentile(values: Sequence[float], part: float) -> float:
    """Of values in any order; 0 for none."""
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * part)] if ordered else 0.0
