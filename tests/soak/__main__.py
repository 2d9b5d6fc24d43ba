"""`python -m tests.soak`: mixed VoLTE load with faults for half an hour; memory, descriptors, greenlets and latency have
to stay flat. Prints each one's slope, draws a picture, and fails if one rises or a request was lost."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from tests.soak.plot import draw
from tests.soak.run import play, scene


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=20.0, metavar="SECONDS", help="between two faults")
    parser.add_argument("--framework", choices=("django", "pecan"), default="django")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--picture", type=Path, default=Path("soak"), help="the file's name, without its ending")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        scene(options.framework, options.workers, Path(folder)) as around,
    ):
        soak = play(around, options.framework, options.minutes * 60, options.every)
    trends = soak.trends()
    faults = Counter(made.kind.name for made in soak.made)
    outcomes = Counter(f"{one.name}: {one.outcome}" for one in soak.asked if not one.fine)
    print(f"{len(soak.asked)} requests in {options.minutes:g} minutes, {soak.plays} times the use case")
    print("faults:", ", ".join(f"{name} {times} times" for name, times in faults.items()))
    print("failures:", dict(outcomes), "; not by a fault:", dict(soak.losses))
    print(*trends, sep="\n")
    draw(soak, trends, options.picture)
    return 0 if all(one.flat for one in trends) and not soak.losses else 1


if __name__ == "__main__":
    raise SystemExit(main())
