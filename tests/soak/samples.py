"""What a broker's processes hold at a moment, as the kernel and the broker itself tell it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple

from tests.conftest import Process, children

WORKER = re.compile(r'"pid": (\d+), "message": "worker (\d+) serves"')
METRIC = re.compile(rb"^multicloud_(greenlets|http_requests_in_flight) ([\d.]+)$", re.MULTILINE)
PARENT, EXPORTER = "parent", "exporter"


class Held(NamedTuple):
    """By one process, in MiB: its anonymous memory, which grows by what it allocates and by nothing else, and its share
    of all memory (PSS), which also grows as others give up what it shares with them; and its open descriptors."""

    anonymous: float
    pss: float
    descriptors: int


class Sample(NamedTuple):
    """`at` of `time.monotonic`; by a process's name what it holds; greenlets and requests in flight of all workers."""

    at: float
    held: dict[str, Held]
    greenlets: float
    in_flight: float


def processes(broker: Process) -> dict[str, int]:
    """The pids of the parent, the workers and the exporter, by name; a worker's name is its slot's."""
    alive = children(broker.popen.pid)
    found = {f"worker {slot}": int(pid) for line in broker.lines for pid, slot in WORKER.findall(line)}
    workers = {name: pid for name, pid in found.items() if pid in alive}
    others = [pid for pid in alive if pid not in workers.values()]  # a worker that does not serve yet is younger
    return {PARENT: broker.popen.pid, EXPORTER: min(others), **workers}


def sample(broker: Process) -> Sample:
    """Raises `OSError` if a process ends meanwhile."""
    held = {name: _held(pid) for name, pid in processes(broker).items()}
    metrics = {name: float(value) for name, value in METRIC.findall(broker.ask("GET", "/metrics")[2])}
    return Sample(time.monotonic(), held, metrics[b"greenlets"], metrics[b"http_requests_in_flight"])


def _held(pid: int) -> Held:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    memory = {name: int(kib) / 1024 for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}
    return Held(memory["Anonymous"], memory["Pss"], len(list(Path(f"/proc/{pid}/fd").iterdir())))
