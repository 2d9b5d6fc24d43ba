"""`python -m bench.plugins`: what one dead plugin of ten costs the clients of the nine others.

The same steady load to all ten, while all answer and while the tenth is dead, one after the other, several times: the
99th percentile of the nine's answers in each pair of phases, and the median of the pairs' ratios. Dead is `hang`, which
takes requests and never answers, and `refuse`, where nobody listens.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults.load import Load
from tests.faults.stage import ONE, Stage, a_stage

NINE = [f"sound{number}" for number in range(9)]
SETTLE = 2.0
"""Seconds of load after the plugin died, or came back, that do not count: the breaker opens, or closes."""
HEADER = f"{'':8} {'':8} {'alive p50':>10} {'p99':>8} {'dead p50':>10} {'p99':>8} {'ratio p99':>10} {'its spread':>14}"
ROW = "{:8} {:8} {:10.2f} {:8.2f} {:10.2f} {:8.2f} {:10.3f} {:>14}"


class Shape(NamedTuple):
    """Milliseconds."""

    median: float
    p99: float


class Pair(NamedTuple):
    alive: Shape
    dead: Shape

    @property
    def ratio(self) -> float:
        return self.dead.p99 / self.alive.p99


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plugins", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="pairs of phases for each way to be dead")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each phase that count")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--framework", action="append", choices=("django", "pecan"))
    options = parser.parse_args()
    print(f"milliseconds; {options.runs} pairs of {options.seconds:g} s, {options.workers} workers\n{HEADER}")
    for framework in options.framework or ("django", "pecan"):
        with tempfile.TemporaryDirectory(prefix="plugins-") as folder:
            scene = a_stage(framework, Path(folder), others=NINE, workers=options.workers)
            with scene as stage:
                for mode in ("hang", "refuse"):
                    _tell(framework, mode, list(_pairs(stage, mode, options.runs, options.seconds)))


def _pairs(stage: Stage, mode: str, runs: int, seconds: float) -> Iterator[Pair]:
    """Which of the two comes first alternates: a machine that grows slower is not the dead plugin's fault."""
    for run in range(runs):
        shapes = {}
        for now in ("ok", mode) if run % 2 else (mode, "ok"):
            stage.one.turn(now)
            shapes[now] = _phase(stage, seconds)
        yield Pair(shapes["ok"], shapes[mode])


def _phase(stage: Stage, seconds: float) -> Shape:
    """Of the nine's answers; raises `SystemExit` if one of them was not fine."""
    with Load(stage.broker.port, stage.traffics) as load:
        time.sleep(SETTLE)
        counts_from = time.monotonic()
        time.sleep(seconds)
    nine = [one for one in load.samples if one.traffic.name != ONE and one.began >= counts_from]
    if failed := [one.outcome for one in nine if not one.fine]:
        raise SystemExit(f"clients of sound plugins saw {sorted(set(failed))}")
    waited = sorted(one.seconds * 1000 for one in nine)
    return Shape(waited[len(waited) // 2], waited[int(len(waited) * 0.99)])


def _tell(framework: str, mode: str, pairs: list[Pair]) -> None:
    ratios = sorted(pair.ratio for pair in pairs)
    shapes = [
        statistics.median(getattr(getattr(pair, side), name) for pair in pairs)
        for side in ("alive", "dead")
        for name in ("median", "p99")
    ]
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(ROW.format(framework, mode, *shapes, statistics.median(ratios), spread), flush=True)


if __name__ == "__main__":
    main()
