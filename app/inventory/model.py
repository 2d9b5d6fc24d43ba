"""What an inventory is, for the layers above."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

from app.core.region import Region
from app.errors import RegionIncomplete


class Cloud(NamedTuple):
    """What kind of cloud a region is; without a version the type's default plugin serves it."""

    cloud_type: str
    version: str | None


class Inventory(Protocol):
    """Finds regions. Raises `RegionNotFound`, `RegionIncomplete`, `InventoryError` or `InventoryTimeout`."""

    def find(self, region: Region, request_id: str) -> Cloud: ...

    def forget(self, region: Region) -> None:
        """Drop what is remembered of a region: it is about to change."""


class List(Inventory, Protocol):
    """One that can tell at once which regions it has."""

    def __contains__(self, region: Region) -> bool: ...


def cloud_of(region: Region, entry: dict[str, object], source: str) -> Cloud:
    """The cloud of an A&AI cloud-region object. Raises `RegionIncomplete`."""
    cloud_type, version = entry.get("cloud-type"), entry.get("cloud-region-version")
    if not isinstance(cloud_type, str) or not cloud_type:
        raise RegionIncomplete(f"The region {region.vim_id} has no cloud-type in {source}; set it there.")
    return _cloud(cloud_type, version if isinstance(version, str) and version else None)


_cloud = lru_cache(maxsize=1024)(Cloud)
"""One for all regions of a kind: a worker may remember 131,072 of them."""
