"""What is made once, before the fork, and outlives every reload."""

from __future__ import annotations

from app.core.circuits import Circuits
from app.core.quota import Counts
from app.inventory import file
from app.inventory.generations import Generations
from app.observability.once import Once


class Shared:
    """What all workers share: tables in memory, and what no configuration changes. `slots` of workers."""

    def __init__(self, slots: int) -> None:
        self.built_in = file.load_regions(file.BUILT_IN)
        self.generations = Generations()
        self.circuits = Circuits()
        self.counts = Counts(slots)
        self.once = Once()
