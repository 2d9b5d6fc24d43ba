"""What was measured, and what follows from it by reckoning: medians, and ratios within a round."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RATE, P50, P99, CPU, PEAK, GROWN = "rate", "p50_ms", "p99_ms", "cpu_us", "peak_mib", "grown_mib"


@dataclass(frozen=True)
class Run:
    """One run of one system: requests and those that failed, requests a second, milliseconds, microseconds of CPU of
    all its processes for each request, and the MiB that were resident at most and by how much they grew. `gave_up`
    says why the client ended without a result; then all else is 0."""

    work: str
    system: str
    round: int
    requests: int = 0
    failed: int = 0
    rate: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_us: float = 0.0
    peak_mib: float = 0.0
    grown_mib: float = 0.0
    gave_up: str = ""


@dataclass(frozen=True)
class Figure:
    """What is measured of ours alone: a name (`workers`, `start`, ...), whose, and what each try gave."""

    name: str
    system: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Results:
    """All of it. `systems` are name, kind and settings, and why one does not run; `works` are names and labels,
    the MiB of a body, and how many requests a run has."""

    machine: dict[str, str]
    settings: dict[str, str]
    systems: list[dict[str, str]]
    works: list[dict[str, str]]
    runs: list[Run] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0

    def fine(self, work: str, system: str) -> list[Run]:
        """The runs that have figures."""
        return [run for run in self.runs if run.work == work and run.system == system and not run.gave_up]

    def gave_up(self, work: str, system: str) -> str:
        """Why a client did, if one did."""
        why = [run.gave_up for run in self.runs if run.work == work and run.system == system and run.gave_up]
        return why[0] if why else ""

    def values(self, work: str, system: str, what: str) -> list[float]:
        return [getattr(run, what) for run in self.fine(work, system)]

    def median(self, work: str, system: str, what: str = RATE) -> float | None:
        return median(self.values(work, system, what))

    def ratio(self, work: str, system: str, peer: str, what: str = RATE) -> float | None:
        """The median of the rounds' ratios: a slow round is slow for both."""
        of_peer = {run.round: getattr(run, what) for run in self.fine(work, peer)}
        pairs = [(getattr(run, what), of_peer.get(run.round)) for run in self.fine(work, system)]
        return median([own / other for own, other in pairs if other])

    def count(self, work: str) -> int:
        """How many requests a run has, if there is time for them; 0: as many as there is time for."""
        counts = [int(one["count"]) for one in self.works if one["name"] == work]
        return counts[0] if counts else 0

    def failed(self, systems: Iterable[str]) -> list[Run]:
        """The runs of these in which a request failed."""
        wanted = set(systems)
        return [run for run in self.runs if run.system in wanted and (run.failed or run.gave_up)]

    def figure(self, name: str, system: str) -> Figure | None:
        found = [one for one in self.figures if one.name == name and one.system == system]
        return found[0] if found else None

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def load(path: Path) -> Results:
    """What `as_json` wrote."""
    document: dict[str, Any] = json.loads(path.read_text())
    runs = [Run(**run) for run in document.pop("runs")]
    figures = [Figure(one["name"], one["system"], tuple(one["values"])) for one in document.pop("figures")]
    return Results(**document, runs=runs, figures=figures)
