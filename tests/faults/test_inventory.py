"""Faults of A&AI: what is remembered goes on, what is not gets a clear answer, fast."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import FRAMEWORKS
from tests.faults.actors import Inventory
from tests.faults.load import Traffic
from tests.faults.stage import ALL, HELD, Row, Stage, a_stage, region_of

UNKNOWN = "unknown"
"""Clients that ask for regions which nobody has asked for before."""
UNTOLD = (502, 503, 504)
"""What a client may see whose region nobody remembers."""

TIMES = {
    "BROKER_INVENTORY_CACHE_TTL": "1",
    "BROKER_INVENTORY_NEGATIVE_TTL": "0.2",
    "BROKER_AAI_RESPONSE_TIMEOUT": "0.3",
    "BROKER_AAI_CONNECT_TIMEOUT": "0.3",
}
FAILS = max(HELD, 1.3)
"""Seconds, so that each region that is remembered has to be asked for anew meanwhile."""


@contextlib.contextmanager
def _a_stage(framework: str, folder: Path) -> Iterator[tuple[Stage, Inventory]]:
    aai = Inventory(folder, [region_of(name) for name in ALL])
    env = {"AAI_PROTOCOL": "http", "AAI_ADDR": "127.0.0.1", "AAI_PORT": str(aai.port)}
    try:
        with a_stage(framework, folder, **env, **TIMES, BROKER_INVENTORY_REGIONS_FILE="") as stage:
            yield stage, aai
    finally:
        aai.kill()


@pytest.fixture(scope="module")
def _both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Stage, Inventory]]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(_a_stage(name, tmp_path_factory.mktemp(name))) for name in FRAMEWORKS}


@pytest.fixture
def aai(_both: dict[str, tuple[Stage, Inventory]], framework: str) -> Inventory:
    return _both[framework][1]


@pytest.fixture
def stage(_both: dict[str, tuple[Stage, Inventory]], framework: str, row: Row) -> Stage:
    """With clients of unknown regions beside those of the plugins."""
    stage = _both[framework][0].for_row(row)
    unknown = Traffic(
        UNKNOWN, lambda number: f"/api/multicloud/v0/{row[0]}_{number}/x", 10, fine="404 Region-Not-Found"
    )
    stage.traffics += [unknown, replace(unknown, kept=False)]
    return stage


def _play(stage: Stage, make: Callable[[], object], end: Callable[[], object]) -> None:
    """Only who asks for what nobody remembers is told."""
    stage.play(make, end, who=(UNKNOWN,), sees=UNTOLD, back_within=2, held=FAILS)


def test_fault_inventory_killed(stage: Stage, aai: Inventory) -> None:
    """A&AI is killed, and started again on its port."""
    _play(stage, aai.kill, aai.start)


def test_fault_inventory_fails(stage: Stage, aai: Inventory) -> None:
    """A&AI answers nothing but 503."""
    _play(stage, partial(aai.fails, "status=503"), aai.works)


def test_fault_inventory_refuses_the_login(stage: Stage, aai: Inventory) -> None:
    """A&AI answers nothing but 401."""
    _play(stage, partial(aai.fails, "status=401"), aai.works)


def test_fault_inventory_garbled(stage: Stage, aai: Inventory) -> None:
    """A&AI answers what is no HTTP."""
    _play(stage, partial(aai.fails, "garbage"), aai.works)


def test_fault_inventory_slow(stage: Stage, aai: Inventory) -> None:
    """A&AI takes its time for each answer, and stays within its limit."""
    stage.play(partial(aai.fails, "delay=0.2"), aai.works, back_within=0, held=FAILS)


def test_fault_inventory_hung(stage: Stage, aai: Inventory) -> None:
    """A&AI takes requests, and does not answer in time."""
    _play(stage, partial(aai.fails, "delay=30"), aai.works)
