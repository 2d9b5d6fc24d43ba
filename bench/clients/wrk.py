"""`wrk`: as many requests as there is time for, one after the other on connections that are kept.

A server that closes them is connected to again each time.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.clients.said import GaveUpError, Said, output_of

POST = Path(__file__).with_name("post.lua")
WAIT = 10
"""Seconds after which an answer is too late, and counted as failed."""

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
COUNTED = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m),")
PERCENTILE = r"^\s+{}%\s+([\d.]+)(us|ms|s|m)\s*$"
NOT_2XX = re.compile(r"Non-2xx or 3xx responses: (\d+)")
ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


def wrk(url: str, connections: int, seconds: int, body: bytes | None = None, script: Path | None = None) -> Said:
    """With a body they are POSTs; a script makes other requests. Raises `GaveUpError`."""
    script = POST if body is not None else script
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", f"{WAIT}s", "--latency"]
    command += ["-s", str(script)] if script else []
    environ = {**os.environ, "BENCH_BODY": (body or b"").decode()}
    return parse(output_of([*command, url], seconds + 2 * WAIT, environ))


def parse(text: str) -> Said:
    counted = COUNTED.search(text)
    if counted is None:
        raise GaveUpError("wrk says nothing of its requests")
    requests, seconds = int(counted[1]), _milliseconds(counted[2], counted[3]) / 1e3
    if not requests:
        raise GaveUpError("wrk was answered nothing")
    errors, not_2xx = ERRORS.search(text), NOT_2XX.search(text)
    failed = sum(map(int, errors.groups())) if errors else 0
    failed += int(not_2xx[1]) if not_2xx else 0
    return Said(requests, failed, seconds, _percentile(text, 50), _percentile(text, 99))


def _percentile(text: str, share: int) -> float:
    found = re.search(PERCENTILE.format(share), text, flags=re.MULTILINE)
    if found is None:
        raise GaveUpError(f"wrk says nothing of {share}%")
    return _milliseconds(found[1], found[2])


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * UNITS[unit]
