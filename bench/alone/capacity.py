"""check_vim_capacity over many VIMs: one takes a second, all others half of one; their regions are known."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.alone import FRAMEWORKS
from bench.alone.regions import CHECK, Crowd, crowd, crowd_environment, vim_id
from bench.clients.said import GaveUpError
from bench.processes import ask, free_port, listens, running, wait_until
from bench.results import Figure
from bench.site import Site
from bench.systems.ours import broker

CAPACITY = "capacity {}"
VIMS = (20, 200)


def capacity(site: Site, tries: int) -> Iterator[Figure]:
    """Seconds, for each number of VIMs."""
    port = free_port()
    with crowd(site) as those, running([sys.executable, "-m", "bench.slow", str(port)], site.folder / "slow") as slow:
        wait_until(slow, lambda: listens(port), "the slow plugin")
        for framework in FRAMEWORKS:
            yield from _of(site, framework, Crowd(those.aai, [port]), tries)


def _of(site: Site, framework: str, those: Crowd, tries: int) -> Iterator[Figure]:
    folder = site.under(f"capacity-{framework}")
    with broker(folder / "log", crowd_environment(folder, framework, those)) as served:
        _know(served.port)
        for count in VIMS:
            vims = [vim_id(number) for number in range(count)]
            yield Figure(CAPACITY.format(count), framework, tuple(_once(served.port, vims) for _ in range(tries)))


def _know(port: int) -> None:
    """Each worker asks A&AI for itself: several requests at once, so that each worker has one."""
    vims = [vim_id(number) for number in range(max(VIMS))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _once(port, vims), range(8)))


def _once(port: int, vims: Sequence[str]) -> float:
    body = json.dumps({"vCPU": 1, "Memory": 1, "Storage": 1, "VIMs": vims}).encode()
    began = time.monotonic()
    status, answer = ask(port, "POST", CHECK, body)
    took = time.monotonic() - began
    if status != 200 or json.loads(answer) != {"VIMs": vims}:
        raise GaveUpError(f"check_vim_capacity answered {status}, {answer[:200]!r}")
    return round(took, 3)
