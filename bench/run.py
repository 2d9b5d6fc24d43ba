"""A run: what it consists of, and its two parts, all systems side by side and ours alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from bench.alone.capacity import capacity
from bench.alone.crowded import Size, crowded
from bench.alone.start import start
from bench.alone.workers import workers
from bench.check import wrong
from bench.measure import Measured, measure
from bench.processes import NotStartedError
from bench.results import Figure, Results
from bench.site import Site
from bench.systems import OURS, PEER, SYSTEMS, System
from bench.work import FULL, NORMAL, QUICK, Extent, Work

MINUTES = 21.0
"""After which no work of all systems has another round, unless in full: what is of ours alone takes 5 more."""

COSTED = "get-c100"
"""The work by which workers are compared."""


@dataclass(frozen=True)
class Plan:
    """At which extent, how many rounds, how many tries of what is ours alone, the crowd's size, whose figures are
    taken, and the minutes after which rounds are left out."""

    extent: Extent
    rounds: int
    tries: int
    crowd: Size
    measured: Callable[[System], bool]
    minutes: float

    def with_rounds(self, rounds: int) -> Plan:
        """With so many instead; 0: as it is."""
        return replace(self, rounds=rounds) if rounds else self


def _ours_and_peer(system: System) -> bool:
    return system.name in (*OURS, PEER)


PLANS = {
    "quick": Plan(QUICK, 1, 1, Size(500, 200, 1, 1), _ours_and_peer, 1),
    "normal": Plan(NORMAL, 3, 5, Size(100_000, 10_000, 3, 3), lambda _: True, MINUTES),
    "full": Plan(FULL, 5, 9, Size(100_000, 10_000, 5, 9), lambda _: True, float("inf")),
}


def beside(results: Results, site: Site, plan: Plan, works: Sequence[Work], cpu: int | None) -> None:
    """All systems at once, asked one after the other; the client on one `cpu`, if it is given."""
    deadline = time.monotonic() + plan.minutes * 60
    with ExitStack() as stack:
        running = _started(stack, results, site)
        measured = {system.name: running[system.name] for system in _of(running) if plan.measured(system)}
        stack.enter_context(_on(cpu))
        for run in measure(works, measured, plan.rounds, site.folder, tell, lambda: time.monotonic() < deadline):
            results.runs.append(run)


def alone(results: Results, site: Site, plan: Plan, works: Sequence[Work]) -> None:
    """Ours, with nothing else at work."""
    costed = [work for work in works if work.name == COSTED]
    for figures in (
        start(site, plan.tries),
        capacity(site, plan.tries),
        *(workers(site, work, plan.tries) for work in costed),
        crowded(site, plan.crowd),
    ):
        _take(results, figures)


def tell(line: str) -> None:
    print(line, flush=True)


def _started(stack: ExitStack, results: Results, site: Site) -> dict[str, Measured]:
    """Those that serve and answer as they have to; raises `NotStartedError` for one of ours that does not."""
    running: dict[str, Measured] = {}
    for system in SYSTEMS:
        try:
            served = stack.enter_context(system.start(site))
            error = wrong(site, served, system.does)
        except NotStartedError as failure:
            error = str(failure).strip()
        tell(f"{system.name}: {error or 'serves'}")
        if error and system.kind == "ours":
            raise NotStartedError(f"{system.name}: {error}")
        why = error.splitlines()[-1] if error else ""
        entry = {"name": system.name, "kind": system.kind, "settings": system.settings, "error": why}
        results.systems.append(entry)
        if not error:
            running[system.name] = Measured(served, system.does)
    return running


def _of(running: dict[str, Measured]) -> list[System]:
    return [system for system in SYSTEMS if system.name in running]


@contextmanager
def _on(cpu: int | None) -> Iterator[None]:
    """What is started within runs there: the clients, but not the systems, which run already."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _take(results: Results, figures: Iterator[Figure]) -> None:
    for figure in figures:
        tell(f"{figure.name:20} {figure.system:17} {', '.join(map(str, figure.values))}")
        results.figures.append(figure)
