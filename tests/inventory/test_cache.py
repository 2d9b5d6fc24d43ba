from __future__ import annotations

import traceback
from collections.abc import Callable

import eventlet
import pytest

from app.core.region import Region
from app.errors import BrokerError, InventoryError, InventoryTimeout, RegionIncomplete, RegionNotFound
from app.inventory import cache
from app.inventory.cache import CachedInventory, Layered, Lifetimes, Unconfigured
from app.inventory.generations import Generations
from app.inventory.model import Cloud

A, B, C = Region("o", "a"), Region("o", "b"), Region("o", "c")
OLD, NEW = Cloud("openstack", "pike"), Cloud("k8s", None)
FRESH, NEGATIVE, STALE = 60.0, 10.0, 300.0


class Source:
    """An inventory that answers what it is told to."""

    def __init__(self, outcome: Cloud | BrokerError) -> None:
        self.outcome = outcome
        self.asked: list[Region] = []
        self.forgotten: list[Region] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def find(self, region: Region, request_id: str) -> Cloud:
        self.asked.append(region)
        outcome = self.outcome
        self.meanwhile()
        if isinstance(outcome, BrokerError):
            raise outcome
        return outcome

    def forget(self, region: Region) -> None:
        self.forgotten.append(region)


class Story:
    """A cached inventory, its source, and a clock that stands until it is told to go on."""

    def __init__(self, outcome: Cloud | BrokerError) -> None:
        self.source = Source(outcome)
        self.now = 1000.0
        self.events: list[str] = []
        lifetimes = Lifetimes(FRESH, NEGATIVE, STALE)
        self.inventory = CachedInventory(self.source, lifetimes, Generations(), self.events.append, lambda: self.now)

    def find(self, region: Region = A) -> Cloud | type[BrokerError]:
        try:
            return self.inventory.find(region, "id")
        except BrokerError as error:
            return type(error)

    def later(self, seconds: float, outcome: Cloud | BrokerError) -> Story:
        self.now += seconds
        self.source.outcome = outcome
        return self


def test_an_answer_is_remembered_while_it_is_fresh() -> None:
    story = Story(OLD)
    assert story.find() == OLD
    assert story.later(FRESH - 1, NEW).find() == OLD
    assert story.later(1, NEW).find() == NEW
    assert story.source.asked == [A, A]
    assert story.events == ["miss", "hit", "miss"]


def test_each_region_is_remembered_for_itself() -> None:
    story = Story(OLD)
    story.find(A)
    assert story.later(0, NEW).find(B) == NEW
    assert story.find(A) == OLD


@pytest.mark.parametrize("error", [RegionNotFound("x"), RegionIncomplete("x")], ids=lambda error: error.reason)
def test_a_refusal_is_remembered_for_a_short_time(error: BrokerError) -> None:
    story = Story(error)
    assert story.find() is type(error)
    assert story.later(NEGATIVE - 1, NEW).find() is type(error)
    assert len(story.source.asked) == 1
    assert story.later(1, NEW).find() == NEW


@pytest.mark.parametrize("error", [InventoryError("x"), InventoryTimeout("x")], ids=lambda error: error.reason)
def test_the_last_good_answer_serves_while_the_inventory_fails(error: BrokerError) -> None:
    story = Story(OLD)
    story.find()
    assert story.later(FRESH, error).find() == OLD
    assert story.later(STALE - 1, error).find() == OLD


def test_an_answer_that_is_too_old_does_not_serve() -> None:
    story = Story(OLD)
    story.find()
    assert story.later(FRESH + STALE, InventoryError("x")).find() == InventoryError


def test_no_answer_serves_longer_than_it_may() -> None:
    story = Story(OLD)
    story.find()
    assert story.later(FRESH + STALE - 1, InventoryError("x")).find() == OLD
    assert story.later(1, InventoryError("x")).find() == InventoryError


def test_a_failing_inventory_is_tried_again_only_now_and_then() -> None:
    story = Story(OLD)
    story.find()
    story.later(FRESH, InventoryTimeout("x"))
    assert [story.find(), story.later(NEGATIVE - 1, NEW).find()] == [OLD, OLD]
    assert len(story.source.asked) == 2
    assert story.events[-1] == "stale"
    assert story.later(1, NEW).find() == NEW


def test_without_an_answer_a_failure_is_the_answer_for_a_short_time() -> None:
    story = Story(InventoryTimeout("x"))
    assert story.find() == InventoryTimeout
    assert story.later(NEGATIVE - 1, NEW).find() == InventoryTimeout
    assert len(story.source.asked) == 1
    assert story.later(1, NEW).find() == NEW


@pytest.mark.parametrize("error", [RegionNotFound("x"), RegionIncomplete("x")], ids=lambda error: error.reason)
def test_a_region_that_is_gone_is_not_served_from_memory(error: BrokerError) -> None:
    story = Story(OLD)
    story.find()
    assert story.later(FRESH, error).find() is type(error)
    assert story.later(NEGATIVE, InventoryError("x")).find() == InventoryError


def test_a_forgotten_region_is_asked_for_again_and_the_others_are_not() -> None:
    story = Story(OLD)
    story.find(A)
    story.find(B)
    story.inventory.forget(A)
    assert story.later(0, NEW).find(A) == NEW
    assert story.find(B) == OLD


def test_a_forgotten_region_is_not_served_while_the_inventory_fails() -> None:
    story = Story(OLD)
    story.find()
    story.inventory.forget(A)
    assert story.later(0, InventoryError("x")).find() == InventoryError


def test_a_region_that_was_never_asked_for_can_be_forgotten() -> None:
    story = Story(OLD)
    story.inventory.forget(A)
    assert story.find() == OLD


@pytest.mark.parametrize("outcome", [OLD, RegionNotFound("x"), InventoryError("x")], ids=["found", "unknown", "failed"])
def test_what_a_look_up_brings_that_was_under_way_is_not_remembered(outcome: Cloud | BrokerError) -> None:
    story = Story(outcome)
    story.source.meanwhile = lambda: story.inventory.forget(A)
    story.find()
    story.source.meanwhile = lambda: None
    assert story.later(0, NEW).find() == NEW


def test_a_remembered_error_does_not_grow_with_each_request() -> None:
    story, depths = Story(RegionNotFound("x")), []
    for _ in range(4):
        with pytest.raises(RegionNotFound) as caught:
            story.inventory.find(A, "id")
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert depths[1] == depths[2] == depths[3]


def test_those_that_ask_at_once_share_one_question() -> None:
    story = Story(OLD)
    story.source.meanwhile = lambda: eventlet.sleep(0)
    threads = [eventlet.spawn(story.find) for _ in range(5)]
    assert [thread.wait() for thread in threads] == [OLD] * 5
    assert story.source.asked == [A]


def test_the_region_used_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 2)
    story = Story(OLD)
    for region in (A, B, A, C, A, B):
        story.find(region)
    assert story.source.asked == [A, B, C, B]


def test_layers_are_asked_in_turn_until_one_knows_the_region() -> None:
    first, second, third = Source(RegionNotFound("1")), Source(OLD), Source(NEW)
    assert Layered(first, second, third).find(A, "id") == OLD
    assert (first.asked, second.asked, third.asked) == ([A], [A], [])


def test_the_last_layer_says_that_there_is_no_such_region() -> None:
    with pytest.raises(RegionNotFound, match="second"):
        Layered(Source(RegionNotFound("first")), Source(RegionNotFound("second"))).find(A, "id")


@pytest.mark.parametrize("error", [InventoryError("x"), RegionIncomplete("x")], ids=lambda error: error.reason)
def test_another_error_of_a_layer_is_the_answer(error: BrokerError) -> None:
    last = Source(OLD)
    with pytest.raises(type(error)):
        Layered(Source(error), last).find(A, "id")
    assert last.asked == []


def test_all_layers_forget() -> None:
    layers = Source(OLD), Source(NEW)
    Layered(*layers).forget(A)
    assert [layer.forgotten for layer in layers] == [[A], [A]]


def test_without_aai_an_unknown_region_is_told_with_what_to_do() -> None:
    Unconfigured().forget(A)
    with pytest.raises(RegionNotFound, match=r"o_a: set AAI_ADDR .* BROKER_INVENTORY_REGIONS_FILE"):
        Unconfigured().find(A, "id")
