"""Regions from a YAML or JSON file: A&AI's cloud-region objects in a list, or under `cloud-region`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from app.core.region import Region, from_pair
from app.errors import BadRequest, ConfigurationError, RegionNotFound
from app.inventory.model import Cloud, cloud_of

YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: 2,000 regions take 0.15 s instead of 1.1."""

BUILT_IN = Path(__file__).parent.parent / "data" / "regions.yaml"


class FileInventory:
    """The regions of a file, read once."""

    def __init__(self, regions: Mapping[Region, dict[str, object]], source: str) -> None:
        self._regions = regions
        self._source = source

    def find(self, region: Region, request_id: str) -> Cloud:  # noqa: ARG002  an inventory takes it
        entry = self._regions.get(region)
        if entry is None:
            raise RegionNotFound(f"There is no region {region.vim_id} in {self._source}.")
        return cloud_of(region, entry, self._source)

    def __contains__(self, region: Region) -> bool:
        return region in self._regions

    def forget(self, region: Region) -> None:
        """The file stays what it is."""


def load_regions(path: Path) -> FileInventory:
    """Read a regions file; raises `ConfigurationError` with one line that names the entry."""
    try:
        document = _parsed(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"cannot read the regions file {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the regions file {path} is no YAML or JSON{_place(error)}") from None
    if isinstance(document, dict):
        document = document.get("cloud-region")
    if not isinstance(document, list):
        raise ConfigurationError(f"the regions file {path} holds no list of regions")
    regions: dict[Region, dict[str, object]] = {}
    for number, entry in enumerate(document, 1):
        region = _region(entry, f"the regions file {path}, entry {number}")
        if region in regions:
            raise ConfigurationError(f"the regions file {path}, entry {number}: {region.vim_id} is there twice")
        regions[region] = entry
    return FileInventory(regions, str(path))


def _parsed(text: str) -> object:
    """JSON is YAML too, but 50 times as fast when it is read as what it is: a reload holds the worker's requests up."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.load(text, YAML)  # noqa: S506  both loaders are safe ones


def _place(error: Exception) -> str:
    """Only where: what is wrong would be told with the file's own words, and a cloud-region of A&AI's may hold the
    password of its cloud."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ""
    return f": see line {mark.line + 1}, column {mark.column + 1}; a text with special characters stands in quotes"


def _region(entry: object, where: str) -> Region:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where} is no object")
    for key in ("cloud-type", "cloud-region-version"):
        if not isinstance(entry.get(key, ""), str):
            raise ConfigurationError(f"{where}: {key} is not a text; write it in quotes")
    try:
        return from_pair(_name(entry, "cloud-owner", where), _name(entry, "cloud-region-id", where))
    except BadRequest:
        raise ConfigurationError(
            f"{where}: cloud-owner and cloud-region-id are made of letters, digits, '-' and '_'"
        ) from None


def _name(entry: dict[str, object], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: {key} is not a text")
    return value
