"""What the clients of a fault saw, and what of it is a loss. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.faults.load import Sample

CALM = 1.0
"""Seconds with nothing but fine answers that count as "as before"."""


@dataclass(frozen=True)
class May:
    """What clients may see beside what is fine, from the fault's beginning until all is as before: outcomes, or the
    statuses that they begin with."""

    names: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset(("GET", "POST"))

    def see(self, sample: Sample) -> bool:
        if sample.traffic.name not in self.names or sample.traffic.method not in self.methods:
            return False
        return sample.outcome in self.outcomes or sample.outcome.partition(" ")[0] in self.outcomes


@dataclass
class Seen:
    """The samples of a load around a fault that lasted from `made` to `ended`; times of `time.monotonic`."""

    samples: Sequence[Sample]
    made: float
    ended: float
    may: May = field(default_factory=May)

    @cached_property
    def calm(self) -> float:
        """When it began to be as before: from here on, a full second saw only fine answers."""
        return calm_from(self.samples, self.ended)

    @property
    def as_before_after(self) -> float:
        """Seconds from the fault's end."""
        return max(self.calm - self.ended, 0.0)

    @cached_property
    def during(self) -> list[Sample]:
        """Those that the fault may have touched: under way when it began, or begun until it was as before."""
        return [one for one in self.samples if one.ended >= self.made and one.began <= self.calm]

    def of_those(self, hit: bool) -> list[Sample]:
        """During the fault: of the clients that it may hit, or of the others."""
        return [one for one in self.during if (one.traffic.name in self.may.names) == hit]

    @property
    def losses(self) -> list[Sample]:
        """What nobody may see."""
        during = {one.id for one in self.during}
        return [one for one in self.samples if not one.fine and not (one.id in during and self.may.see(one))]


def calm_from(samples: Iterable[Sample], ended: float) -> float:
    """The first moment from `ended` on after which a full second saw no failure; requests count from their begin."""
    moment = ended
    for began in sorted(one.began for one in samples if not one.fine and one.began >= ended):
        if began - moment > CALM:
            break
        moment = began
    return moment


def outcomes(samples: Iterable[Sample]) -> Counter[str]:
    return Counter(one.outcome for one in samples)


def longest(samples: Iterable[Sample]) -> float:
    """The longest time to an answer, in seconds."""
    return max((one.seconds for one in samples), default=0.0)
