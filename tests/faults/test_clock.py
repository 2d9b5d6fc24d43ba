"""Faults of the clock: it is set, and whatever waits or counts does so as before (libfaketime stands in for a machine's
clock that nobody may set; the monotonic one goes on as it does there)."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.conftest import ROOT, Process, until
from tests.faults.actors import Inventory
from tests.faults.conftest import Staged
from tests.faults.processes import workers_of
from tests.faults.stage import ALL, HELD, Stage, region_of

FAKETIME = shutil.which("faketime")
pytestmark = pytest.mark.skipif(FAKETIME is None, reason="faketime, which sets a process's clock, is not installed")

SHARED = Path("/dev/shm")
DAY = 86400.0
FAILED = (502, 503, 504, "cut")


SLEEP = """
import select, time
time.sleep = lambda seconds: select.select((), (), (), seconds)
"""
"""For the broker's interpreter: its own is clock_nanosleep(2) until a moment of the monotonic clock, which libfaketime
0.9.10 takes for one of the clock that it sets, and refuses."""


class Clock:
    """Of a broker; `env` has it follow a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._new = folder / "clock.new"
        self.set(0)
        (folder / "sitecustomize.py").write_text(SLEEP)
        assert FAKETIME is not None
        library = subprocess.run(
            [FAKETIME, "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
        )
        self.env = {
            "PYTHONPATH": f"{ROOT}:{folder}",
            "LD_PRELOAD": library.stdout.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def tidy(self, broker: Process) -> None:
        """What the library has left behind for processes that a broker might have started by its own clock."""
        for name in ("faketime_shm_{}", "sem.faketime_sem_{}"):
            (SHARED / name.format(broker.popen.pid)).unlink(missing_ok=True)

    def set(self, seconds: float) -> None:
        """Ahead of ours, or behind."""
        self._new.write_text(f"{seconds:+.0f}\n")
        self._new.rename(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def ahead(broker: Process) -> float:
    """By how much a broker's clock is before ours, as its answers have it."""
    return parsedate_to_datetime(broker.ask("GET", "/livez")[1]["Date"]).timestamp() - time.time()


def _set(stage: Stage, clock: Clock, seconds: float) -> None:
    """And see that it counts: for the answers of all workers, and for their logs."""
    clock.set(seconds)
    until(lambda: all(abs(ahead(stage.broker) - seconds) < 60 for _ in range(8)))
    stage.broker.read_until(time.strftime('"time": "%Y-%m-%dT', time.gmtime(time.time() + seconds)))


def _there_and_back(stage: Stage, clock: Clock) -> None:
    """A day ahead, and a day behind, for as long each."""
    _set(stage, clock, DAY)
    time.sleep(HELD)
    _set(stage, clock, -DAY)


@pytest.fixture
def aai(tmp_path: Path) -> Iterator[Inventory]:
    made = Inventory(tmp_path, [region_of(name) for name in ALL])
    yield made
    made.kill()


def test_fault_clock_set(staged: Staged, clock: Clock, aai: Inventory) -> None:
    """The clock is set a day ahead, then a day behind, while A&AI is gone, which remembered regions do without."""
    env = {"AAI_PROTOCOL": "http", "AAI_ADDR": "127.0.0.1", "AAI_PORT": str(aai.port)}
    quota = {"BROKER_CLIENTS_RATE": "1000", "BROKER_CLIENTS_REQUESTS_MAX": "500"}
    stage = staged(**env, **quota, **clock.env, BROKER_INVENTORY_REGIONS_FILE="", BROKER_SERVER_WATCHDOG_TIMEOUT="2")
    clock.tidy(stage.broker)
    before = workers_of(stage.broker)

    def make() -> None:
        aai.kill()
        _there_and_back(stage, clock)

    def end() -> None:
        clock.set(0)
        aai.start()

    stage.play(make, end, back_within=0)
    assert workers_of(stage.broker) == before


def test_fault_clock_set_while_left_alone(staged: Staged, clock: Clock) -> None:
    """A plugin is killed, and left alone as the clock is set a day ahead, then a day behind, where it stays."""
    stage = staged(**clock.env)
    clock.tidy(stage.broker)

    def make() -> None:
        stage.one.kill()
        _there_and_back(stage, clock)

    stage.play(make, stage.one.start, sees=FAILED, back_within=2)
