"""Works through the table: every round asks each system once, one after the other, beginning with another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.clients.said import GaveUpError, Said
from bench.results import Run
from bench.systems import Running
from bench.work import Work

REST = 0.1
"""Seconds between two runs, for what the last one left to be done: logs, connections that end."""

Tell = Callable[[str], None]


class Measured(NamedTuple):
    """A system that runs, and what it does."""

    running: Running
    does: frozenset[str]


def measure(
    works: Sequence[Work],
    systems: Mapping[str, Measured],
    rounds: int,
    folder: Path,
    tell: Tell,
    in_time: Callable[[], bool],
) -> Iterator[Run]:
    """All work once, then all again: a slow quarter of an hour is not one work's alone. Later rounds end when time is
    up."""
    for number in range(rounds):
        for work in works:
            if number and not in_time():
                tell(f"no time is left for {work.name} and what follows in round {number + 1}")
                return
            asked = [name for name, system in systems.items() if work.needs in system.does]
            for turn in work.turns(number):
                for name in _turned(asked, turn):
                    run = once(work, name, systems[name].running, turn, folder)
                    tell(_line(run))
                    yield run


def once(work: Work, name: str, running: Running, number: int, folder: Path) -> Run:
    """One run, and what it cost."""
    program = running.program
    resident, before = program.forget_peak(), program.usage()
    try:
        said: Said = work.ask(running.port, folder)
    except GaveUpError as error:
        return Run(work.name, name, number, gave_up=str(error))
    cpu, peak = program.usage().since(before), program.peak()
    time.sleep(REST)
    return Run(
        work.name,
        name,
        number,
        requests=said.requests,
        failed=said.failed,
        rate=round(said.rate, 4),
        p50_ms=said.p50_ms,
        p99_ms=said.p99_ms,
        cpu_us=round(cpu / said.requests * 1e6, 2),
        peak_mib=round(peak, 1),
        grown_mib=round(peak - resident, 1),
    )


def _turned(names: Sequence[str], number: int) -> list[str]:
    first = number % len(names) if names else 0
    return [*names[first:], *names[:first]]


def _line(run: Run) -> str:
    said = run.gave_up or (
        f"{run.rate:9.2f}/s  p50 {run.p50_ms:8.2f} ms  p99 {run.p99_ms:8.2f} ms  {run.cpu_us:10.1f} us CPU  "
        f"{run.peak_mib:6.1f} MiB" + (f"  {run.failed} of {run.requests} FAILED" if run.failed else "")
    )
    return f"{run.work:20} {run.round + 1:2} {run.system:17} {said}"
