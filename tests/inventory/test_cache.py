from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator

import eventlet
import pytest
from eventlet.event import Event

from app.core.outage import DIFFERENT
from app.core.region import Region
from app.errors import (
    BrokerError,
    InventoryError,
    InventoryTimeout,
    InventoryUnavailable,
    RegionIncomplete,
    RegionNotFound,
    Unavailable,
)
from app.inventory import cache
from app.inventory.cache import CachedInventory, Layered, Unconfigured
from app.inventory.generations import Generations
from app.inventory.model import Cloud
from app.inventory.remembered import AHEAD, GRACE, JITTER, CacheSettings
from app.net.loop import Loop

A, B, C = Region("o", "a"), Region("o", "b"), Region("o", "c")
OLD, NEW = Cloud("openstack", "pike"), Cloud("k8s", None)
FRESH, NEGATIVE, STALE = 60.0, 10.0, 300.0
DUE = FRESH * AHEAD
OVER = FRESH * (1 + GRACE)
FAILURES = [InventoryError("x"), InventoryTimeout("x"), Unavailable("no descriptor")]
FINAL = [RegionNotFound("x"), RegionIncomplete("x")]


class Source:
    """An inventory that answers what it is told to."""

    def __init__(self, outcome: Cloud | BrokerError) -> None:
        self.outcome = outcome
        self.asked: list[Region] = []
        self.forgotten: list[Region] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.at_once = self.most = 0

    def find(self, region: Region, request_id: str) -> Cloud:
        self.asked.append(region)
        outcome = self.outcome
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            self.meanwhile()
        finally:
            self.at_once -= 1
        if isinstance(outcome, BrokerError):
            raise outcome
        return outcome

    def forget(self, region: Region) -> None:
        self.forgotten.append(region)


class Story:
    """A cached inventory, its source, and a clock that stands until it is told to go on."""

    def __init__(self, loop: Loop, outcome: Cloud | BrokerError, lookups: int = 64, negative: float = NEGATIVE) -> None:
        self.source = Source(outcome)
        self.now = 1000.0
        self.chance = 0.0
        self.events: list[str] = []
        settings = CacheSettings(FRESH, negative, STALE, lookups)
        self.inventory = CachedInventory(
            self.source, settings, Generations(), loop, self.events.append, lambda: self.now, lambda: self.chance
        )

    def find(self, region: Region = A) -> Cloud | type[BrokerError]:
        try:
            return self.inventory.find(region, "id")
        except BrokerError as error:
            return type(error)

    def later(self, seconds: float, outcome: Cloud | BrokerError) -> Story:
        self.now += seconds
        self.source.outcome = outcome
        return self

    def settle(self) -> Story:
        """Let what is under way in the background end."""
        for _ in range(5):
            eventlet.sleep(0)
        return self

    def fails(self, error: BrokerError) -> Story:
        """For as many regions as make an outage."""
        self.source.outcome = error
        for number in range(DIFFERENT):
            self.find(Region("failing", str(number)))
        return self


Tell = Callable[..., Story]


@pytest.fixture(scope="module")
def loop() -> Loop:
    return Loop()


@pytest.fixture
def tell(loop: Loop) -> Tell:
    return lambda outcome, *rest: Story(loop, outcome, *rest)


@pytest.fixture
def gate() -> Iterator[Event]:
    """What a source that hangs waits for."""
    made = Event()
    yield made
    if not made.ready():
        made.send()
    eventlet.sleep(0)


def test_an_answer_is_remembered_while_it_is_fresh(tell: Tell) -> None:
    story = tell(OLD)
    assert story.find() == OLD
    assert story.later(DUE - 1, NEW).find() == OLD
    assert story.settle().find() == OLD
    assert story.later(OVER - DUE + 1, NEW).find() == NEW
    assert story.source.asked == [A, A]
    assert story.events == ["miss", "hit", "hit", "miss"]


def test_each_region_is_remembered_for_itself(tell: Tell) -> None:
    story = tell(OLD)
    story.find(A)
    assert story.later(0, NEW).find(B) == NEW
    assert story.find(A) == OLD


# Ahead of its time.


@pytest.mark.parametrize("age", [DUE, FRESH, OVER - 0.1])
def test_one_in_use_is_asked_for_anew_in_the_background(tell: Tell, age: float) -> None:
    story = tell(OLD)
    story.find()
    assert story.later(age, NEW).find() == OLD
    assert story.settle().find() == NEW
    assert (story.source.asked, story.events) == ([A, A], ["miss", "ahead", "hit", "hit"])


def test_while_the_inventory_is_slow_one_look_up_is_made_and_nobody_waits(tell: Tell, gate: Event) -> None:
    story = tell(OLD)
    story.find()
    story.source.meanwhile = gate.wait
    story.later(DUE, NEW)
    for _ in range(5):
        assert story.find() == OLD
        story.settle()
    assert story.source.asked == [A, A]
    gate.send()
    assert story.settle().find() == NEW


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: error.reason)
def test_a_failure_ahead_of_its_time_is_none_that_anybody_sees(tell: Tell, error: BrokerError) -> None:
    story = tell(OLD)
    story.find()
    assert story.later(DUE, error).find() == OLD
    assert story.settle().find() == OLD
    assert story.source.asked == [A, A]
    assert set(story.events) == {"miss", "ahead", "hit"}


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.reason)
def test_a_region_that_is_gone_is_seen_ahead_of_its_time(tell: Tell, error: BrokerError) -> None:
    story = tell(OLD)
    story.find()
    story.later(DUE, error).find()
    assert story.settle().find() is type(error)


def test_many_that_came_together_are_not_asked_for_together(tell: Tell) -> None:
    story = tell(OLD)
    regions = [Region("o", str(number)) for number in range(100)]
    for number, region in enumerate(regions):
        story.chance = number / 100
        story.find(region)
    begun = []
    for moment in range(11):
        story.now = 1000 + DUE + moment * FRESH * JITTER / 10
        before = len(story.source.asked)
        for region in regions:
            story.find(region)
            story.settle()
        begun.append(len(story.source.asked) - before)
    assert sum(begun) == 100
    assert max(begun) <= 12


def test_what_expired_together_is_not_asked_for_together(tell: Tell) -> None:
    story = tell(OLD, 8)
    regions = [Region("o", str(number)) for number in range(200)]
    for region in regions:
        story.find(region)
    story.later(OVER, NEW)
    story.source.meanwhile = lambda: eventlet.sleep(0)
    threads = [eventlet.spawn(story.find, region) for region in regions]
    assert {thread.wait() for thread in threads} == {NEW}
    assert (story.source.most, len(story.source.asked)) == (8, 400)


# Refusals and failures.


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.reason)
def test_a_refusal_is_remembered_for_a_short_time(tell: Tell, error: BrokerError) -> None:
    story = tell(error)
    assert story.find() is type(error)
    assert story.later(NEGATIVE - 1, NEW).find() is type(error)
    assert len(story.source.asked) == 1
    assert story.later(1, NEW).find() == NEW


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: error.reason)
def test_the_last_good_answer_serves_while_the_inventory_fails(tell: Tell, error: BrokerError) -> None:
    story = tell(OLD)
    story.find()
    assert story.later(OVER, error).find() == OLD
    assert story.later(STALE - OVER, error).find() == OLD


def test_an_answer_that_is_too_old_does_not_serve(tell: Tell) -> None:
    story = tell(OLD)
    story.find()
    story.later(FRESH + STALE, InventoryError("x"))
    assert [story.find(), story.find()] == [InventoryError] * 2
    assert len(story.source.asked) == 2


def test_no_answer_serves_longer_than_it_may(tell: Tell) -> None:
    story = tell(OLD)
    story.find()
    assert story.later(FRESH + STALE - 1, InventoryError("x")).find() == OLD
    assert story.later(1, InventoryError("x")).find() == InventoryError


def test_a_failing_inventory_is_tried_again_now_and_then_and_nobody_waits(tell: Tell) -> None:
    story = tell(OLD)
    story.find()
    story.later(OVER, InventoryTimeout("x"))
    assert [story.find(), story.later(NEGATIVE - 1, NEW).find()] == [OLD, OLD]
    assert len(story.source.asked) == 2
    assert story.events[-1] == "stale"
    assert story.later(1, NEW).find() == OLD
    assert story.settle().find() == NEW
    assert story.events[-3:] == ["ahead", "stale", "hit"]


def test_an_old_answer_serves_soon_where_the_inventory_hangs_and_at_once_from_then_on(
    tell: Tell, gate: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PATIENCE", 0.05)
    story = tell(OLD)
    story.find(A)
    story.find(B)
    story.source.meanwhile = gate.wait
    assert story.later(OVER, NEW).find(A) == OLD
    monkeypatch.setattr(cache, "PATIENCE", 3600.0)
    assert [story.find(A), story.find(B)] == [OLD, OLD]
    story.settle()
    assert story.source.asked == [A, B, A, B]
    gate.send()
    assert [story.settle().find(A), story.find(B)] == [NEW, NEW]


def test_without_an_answer_a_failure_is_the_answer_for_a_short_time(tell: Tell) -> None:
    story = tell(InventoryTimeout("x"))
    assert story.find() == InventoryTimeout
    assert story.later(NEGATIVE - 1, NEW).find() == InventoryTimeout
    assert len(story.source.asked) == 1
    assert story.later(1, NEW).find() == NEW


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.reason)
def test_a_region_that_is_gone_is_not_served_from_memory(tell: Tell, error: BrokerError) -> None:
    story = tell(OLD)
    story.find()
    assert story.later(OVER, error).find() is type(error)
    assert story.later(NEGATIVE, InventoryError("x")).find() == InventoryError


def test_unknown_regions_do_not_push_out_those_that_are_good(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_REFUSED", 2)
    story = tell(OLD)
    story.find()
    story.source.outcome = RegionNotFound("x")
    for number in range(10):
        story.find(Region("unknown", str(number)))
    assert len(story.inventory._refused) == 2
    story.find()
    assert story.events[-1] == "hit"


# An outage.


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: error.reason)
def test_in_an_outage_unknown_regions_are_refused_at_once(tell: Tell, error: BrokerError) -> None:
    story = tell(OLD).fails(error)
    for number in range(1000):
        assert story.find(Region("unknown", str(number))) is InventoryUnavailable
    assert len(story.source.asked) == DIFFERENT
    assert story.events[-1] == "refused"
    with pytest.raises(InventoryUnavailable) as caught:
        story.inventory.find(A, "id")
    assert (caught.value.status, caught.value.headers) == (503, (("Retry-After", "10"),))


def test_in_an_outage_known_regions_go_on(tell: Tell) -> None:
    story = tell(OLD)
    story.find(A)
    story.find(B)
    story.later(OVER, InventoryTimeout("x")).fails(InventoryTimeout("x"))
    assert [story.find(A), story.find(B)] == [OLD, OLD]
    assert story.source.asked[2:].count(A) == 0
    assert story.events[-2:] == ["stale", "stale"]


def test_an_outage_ends_with_the_first_answer(tell: Tell) -> None:
    story = tell(OLD).fails(InventoryTimeout("x"))
    assert story.later(NEGATIVE - 0.5, NEW).find(A) is InventoryUnavailable
    assert [story.later(0.5, NEW).find(A), story.find(B), story.find(C)] == [NEW] * 3


def test_an_answer_about_a_region_that_is_not_there_ends_it_too(tell: Tell) -> None:
    story = tell(OLD).fails(InventoryTimeout("x"))
    assert story.later(NEGATIVE, RegionNotFound("x")).find(A) is RegionNotFound
    assert story.later(0, NEW).find(B) == NEW


def test_after_an_outage_one_asks_and_the_others_do_not_wait(tell: Tell, gate: Event) -> None:
    story = tell(OLD).fails(InventoryTimeout("x"))
    story.later(NEGATIVE, NEW)
    story.source.meanwhile = gate.wait
    threads = [eventlet.spawn(story.find, Region("unknown", str(number))) for number in range(50)]
    story.settle()
    assert len(story.source.asked) == DIFFERENT + 1
    assert [thread.wait() for thread in threads[1:]] == [InventoryUnavailable] * 49
    assert story.find(A) is InventoryUnavailable
    gate.send()
    assert threads[0].wait() == NEW
    assert story.find(A) == NEW


def test_where_failures_are_not_to_be_remembered_everything_is_asked(tell: Tell) -> None:
    story = tell(OLD, 64, 0.0).fails(InventoryTimeout("x"))
    assert story.later(0, NEW).find(A) == NEW


def test_more_than_may_be_asked_for_wait_and_are_refused(
    tell: Tell, gate: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "LINE", 0.05)
    story = tell(OLD, 2)
    story.source.meanwhile = gate.wait
    threads = [eventlet.spawn(story.find, region) for region in (A, B)]
    story.settle()
    assert story.find(C) is InventoryUnavailable
    assert story.events[-1] == "refused"
    gate.send()
    assert [thread.wait() for thread in threads] == [OLD, OLD]
    assert story.source.asked == [A, B]


def test_the_line_is_bounded_too(tell: Tell, gate: Event) -> None:
    story = tell(OLD, 2)
    story.source.meanwhile = gate.wait
    most = 2 + 2 * cache.LONGEST_LINE
    threads = [eventlet.spawn(story.find, Region("o", str(number))) for number in range(most)]
    story.settle()
    assert story.find(A) is InventoryUnavailable
    assert (len(story.source.asked), story.events[-1]) == (2, "refused")
    gate.send()
    assert [thread.wait() for thread in threads] == [OLD] * most
    assert story.find(A) == OLD


# What is dropped.


def test_a_forgotten_region_is_asked_for_again_and_the_others_are_not(tell: Tell) -> None:
    story = tell(OLD)
    story.find(A)
    story.find(B)
    story.inventory.forget(A)
    assert story.later(0, NEW).find(A) == NEW
    assert story.find(B) == OLD


def test_a_forgotten_region_is_not_served_while_the_inventory_fails(tell: Tell) -> None:
    story = tell(OLD)
    story.find()
    story.inventory.forget(A)
    assert story.later(0, InventoryError("x")).find() == InventoryError


def test_a_region_that_was_never_asked_for_can_be_forgotten(tell: Tell) -> None:
    story = tell(OLD)
    story.inventory.forget(A)
    assert story.find() == OLD


@pytest.mark.parametrize("outcome", [OLD, RegionNotFound("x"), InventoryError("x")], ids=["found", "unknown", "failed"])
def test_what_a_look_up_brings_that_was_under_way_is_not_remembered(tell: Tell, outcome: Cloud | BrokerError) -> None:
    story = tell(outcome)
    story.source.meanwhile = lambda: story.inventory.forget(A)
    story.find()
    story.source.meanwhile = lambda: None
    assert story.later(0, NEW).find() == NEW


def test_nor_is_what_one_in_the_background_brings(tell: Tell) -> None:
    story = tell(OLD)
    story.find()
    story.source.meanwhile = lambda: story.inventory.forget(A)
    story.later(DUE, OLD).find()
    story.settle().source.meanwhile = lambda: None
    assert story.later(0, NEW).find() == NEW


@pytest.mark.parametrize("error", [RegionNotFound("x"), InventoryError("x")], ids=lambda error: error.reason)
def test_an_error_holds_nothing_of_who_asked_first(tell: Tell, error: BrokerError) -> None:
    story, depths = tell(error), []
    for _ in range(4):
        with pytest.raises(type(error)) as caught:
            story.inventory.find(A, "id")
        assert caught.value is not error
        assert caught.value.__cause__ is caught.value.__context__ is None
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert max(depths) <= 4


def test_those_that_ask_at_once_share_one_question(tell: Tell) -> None:
    story = tell(OLD)
    story.source.meanwhile = lambda: eventlet.sleep(0)
    threads = [eventlet.spawn(story.find) for _ in range(5)]
    assert [thread.wait() for thread in threads] == [OLD] * 5
    assert story.source.asked == [A]


def test_who_asked_may_leave_and_the_answer_is_remembered(tell: Tell, gate: Event) -> None:
    story = tell(OLD)
    story.source.meanwhile = gate.wait
    thread = eventlet.spawn(story.find)
    story.settle()
    thread.kill()
    gate.send()
    assert story.settle().find() == OLD
    assert story.source.asked == [A]


def test_the_region_used_longest_ago_goes_first(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 2)
    story = tell(OLD)
    for region in (A, B, A, C, A, B):
        story.find(region)
    assert story.source.asked == [A, B, C, B]


class Listed(Source):
    """One that has a few regions."""

    def __init__(self, outcome: Cloud | BrokerError, *regions: Region) -> None:
        super().__init__(outcome)
        self.regions = regions

    def __contains__(self, region: Region) -> bool:
        return region in self.regions


@pytest.mark.parametrize(("region", "layer"), [(A, 0), (B, 1), (C, 2)])
def test_the_first_list_that_has_the_region_is_asked_else_the_last_layer(region: Region, layer: int) -> None:
    layers = Listed(OLD, A), Listed(NEW, A, B), Source(OLD)
    assert Layered(layers[:2], layers[2]).find(region, "id") == layers[layer].outcome
    assert [bool(one.asked) for one in layers] == [number == layer for number in range(3)]


def test_the_last_layer_says_that_there_is_no_such_region() -> None:
    with pytest.raises(RegionNotFound, match="last"):
        Layered([Listed(OLD)], Source(RegionNotFound("last"))).find(A, "id")


@pytest.mark.parametrize("error", [InventoryError("x"), RegionIncomplete("x")], ids=lambda error: error.reason)
def test_another_error_of_a_list_is_the_answer(error: BrokerError) -> None:
    last = Source(OLD)
    with pytest.raises(type(error)):
        Layered([Listed(error, A)], last).find(A, "id")
    assert last.asked == []


def test_all_layers_forget() -> None:
    layers = Listed(OLD), Source(NEW)
    Layered(layers[:1], layers[1]).forget(A)
    assert [layer.forgotten for layer in layers] == [[A], [A]]


def test_without_aai_an_unknown_region_is_told_with_what_to_do() -> None:
    Unconfigured().forget(A)
    with pytest.raises(RegionNotFound, match=r"o_a: set AAI_ADDR .* BROKER_INVENTORY_REGIONS_FILE"):
        Unconfigured().find(A, "id")
