"""What a request costs with a hundred thousand regions, a hundred plugins and ten thousand idle connections, over what
it costs with one region, one plugin and no idle connection: two brokers alike, side by side."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.alone import FRAMEWORKS
from bench.alone.ratios import cpu_ratios
from bench.alone.regions import CHECK, Crowd, crowd, crowd_environment, vim_id
from bench.clients.said import GaveUpError, Said
from bench.clients.wrk import wrk
from bench.processes import ask
from bench.results import Figure
from bench.site import Site
from bench.systems import Running
from bench.systems.ours import broker

CROWDED = "crowded"
SCRIPT = Path(__file__).parents[1] / "clients" / "regions.lua"
CONNECTIONS = 100
BATCH = 250
"""Regions of a capacity check: so many are asked for at once."""


MISSES = b"multicloud_inventory_cache_misses_total"
IDLE = b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n"


class Size(NamedTuple):
    """How many there are, for how many seconds each run asks, and how often."""

    regions: int
    idle: int
    seconds: int
    tries: int


def crowded(site: Site, size: Size) -> Iterator[Figure]:
    """Ratios of the CPU a request."""
    with crowd(site) as those:
        for framework in FRAMEWORKS:
            yield Figure(CROWDED, framework, _ratios(site, framework, those, size))


def _ratios(site: Site, framework: str, those: Crowd, size: Size) -> tuple[float, ...]:
    folder = site.under(f"crowded-{framework}")
    environ = crowd_environment(folder, framework, those)
    with ExitStack() as stack:
        one, many = (stack.enter_context(broker(folder / f"{name}.log", environ)) for name in ("one", "many"))
        know(many, size.regions)
        for _ in range(size.idle):
            stack.enter_context(closing(_idle(many.port)))
        return cpu_ratios(
            (partial(_ask, 1, size.seconds), one), (partial(_ask, size.regions, size.seconds), many), size.tries
        )


def _ask(regions: int, seconds: int, port: int) -> Said:
    os.environ["BENCH_REGIONS"] = str(regions)
    return wrk(f"http://127.0.0.1:{port}", CONNECTIONS, seconds, script=SCRIPT)


def know(running: Running, regions: int) -> None:
    """Have each worker ask for each region: by capacity checks of many at a time, over two connections, of which each
    worker takes one.

    Raises `GaveUpError` where A&AI was not asked for each region by each worker.
    """
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)))
            for _ in range(2)
        ]
        for connection in connections:
            connection.connect()
        with ThreadPoolExecutor(len(connections)) as pool:
            list(pool.map(partial(_check_all, regions), connections))
    if (asked := _misses(running.port)) < 2 * regions:
        raise GaveUpError(f"A&AI was asked for regions {asked:g} times instead of {2 * regions}")


def _check_all(regions: int, connection: http.client.HTTPConnection) -> None:
    for first in range(0, regions, BATCH):
        vims = [vim_id(number) for number in range(first, min(first + BATCH, regions))]
        body = json.dumps({"vCPU": 1, "Memory": 1, "Storage": 1, "VIMs": vims})
        connection.request("POST", CHECK, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise GaveUpError(f"check_vim_capacity answered {answer.status}")
        answer.read()


def _misses(port: int) -> float:
    lines = [line for line in ask(port, "GET", "/metrics")[1].splitlines() if line.startswith(MISSES)]
    return sum(float(line.split()[-1]) for line in lines)


def _idle(port: int) -> socket.socket:
    """A connection that has asked once."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(IDLE)
    if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
        raise GaveUpError("a connection that was to be idle was not answered")
    return sock
