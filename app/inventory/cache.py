"""Remembers an inventory's answers, good and bad, and serves old ones while it fails or is slow."""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from app.core.outage import Outage
from app.core.region import Region
from app.errors import BrokerError, InventoryUnavailable, RegionNotFound
from app.inventory.generations import Generations
from app.inventory.model import Cloud, Inventory, List
from app.inventory.remembered import CacheSettings, Known, Refusal, Refused, Step, learnt
from app.net.flights import Flight, Flights
from app.net.loop import Loop

MOST = 1 << 17
"""Regions remembered, some 410 bytes each; the one that was used longest ago goes first."""

MOST_REFUSED = 1_000
"""Regions remembered that there are not, or that failed, beside those that are good."""

PATIENCE = 1.0
"""Seconds that the inventory is waited for where an old answer is at hand."""

LINE = 3.0
"""Seconds that a look-up waits for its turn."""

LONGEST_LINE = 4
"""Look-ups that wait for their turn, for each that is made at once: an inventory that hangs must not come to hold all
requests that a worker may serve."""

OUT_OF_ORDER = (
    "A&AI has failed for several regions just now and is not asked for others; send this request again later."
)
CROWDED = "The broker asks A&AI for as many regions as it may at once (aai.lookups_max); send this request again later."

Outcome = Cloud | Refusal

T = TypeVar("T")


class CachedInventory:
    """Around an inventory that is asked over the network."""

    def __init__(
        self,
        source: Inventory,
        settings: CacheSettings,
        generations: Generations,
        loop: Loop,
        observed: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`observed` is told `hit`, `miss` or `stale` for each look-up, `ahead` for one in the background, and
        `refused` for one that was not made."""
        self.settings = settings
        self._source = source
        self._generations = generations
        self._observed = observed
        self._clock = clock
        self._chance = chance
        self._known: OrderedDict[Region, Known] = OrderedDict()
        self._refused: OrderedDict[Region, Refused] = OrderedDict()
        self._flights: Flights[tuple[Region, int], Outcome] = Flights(loop, lambda: self.settings.lookups)
        self._outage = Outage()

    def find(self, region: Region, request_id: str) -> Cloud:
        generation = self._generations.of(region)
        known = self._known.get(region)
        if known is None or known.generation != generation:
            return self._ask(region, generation, request_id)
        self._known.move_to_end(region)
        if self._clock() < known.quiet_until:
            self._observed(known.served)
            return known.cloud
        return self._serve(region, known, request_id)

    def forget(self, region: Region) -> None:
        """Drop what any worker remembers; what a look-up under way brings is not remembered either."""
        self._generations.advance(region)

    def _serve(self, region: Region, known: Known, request_id: str) -> Cloud:
        """What is remembered, or better."""
        now = self._clock()
        step = known.step(now, doubted=self._outage.doubted)
        if step is Step.ASK:
            return self._ask(region, known.generation, request_id)
        if step is Step.BRIEFLY:
            return self._ask_briefly(region, known, request_id)
        if self._outage.left(now):
            known.failed(now, self.settings.negative)
        elif self._flights.spare(*self._question(region, known.generation, request_id)):
            self._observed("ahead")
        self._observed("hit" if step is Step.AHEAD else "stale")
        return known.cloud

    def _ask_briefly(self, region: Region, known: Known, request_id: str) -> Cloud:
        self._observed("miss")
        flight = self._flights.join(*self._question(region, known.generation, request_id))
        if flight.ends(PATIENCE):
            outcome = flight.result()
            if isinstance(outcome, Cloud):
                return outcome
            if outcome.final:
                raise outcome.error()
        else:
            self._outage.slow()
        self._observed("stale")
        return known.cloud

    def _ask(self, region: Region, generation: int, request_id: str) -> Cloud:
        """Nothing good is remembered. Raises what the inventory raises, or `InventoryUnavailable`."""
        now = self._clock()
        refused = self._refused.get(region)
        if refused is not None and refused.generation == generation and now < refused.until:
            self._observed("hit")
            raise refused.refusal.error()
        if left := self._outage.left(now):
            self._observed("refused")
            raise InventoryUnavailable(OUT_OF_ORDER, math.ceil(left))
        if self._flights.waiting >= LONGEST_LINE * self.settings.lookups:
            self._observed("refused")
            raise InventoryUnavailable(CROWDED)
        self._observed("miss")
        outcome = self._outcome(self._flights.join(*self._question(region, generation, request_id)))
        if isinstance(outcome, Cloud):
            return outcome
        raise outcome.error()

    def _outcome(self, flight: Flight[Outcome]) -> Outcome:
        if not flight.begins(LINE):
            self._observed("refused")
            return Refusal(InventoryUnavailable, CROWDED)
        flight.ends()
        return flight.result()

    def _question(
        self, region: Region, generation: int, request_id: str
    ) -> tuple[tuple[Region, int], Callable[[], Outcome]]:
        return (region, generation), lambda: self._look_up(region, generation, request_id)

    def _look_up(self, region: Region, generation: int, request_id: str) -> Outcome:
        """In a greenlet of its own: its outcome is remembered, whoever waits for it."""
        now = self._clock()
        if not self._outage.may_ask(now):
            return Refusal(InventoryUnavailable, OUT_OF_ORDER)
        try:
            cloud = self._source.find(region, request_id)
        except BrokerError as error:
            refusal = Refusal(type(error), error.message)
            self._note(region, generation, refusal)
            return refusal
        self._outage.answered()
        self._refused.pop(region, None)
        _keep(self._known, region, learnt(cloud, generation, now, self.settings, self._chance()), MOST)
        return cloud

    def _note(self, region: Region, generation: int, refusal: Refusal) -> None:
        """A failure counts against the inventory and leaves what was known; a refusal is an answer."""
        now, negative = self._clock(), self.settings.negative
        known = self._known.get(region)
        if refusal.final:
            self._outage.answered()
            self._known.pop(region, None)
        else:
            self._outage.failed(region, now, negative)
            if known is not None and known.generation == generation and now < known.stale_until:
                known.failed(now, negative)
                return
        _keep(self._refused, region, Refused(generation, refusal, now + negative), MOST_REFUSED)


def _keep(memory: OrderedDict[Region, T], region: Region, entry: T, most: int) -> None:
    memory[region] = entry
    memory.move_to_end(region)
    if len(memory) > most:
        memory.popitem(last=False)


class Layered:
    """Asks the first of some lists that has the region, else the last of all."""

    def __init__(self, lists: Sequence[List], last: Inventory) -> None:
        self._lists = lists
        self._last = last

    def find(self, region: Region, request_id: str) -> Cloud:
        for regions in self._lists:
            if region in regions:
                return regions.find(region, request_id)
        return self._last.find(region, request_id)

    def forget(self, region: Region) -> None:
        for inventory in (*self._lists, self._last):
            inventory.forget(region)


class Unconfigured:
    """The last of the layers where there is no A&AI."""

    def find(self, region: Region, request_id: str) -> Cloud:  # noqa: ARG002  an inventory takes it
        raise RegionNotFound(
            f"The broker does not know the region {region.vim_id}: set AAI_ADDR to ask A&AI for it, or list it in the "
            "file of BROKER_INVENTORY_REGIONS_FILE."
        )

    def forget(self, region: Region) -> None:
        """Nothing is remembered."""
