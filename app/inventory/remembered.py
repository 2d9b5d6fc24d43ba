"""What is remembered of a region, and what is done about it at which age: no clock, no asking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from app.errors import BrokerError, RegionIncomplete, RegionNotFound
from app.inventory.model import Cloud

AHEAD = 0.75
JITTER = 0.15
"""Shares of its time after which an answer that is used is asked for anew: at 75% to 90%, so that many that came
together are not asked for together."""

GRACE = 0.1
LONGEST_GRACE = 10.0
"""The share of its time, and the most seconds, that an answer serves beyond it while it is asked for anew."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Seconds: an answer is fresh; a refusal counts, and a failure is not tried again; an answer may serve when
    the inventory fails. And how many look-ups are made at once."""

    fresh: float
    negative: float
    stale: float
    lookups: int = 64


class Step(Enum):
    """What is done about a region."""

    AHEAD = auto()
    """Serve what is remembered, and ask in the background."""
    STALE = auto()
    """The same, long after its time, as whoever is asked is in doubt."""
    BRIEFLY = auto()
    """Ask and wait, but not long: what is remembered is better than nothing."""
    ASK = auto()
    """Ask and wait."""


@dataclass(slots=True)
class Known:
    """A good answer."""

    generation: int
    cloud: Cloud
    quiet_until: float
    """Until then it is served, and nothing else is done; what `served` says is counted."""
    fresh_until: float
    stale_until: float
    served: str = "hit"

    def step(self, now: float, *, doubted: bool) -> Step:
        """After its quiet time."""
        if now < self.fresh_until:
            return Step.AHEAD
        if now >= self.stale_until:
            return Step.ASK
        return Step.STALE if doubted else Step.BRIEFLY

    def failed(self, now: float, pause: float) -> None:
        """It was asked for anew in vain: it is not again for a while."""
        fresh = now < self.fresh_until
        self.quiet_until = min(now + pause, self.fresh_until if fresh else self.stale_until)
        self.served = "hit" if fresh else "stale"


def learnt(cloud: Cloud, generation: int, now: float, settings: CacheSettings, chance: float) -> Known:
    """A good answer to a question of the time `now`; `chance` from 0 to 1."""
    fresh = settings.fresh
    return Known(
        generation,
        cloud,
        quiet_until=now + fresh * (AHEAD + JITTER * chance),
        fresh_until=now + fresh + min(fresh * GRACE, LONGEST_GRACE),
        stale_until=now + fresh + settings.stale,
    )


class Refusal(NamedTuple):
    """What is remembered of an error: itself it would hold its traceback, with a request and its frames."""

    kind: type[BrokerError]
    message: str

    @property
    def final(self) -> bool:
        """Whether it says something of the region, not of who was asked."""
        return issubclass(self.kind, RegionNotFound | RegionIncomplete)

    def error(self) -> BrokerError:
        return self.kind(self.message)


class Refused(NamedTuple):
    """A refusal, and until when it counts."""

    generation: int
    refusal: Refusal
    until: float
