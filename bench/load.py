"""One run of `ab`, and what it cost the server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.servers import Served

TICKS = os.sysconf("SC_CLK_TCK")


class Result(NamedTuple):
    """Requests a second, those that failed, the seconds that all took, and the server's CPU microseconds a request."""

    rate: float
    failed: int
    seconds: float
    cpu: float


def ab(server: Served, path: str, requests: int, concurrency: int) -> Result:
    """`requests` GETs, each on a connection of its own; raises `RuntimeError` when `ab` gives up."""
    before = _cpu(server)
    command = ["ab", "-q", "-r", "-s", "60", "-n", str(requests), "-c", str(concurrency)]
    done = subprocess.run([*command, f"http://127.0.0.1:{server.port}{path}"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    failed = int(_value(done.stdout, "Failed requests")) + _optional(done.stdout, "Non-2xx responses")
    return Result(
        _value(done.stdout, "Requests per second"),
        failed,
        _value(done.stdout, "Time taken for tests"),
        (_cpu(server) - before) / requests * 1e6,
    )


def _value(text: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+([\d.]+)", text, flags=re.MULTILINE)
    if found is None:
        raise RuntimeError(f"ab says nothing of {name}:\n{text}")
    return float(found[1])


def _optional(text: str, name: str) -> int:
    return int(_value(text, name)) if name in text else 0


def _cpu(server: Served) -> float:
    """Seconds of CPU that the server's workers have used."""
    used = 0
    for pid in server.pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS
