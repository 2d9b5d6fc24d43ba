"""Faults of the network between broker and plugin: packets are dropped, for real, in a network of the rows' own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.faults.apart import POSSIBLE, cut_off, join_again
from tests.faults.stage import Row, Stage, stages

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="a network of one's own needs root, ip and nft")
FAILED = (502, 503, 504, "cut")


@pytest.fixture(scope="module")
def _both(all_isolated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    with stages(tmp_path_factory.mktemp) as made:
        yield made


@pytest.fixture
def stage(_both: dict[str, Stage], framework: str, row: Row) -> Stage:
    return _both[framework].for_row(row)


def test_fault_network_cut(stage: Stage) -> None:
    """All packets between broker and plugin are dropped, and pass again."""
    stage.play(partial(cut_off, stage.one.ports["one"]), join_again, sees=FAILED, back_within=3)


def test_fault_network_half_open(stage: Stage) -> None:
    """A plugin's host is gone without a word, and is another one when it is back: connections are half-open."""

    def come_back_without_memory() -> None:
        stage.one.kill()
        stage.one.start()
        join_again()

    stage.play(partial(cut_off, stage.one.ports["one"]), come_back_without_memory, sees=FAILED, back_within=3)
