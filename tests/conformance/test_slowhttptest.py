"""slowhttptest: clients that drip their request, or sip its answer; meanwhile all others are served."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.conftest import memory, run, sockets
from tests.conftest import FRAMEWORKS, Process, a_broker, until
from tests.contract.conftest import BASE, V0, Simulated

CONNECTIONS = 500
SECONDS = 4
MEMORY = 250
"""MiB for all attackers at once; of what a plugin sends them, 50 GB, next to nothing is held."""

POOLED = 16
"""Connections to the plugin that stay open for the next request."""

PATIENCE = 5.0
"""Seconds within which an innocent request is answered, on two cores that the attack shares."""

HEADER_TIMEOUT = "2"
DRIP = ("-i", "1", "-x", "8")
SIP = ("-w", "512", "-y", "1024", "-n", "1", "-z", "32")

ATTACKS = {
    "slow headers": ("-H", *DRIP, "-u", f"{V0}/tenants"),
    "slow body for the broker": ("-B", *DRIP, "-s", "8192", "-u", f"{BASE}/v0/check_vim_capacity"),
    "slow body for a plugin": ("-B", *DRIP, "-s", "8192", "-u", f"{V0}/registry"),
    "slow read of the broker's": ("-X", *SIP, "-k", "5", "-u", f"{BASE}/v1/swagger.json"),
    "slow read of a plugin's": ("-X", *SIP, "-u", f"{V0}/large"),
    "ranges": ("-R", "-u", f"{BASE}/v0/swagger.json"),
}


ENDED = ("slow headers", "ranges")
"""Where the broker itself rids itself of all of them within the time of the attack."""


@pytest.fixture(scope="module")
def attacked(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    settings = {**scene, "BROKER_SERVER_HEADER_TIMEOUT": HEADER_TIMEOUT}
    with a_broker("django", 2, **settings) as django, a_broker("pecan", 2, **settings) as pecan:
        yield dict(zip(FRAMEWORKS, (django, pecan), strict=True))


class Bystander(threading.Thread):
    """A client among the attackers that wants an answer now."""

    def __init__(self, broker: Process, path: str) -> None:
        super().__init__()
        self._broker = broker
        self._path = path
        self._over = threading.Event()
        self.answers: list[tuple[int, float]] = []

    def run(self) -> None:
        while not self._over.wait(0.05):
            asked = time.monotonic()
            try:
                status = self._broker.ask("GET", self._path)[0]
            except OSError:
                status = 0
            self.answers.append((status, time.monotonic() - asked))

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def bystanders(broker: Process) -> Iterator[list[Bystander]]:
    found = [Bystander(broker, path) for path in ("/healthz", f"{BASE}/v0/vim_types", f"{V0}/tenants")]
    for one in found:
        one.start()
    try:
        yield found
    finally:
        for one in found:
            one.end()


@pytest.mark.parametrize("attack", ATTACKS)
def test_slowhttptest_does_not_keep_others_from_being_served(
    attacked: dict[str, Process], framework: str, plugin: Simulated, tmp_path: Path, attack: str
) -> None:
    broker = attacked[framework]
    plugin.faults({"path": "/large", "fault": "huge=100000000"})
    held, used = sockets(broker), memory(broker)
    *how, path = ATTACKS[attack]
    report = tmp_path / "report"
    count, target = str(CONNECTIONS), f"http://127.0.0.1:{broker.port}{path}"
    with bystanders(broker) as innocent:
        status, said = run(
            "slowhttptest",
            *how,
            target,
            "-c",
            count,
            "-r",
            count,
            "-l",
            str(SECONDS),
            "-p",
            "5",
            "-g",
            "-o",
            str(report),
        )
        grown = memory(broker) - used
    assert status == 0, said
    seconds = list(csv.DictReader(report.with_suffix(".csv").read_text().splitlines()))
    reached = max(int(second["Connected"]) + int(second["Closed"]) for second in seconds)
    assert reached > CONNECTIONS / 2, said  # else it attacked nobody; the last of its connections it does not count
    assert [second["Service Available"] for second in seconds] == [count] * len(seconds), said
    if attack in ENDED:
        assert "No open connections left" in said
    for one in innocent:
        assert {status for status, _ in one.answers} == {200}
        assert max(seconds for _, seconds in one.answers) < PATIENCE
    assert grown < MEMORY
    until(lambda: sockets(broker) <= held + POOLED)
