"""`python -m bench`: a table of requests a second, as ratios to nginx in the same run."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from bench.load import Result, ab
from bench.servers import FORWARDED, VIM_TYPES, Served, scene

PATHS = {"vim_types": VIM_TYPES, "forwarded": FORWARDED}
SPECIFIED = ((100, 1), (10_000, 100), (100_000, 1000))
"""The specification's three tests: requests, concurrency."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3, help="interleaved; the table has their medians")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--specification", action="store_true", help="the specification's three tests of vim_types")
    options = parser.parse_args()
    tests = SPECIFIED if options.specification else ((options.requests, options.concurrency),)
    paths = {"vim_types": VIM_TYPES} if options.specification else PATHS
    failed = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, scene(Path(folder), options.workers) as servers:
        for requests, concurrency in tests:
            print(f"\nab -n {requests} -c {concurrency}, {options.workers} workers, median of {options.runs}")
            for name, path in paths.items():
                failed += _table(name, measure(servers, path, requests, concurrency, options.runs))
    if failed:
        raise SystemExit(f"{failed} requests failed")


def measure(servers: list[Served], path: str, requests: int, concurrency: int, runs: int) -> dict[str, list[Result]]:
    """The results of each server, run by run, one server after the other."""
    for server in servers:  # the first requests fill caches
        ab(server, path, min(requests, 500), concurrency=min(concurrency, 50))
    results: dict[str, list[Result]] = {server.name: [] for server in servers}
    for _ in range(runs):
        for server in servers:
            results[server.name].append(ab(server, path, requests, concurrency))
    return results


def _table(name: str, results: dict[str, list[Result]]) -> int:
    """Prints the medians; returns how many requests failed."""
    peer = statistics.median(result.rate for result in results["nginx"])
    print(f"\n{name:12} {'req/s':>9} {'ratio':>7} {'seconds':>9} {'CPU us':>8} {'failed':>7}")
    for server, runs in results.items():
        rate, seconds, cpu = (
            statistics.median(getattr(run, key) for run in runs) for key in ("rate", "seconds", "cpu")
        )
        failed = sum(run.failed for run in runs)
        print(f"{server:12} {rate:9.0f} {rate / peer:7.2f} {seconds:9.2f} {cpu:8.0f} {failed:7}")
    return sum(run.failed for runs in results.values() for run in runs)


if __name__ == "__main__":
    main()
