"""Region ids: `{cloud-owner}_{cloud-region-id}` in v0, two path segments in v1 (contract, section 1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from app.errors import BadRequest

LONGEST = 255
"""Characters of an owner and of a region id; A&AI's are far shorter."""

VIM_ID = re.compile(rf"([0-9A-Za-z-]{{1,{LONGEST}}})_([0-9A-Za-z_-]{{1,{LONGEST}}})")
NAME = re.compile(rf"[0-9A-Za-z_-]{{1,{LONGEST}}}")
"""What is accepted, as the API's description tells it."""


class Region(NamedTuple):
    """A cloud region: its owner, which in v0 never holds `_`, and its id, which may."""

    owner: str
    region_id: str

    @property
    def vim_id(self) -> str:
        return f"{self.owner}_{self.region_id}"


def from_vim_id(text: str) -> Region:
    """The region of a v0 id: the first `_` splits. Raises `BadRequest`."""
    owner, _, region_id = text.partition("_")
    if not (_is_name(owner) and _is_name(region_id)):
        raise BadRequest("Send a vim_id of the form {cloud-owner}_{cloud-region-id}: letters, digits, '-' and '_'.")
    return Region(owner, region_id)


def from_pair(owner: str, region_id: str) -> Region:
    """The region of v1's two segments. Raises `BadRequest`."""
    if not (_is_name(owner) and _is_name(region_id)):
        raise BadRequest("Send a cloud-owner and a cloud-region-id of letters, digits, '-' and '_'.")
    return Region(owner, region_id)


def _is_name(text: str) -> bool:
    """Letters, digits, `-` and `_`; by methods of texts, which take a third of a regular expression's time."""
    return len(text) <= LONGEST and text.isascii() and text.replace("-", "0").replace("_", "0").isalnum()
