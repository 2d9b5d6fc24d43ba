from __future__ import annotations

import pytest

from app.errors import InventoryError, InventoryTimeout, RegionIncomplete, RegionNotFound
from app.inventory.model import Cloud
from app.inventory.remembered import CacheSettings, Known, Refusal, Step, learnt

CLOUD = Cloud("openstack", "pike")
FRESH, STALE = 100.0, 1000.0


def known(fresh: float = FRESH, stale: float = STALE, chance: float = 0.0) -> Known:
    """Of a question of the time 0."""
    return learnt(CLOUD, 7, 0, CacheSettings(fresh, 5, stale), chance)


@pytest.mark.parametrize(
    ("chance", "fresh", "stale", "quiet_until", "fresh_until", "stale_until"),
    [
        (0.0, 100, 1000, 75, 110, 1100),
        (1.0, 100, 1000, 90, 110, 1100),
        (0.0, 1000, 0, 750, 1010, 1000),  # at most 10 s longer
        (0.5, 0, 1000, 0, 0, 1000),
        (0.5, 0, 0, 0, 0, 0),
    ],
)
def test_the_times_of_an_answer(
    chance: float, fresh: float, stale: float, quiet_until: float, fresh_until: float, stale_until: float
) -> None:
    made = known(fresh, stale, chance)
    assert (made.quiet_until, made.fresh_until, made.stale_until) == (quiet_until, fresh_until, stale_until)


@pytest.mark.parametrize(
    ("now", "doubted", "step"),
    [
        (75, False, Step.AHEAD),
        (100, False, Step.AHEAD),
        (109, True, Step.AHEAD),
        (110, False, Step.BRIEFLY),
        (110, True, Step.STALE),
        (1099, False, Step.BRIEFLY),
        (1099, True, Step.STALE),
        (1100, False, Step.ASK),
        (1100, True, Step.ASK),
    ],
)
def test_what_is_done_at_which_age(now: float, doubted: bool, step: Step) -> None:
    assert known().step(now, doubted=doubted) is step


@pytest.mark.parametrize(
    ("now", "pause", "quiet_until", "served"),
    [
        (80, 5, 85, "hit"),
        (108, 5, 110, "hit"),  # not beyond its time
        (110, 5, 115, "stale"),
        (1098, 5, 1100, "stale"),
        (80, 0, 80, "hit"),
    ],
)
def test_a_failure_is_a_pause(now: float, pause: float, quiet_until: float, served: str) -> None:
    made = known()
    made.failed(now, pause)
    assert (made.quiet_until, made.served, made.cloud) == (quiet_until, served, CLOUD)


@pytest.mark.parametrize(
    ("kind", "final"),
    [(RegionNotFound, True), (RegionIncomplete, True), (InventoryError, False), (InventoryTimeout, False)],
)
def test_what_says_something_of_the_region(kind: type[RegionNotFound], final: bool) -> None:
    refusal = Refusal(kind, "why")
    assert (refusal.final, type(refusal.error()), refusal.error().message) == (final, kind, "why")
