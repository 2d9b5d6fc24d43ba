"""The same, black box: a raw client, a broker of each framework, a recording or a hostile plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.test_fuzz import INSIDE, campaign

OUTSIDE = {
    "requests, django": 2000,
    "requests, pecan": 2000,
    "responses, django": 1000,
    "responses, pecan": 1000,
}


def test_there_are_20000_cases_in_all() -> None:
    assert sum(INSIDE.values()) + sum(OUTSIDE.values()) >= 20000


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", OUTSIDE)
def test_what_arrives_is_what_a_strict_peer_reads(name: str, tmp_path: Path) -> None:
    campaign(name, OUTSIDE[name], tmp_path)
