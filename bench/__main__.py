"""`python -m bench`: the broker beside its peers and the limit, in one run. docs/bench.md says how.

Exits with 1 where a request to the broker failed, or the broker does not start or answers wrongly; a peer that does not
start is told of, and the others go on.
"""

from __future__ import annotations

import argparse
import re
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.clients.said import GaveUpError
from bench.machine import machine
from bench.plot import draw
from bench.processes import ROOT, NotStartedError
from bench.results import Results
from bench.run import PLANS, alone, beside
from bench.site import site
from bench.systems import OURS
from bench.table import markdown
from bench.work import Work, works

RESULTS = ROOT / "bench" / "results"
QUICK_RESULTS = ROOT / "run" / "bench"


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    extent = "quick" if options.quick else "full" if options.full else "normal"
    files = _open_files()
    wanted = [work for work in works(PLANS[extent].extent) if re.search(options.work, work.name)]
    results = _empty(extent, options, files, wanted)
    began = time.monotonic()
    try:
        _run(results, options, extent, wanted)
    except (NotStartedError, GaveUpError) as error:
        raise SystemExit(f"the bench failed: {error}") from None
    finally:  # what was measured until then took its time
        results.seconds = round(time.monotonic() - began, 1)
        _write(results, options.output or (QUICK_RESULTS if options.quick else RESULTS))
    _judge(results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="at most 2 minutes: figures of ours and nginx only")
    extent.add_argument("--full", action="store_true", help="all work of all systems, whatever time it takes")
    parser.add_argument("--rounds", type=int, default=0, help="of each work; 0: as many as the extent has")
    parser.add_argument("--work", default="", help="only the work whose name has this regular expression")
    parser.add_argument("--client-cpu", type=int, help="run the clients on this CPU; unset: on any")
    parser.add_argument("--no-alone", action="store_true", help="leave out what is measured of ours alone")
    parser.add_argument("--output", type=Path, help="the folder of the results")
    return parser.parse_args()


def _open_files() -> int:
    """As many as may be: 1000 connections are two descriptors each in a proxy, and the idle ones are 10,000."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _empty(extent: str, options: argparse.Namespace, files: int, wanted: list[Work]) -> Results:
    settings = {
        "extent": extent,
        "rounds": str(options.rounds or PLANS[extent].rounds),
        "client's CPU": "any" if options.client_cpu is None else str(options.client_cpu),
        "open files": str(files),
    }
    labels = [
        {"name": work.name, "label": work.label, "mib": str(work.size / 2**20), "count": str(work.count)}
        for work in wanted
    ]
    return Results(machine(), settings, [], labels)


def _run(results: Results, options: argparse.Namespace, extent: str, wanted: list[Work]) -> None:
    plan = PLANS[extent].with_rounds(options.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, site(Path(folder)) as where:
        beside(results, where, plan, wanted, options.client_cpu)
        if not options.no_alone:
            alone(results, where, plan, wanted)


def _write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results.as_json())
    (folder / "results.md").write_text(markdown(results))
    draw(results, folder / "results")
    print(f"\n{markdown(results)}\nwritten to {folder}")


def _judge(results: Results) -> None:
    failed = results.failed(OURS)
    for run in failed:
        print(f"{run.work}: {run.gave_up or f'{run.failed} of {run.requests} requests failed'} ({run.system})")
    if failed:
        raise SystemExit("requests to the broker failed")


if __name__ == "__main__":
    main()
