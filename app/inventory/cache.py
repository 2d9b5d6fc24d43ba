"""Remembers an inventory's answers, good and bad, and serves old ones while it fails."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.core.region import Region
from app.errors import BrokerError, RegionIncomplete, RegionNotFound, UpstreamError
from app.inventory.generations import Generations
from app.inventory.model import Cloud, Inventory
from app.net.singleflight import SingleFlight

MOST = 10_000
"""Regions remembered; the one that was used longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds: an answer is fresh; a refusal counts, and a failure is not tried again; an answer may serve when
    the inventory fails."""

    fresh: float
    negative: float
    stale: float


@dataclass(slots=True)
class _Entry:
    generation: int
    cloud: Cloud | None = None
    refusal: tuple[type[BrokerError], str] | None = None
    fresh_until: float = 0.0
    stale_until: float = 0.0


class CachedInventory:
    """Around an inventory that is asked over the network."""

    def __init__(
        self,
        source: Inventory,
        lifetimes: Lifetimes,
        generations: Generations,
        observed: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`observed` is told `hit`, `miss` or `stale` for each look-up."""
        self._source = source
        self.lifetimes = lifetimes
        self._generations = generations
        self._observed = observed
        self._clock = clock
        self._entries: OrderedDict[Region, _Entry] = OrderedDict()
        self._flights: SingleFlight[tuple[Region, int], Cloud] = SingleFlight()

    def find(self, region: Region, request_id: str) -> Cloud:
        generation = self._generations.of(region)
        entry = self._entries.get(region)
        if entry is not None and entry.generation != generation:
            entry = None
        if entry is not None and self._clock() < entry.fresh_until:
            self._entries.move_to_end(region)
            return self._remembered(entry)
        self._observed("miss")
        return self._flights.run((region, generation), lambda: self._ask(region, request_id, generation, entry))

    def forget(self, region: Region) -> None:
        """Drop what any worker remembers; what a look-up under way brings is not remembered either."""
        self._generations.advance(region)

    def _remembered(self, entry: _Entry) -> Cloud:
        if entry.cloud is not None:
            self._observed("stale" if entry.refusal is not None else "hit")
            return entry.cloud
        self._observed("hit")
        assert entry.refusal is not None
        kind, message = entry.refusal
        raise kind(message)

    def _ask(self, region: Region, request_id: str, generation: int, before: _Entry | None) -> Cloud:
        now = self._clock()
        times = self.lifetimes
        try:
            cloud = self._source.find(region, request_id)
        except (RegionNotFound, RegionIncomplete) as error:
            self._keep(region, _Entry(generation, refusal=_bare(error), fresh_until=now + times.negative))
            raise
        except UpstreamError as error:
            return self._fallen_back(region, generation, before, error)
        self._keep(region, _Entry(generation, cloud, None, now + times.fresh, now + times.fresh + times.stale))
        return cloud

    def _fallen_back(self, region: Region, generation: int, before: _Entry | None, error: UpstreamError) -> Cloud:
        """The last good answer, or the error; either for a short time, so that a slow inventory costs its time-out
        only now and then."""
        now = self._clock()
        entry = _Entry(generation, refusal=_bare(error), fresh_until=now + self.lifetimes.negative)
        if before is not None and before.cloud is not None and now < before.stale_until:
            entry.cloud, entry.stale_until = before.cloud, before.stale_until
            entry.fresh_until = min(entry.fresh_until, before.stale_until)
        self._keep(region, entry)
        if entry.cloud is None:
            raise error
        self._observed("stale")
        return entry.cloud

    def _keep(self, region: Region, entry: _Entry) -> None:
        self._entries[region] = entry
        self._entries.move_to_end(region)
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)


def _bare(error: BrokerError) -> tuple[type[BrokerError], str]:
    """What to remember of an error: itself it would hold its traceback, with a request and its frames."""
    return type(error), error.message


class Layered:
    """Asks one inventory after the other, until one knows the region."""

    def __init__(self, *inventories: Inventory) -> None:
        self._inventories = inventories

    def find(self, region: Region, request_id: str) -> Cloud:
        for inventory in self._inventories[:-1]:
            try:
                return inventory.find(region, request_id)
            except RegionNotFound:
                continue
        return self._inventories[-1].find(region, request_id)

    def forget(self, region: Region) -> None:
        for inventory in self._inventories:
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
