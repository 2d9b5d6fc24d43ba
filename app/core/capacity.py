"""check_vim_capacity: what is asked of each VIM, and what is made of their answers (contract, section 1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, cast

from app.core.region import Region, from_pair, from_vim_id
from app.errors import BadRequest

DEEPEST = 32
"""Levels of the zones that a plugin answers."""

RESOURCES = ("vCPU", "Memory", "Storage")


class Vim(NamedTuple):
    """A VIM as the client named it, and the region it names; None for a name that is no region's."""

    named: object
    region: Region | None


class Capacity(NamedTuple):
    """What a client asks: the VIMs in its order, and the body to send to each."""

    vims: list[Vim]
    body: bytes


def parse(version: str, document: Mapping[str, Any]) -> Capacity:
    """Of a request's body, which has the declared shape. A missing resource is 0, a text stays a text."""
    wanted = {name: document.get(name, 0) for name in RESOURCES}
    region = _v0 if version == "v0" else _v1
    return Capacity([Vim(named, region(named)) for named in document["VIMs"]], json.dumps(wanted).encode())


def target(version: str, region: Region) -> bytes:
    """Where a VIM is asked, as a path of this API."""
    name = region.vim_id if version == "v0" else f"{region.owner}/{region.region_id}"
    return f"/api/multicloud/{version}/{name}/capacity_check".encode()


def zones(status: int, body: bytes) -> list[object] | None:
    """The availability zones of a VIM that has room; None of one that has not.

    Raises `ValueError` or `RecursionError` for another status than 200, no JSON, or one that is nested too deep.
    """
    if status != 200:
        raise ValueError(f"status {status}")
    document = json.loads(body, parse_constant=_no_json)
    if not isinstance(document, dict) or document.get("result") is not True:
        return None
    found = document.get("AZs")
    if not isinstance(found, list):
        return []
    if not _at_most(DEEPEST, found):
        raise ValueError(f"AZs are nested deeper than {DEEPEST}")
    return cast("list[object]", found)


def answer(version: str, vims: Sequence[Vim], found: Sequence[list[object] | None]) -> dict[str, object]:
    """The VIMs with room, in the order asked: v0 as texts, v1 as the client's objects with their `AZs`."""
    room = [(vim.named, zones) for vim, zones in zip(vims, found, strict=True) if zones is not None]
    if version == "v0":
        return {"VIMs": [named for named, _ in room]}
    return {"VIMs": [{**cast("Mapping[str, object]", named), "AZs": zones} for named, zones in room]}


def _no_json(constant: str) -> NoReturn:
    """Python's parser takes NaN and Infinity, which are no JSON (RFC 8259, 6)."""
    raise ValueError(constant)


def _at_most(depth: int, value: object) -> bool:
    """Whether a document is nested no deeper; it is to be serialised on a deeper stack than it was parsed on."""
    level = [value]
    for _ in range(depth):
        level = [part for one in level if isinstance(one, list | dict)
                 for part in (one.values() if isinstance(one, dict) else one)]  # fmt: skip
        if not level:
            return True
    return not any(isinstance(one, list | dict) for one in level)


def _v0(named: Any) -> Region | None:
    try:
        return from_vim_id(named)
    except BadRequest:
        return None


def _v1(named: Any) -> Region | None:
    try:
        return from_pair(named["cloud-owner"], named["cloud-region-id"])
    except BadRequest:
        return None
