"""`make fuzz`: a million cases, or as many as told, on all levels; ends with 1 if there were findings."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import LEVELS, Finding, Level, run

SHARES = (0.62, 0.2, 0.05, 0.05, 0.04, 0.04)
"""Of the cases, by level: those through a broker take several times as long."""


def main() -> int:
    arguments = _arguments()
    found: list[tuple[str, Finding]] = []
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for level, share in zip(LEVELS, SHARES, strict=True):
            if arguments.level in level.name:
                cases, findings = _run(level, int(arguments.cases * share), arguments.seed, Path(folder))
                total += cases
                found += [(level.name, finding) for finding in findings]
    print(f"{total} cases from seed {arguments.seed}, {len(found)} findings")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz FUZZ=...", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="how many, over all levels (1000000)")
    parser.add_argument("--seed", type=int, default=1, help="the first batch's; each batch has the next one (1)")
    parser.add_argument(
        "--level", default="", help="only levels whose name holds this: " + "; ".join(level.name for level in LEVELS)
    )
    return parser.parse_args()


def _run(level: Level, cases: int, seed: int, folder: Path) -> tuple[int, list[Finding]]:
    started = time.monotonic()
    shown = 0
    with level.opened(folder) as judge:
        for outcome in run(level.responses, judge, cases, seed):
            seconds = time.monotonic() - started
            print(
                f"{level.name}: {outcome.cases} of {cases}, {outcome.cases / seconds:.0f}/s, {len(outcome.findings)} findings",
                flush=True,
            )
            for finding in outcome.findings[shown:]:
                print(f"  {finding.data!r}\n    {finding.wrong} (seed {finding.seed})", flush=True)
            shown = len(outcome.findings)
    print(f"{level.name}: {outcome}; {seconds:.0f} s", flush=True)
    return outcome.cases, outcome.findings


if __name__ == "__main__":
    sys.exit(main())
