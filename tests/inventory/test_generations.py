from __future__ import annotations

from app.core.region import Region
from app.inventory.generations import Generations

A = Region("owner", "a")


def test_an_advance_changes_a_regions_number_and_not_anothers() -> None:
    generations = Generations()
    before, other = generations.of(A), generations.of(Region("owner", "b"))
    generations.advance(A)
    assert generations.of(A) != before
    assert generations.of(Region("owner", "b")) == other
