"""Faults of the network between broker and plugin: packets are dropped, for real, in a network of the row's own."""

from __future__ import annotations

from functools import partial

import pytest

from tests.faults.apart import POSSIBLE, cut_off, join_again
from tests.faults.conftest import Staged
from tests.faults.stage import Stage

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="a network of one's own needs root, ip and nft")
FAILED = (502, 503, 504, "cut")


@pytest.mark.usefixtures("isolated")
def test_fault_network_cut(staged: Staged) -> None:
    """All packets between broker and plugin are dropped, and pass again."""
    stage = staged()
    stage.play(partial(cut_off, stage.one.ports["one"]), join_again, sees=FAILED, back_within=3)


@pytest.mark.usefixtures("isolated")
def test_fault_network_half_open(staged: Staged) -> None:
    """A plugin's host is gone without a word, and is another one when it is back: connections are half-open."""
    stage = staged()

    def come_back_without_memory() -> None:
        _restart(stage)
        join_again()

    stage.play(partial(cut_off, stage.one.ports["one"]), come_back_without_memory, sees=FAILED, back_within=3)


def _restart(stage: Stage) -> None:
    stage.one.kill()
    stage.one.start()
