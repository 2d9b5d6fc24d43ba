"""`python -m bench.hostages`: what others wait while thousands of slow clients hold connections.

For each kind of slow client: the probe's and a forwarded request's median, 99th percentile and maximum, each request on
a connection of its own, beside those without an attack before and after, in the same run.
"""

from __future__ import annotations

import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.attack import KINDS
from bench.processes import running, wait_until
from bench.site import FORWARDED, plugin_map
from bench.systems.ours import broker, environment, port_of

PROBE = "/healthz"
BIG = "/api/multicloud/v0/vmware_fake/big"
HEADER = f"{'':10} {'probe p50':>10} {'p99':>8} {'max':>8} {'forwarded p50':>14} {'p99':>8} {'max':>8} {'n':>6}"
ROW = "{:10} {:10.1f} {:8.1f} {:8.1f} {:14.1f} {:8.1f} {:8.1f} {:6}"
SETTLE = 5.0
"""Seconds from the moment when all have come to the first request that counts."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hostages", description=__doc__)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each kind")
    parser.add_argument("--framework", action="append", choices=("django", "pecan"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostages-") as folder, ExitStack() as stack:
        plugin = stack.enter_context(_plugin(Path(folder)))
        map_file = plugin_map(Path(folder), {"vmware": plugin})
        for framework in options.framework or ("django", "pecan"):
            environ = environment(map_file, None, framework, options.workers)
            served = stack.enter_context(broker(Path(folder) / framework, environ))
            print(f"\n{framework}, {options.workers} workers, {options.clients} slow clients; milliseconds")
            print(HEADER)
            _row("none", served.port, options.seconds)
            for kind in KINDS:
                with _attack(kind, served.port, options.clients):
                    time.sleep(SETTLE)
                    _row(kind, served.port, options.seconds)
            time.sleep(SETTLE)
            _row("none after", served.port, options.seconds)


def _row(name: str, port: int, seconds: float) -> None:
    waited: dict[str, list[float]] = {PROBE: [], FORWARDED: []}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path, times in waited.items():
            times.append(_ask(port, path))
    probe, forwarded = (_shape(times) for times in waited.values())
    print(ROW.format(name, *probe, *forwarded, len(waited[PROBE])), flush=True)


def _shape(times: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(times)
    return tuple(ordered[int((len(ordered) - 1) * part)] * 1000 for part in (0.5, 0.99, 1.0))  # type: ignore[return-value]


def _ask(port: int, path: str) -> float:
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path} was answered {answer.status}")
    return time.monotonic() - started


@contextmanager
def _plugin(folder: Path) -> Iterator[int]:
    with running([sys.executable, "-m", "bench.source"], folder / "source") as program:
        wait_until(program, lambda: port_of(program) > 0, "the plugin")
        yield port_of(program)


@contextmanager
def _attack(kind: str, port: int, count: int) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.attack", kind, str(port), str(count), BIG]
    popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert popen.stdin is not None
    assert popen.stdout is not None
    popen.stdout.readline()
    try:
        yield
    finally:
        popen.stdin.close()
        popen.wait(timeout=60)


if __name__ == "__main__":
    main()
