"""Faults of a plugin: its own clients are told, at once where that can be; nobody else notices."""

from __future__ import annotations

import time
from functools import partial

from tests.faults.conftest import Staged
from tests.faults.load import mixed
from tests.faults.stage import LONG, ONE, RATE, Stage, path_of
from tests.faults.verdict import outcomes

FAILED = (502, 503, 504)
"""The broker says that the plugin failed, or, once the breaker is open, that it is left alone."""


def test_fault_plugin_killed(stage: Stage) -> None:
    """A plugin is killed (SIGKILL), and started again on its port."""
    stage.play(stage.one.kill, stage.one.start, sees=(*FAILED, "cut"), back_within=2)


def test_fault_plugin_hung_before_its_head(stage: Stage) -> None:
    """A plugin takes requests, and never answers."""
    stage.play(partial(stage.one.turn, "hang"), partial(stage.one.turn, "ok"), sees=FAILED, back_within=2)


def test_fault_plugin_hung_in_its_body(stage: Stage) -> None:
    """A plugin stops within the bodies of its answers."""
    stage.play(
        partial(stage.one.turn, "hang-body"), partial(stage.one.turn, "ok"), sees=(*FAILED, "cut"), back_within=2
    )


def test_fault_plugin_slow_by_bytes(stage: Stage) -> None:
    """A plugin sends its answers byte by byte."""
    stage.play(partial(stage.one.turn, "slow", 0.6), partial(stage.one.turn, "ok"), back_within=0)


def test_fault_plugin_garbage(stage: Stage) -> None:
    """A plugin answers what is no HTTP."""
    stage.play(partial(stage.one.turn, "garbage"), partial(stage.one.turn, "ok"), sees=FAILED, back_within=2)


def test_fault_plugin_closes_idle(stage: Stage) -> None:
    """A plugin closes idle connections as requests come on them: a GET is sent again, a POST never."""
    crossed = 0
    for _ in range(5):  # whether a close crosses a POST is chance
        seen = stage.play(
            partial(stage.one.turn, "close", 0.5),
            partial(stage.one.turn, "ok"),
            sees=(502,),
            methods=("POST",),
            back_within=1,
        )
        crossed += outcomes(seen.of_those(hit=True))["502 Upstream-Garbled"]
        if crossed:
            break
    assert crossed


def test_fault_plugin_refuses(stage: Stage) -> None:
    """Nobody listens at a plugin's port."""
    stage.play(partial(stage.one.turn, "refuse"), partial(stage.one.turn, "ok"), sees=FAILED, back_within=2)


def test_fault_plugin_frozen(stage: Stage) -> None:
    """A plugin is frozen (SIGSTOP): its kernel takes connections, and nobody answers."""
    stage.play(stage.one.freeze, stage.one.thaw, sees=FAILED, back_within=2)


def test_fault_plugin_takes_no_connection(stage: Stage) -> None:
    """A plugin's backlog is full: its kernel drops each SYN."""
    stage.play(partial(stage.one.turn, "full"), partial(stage.one.turn, "ok"), sees=(*FAILED, "cut"), back_within=2)


def test_fault_plugin_flaps(stage: Stage) -> None:
    """A plugin is killed, and started again, time after time."""
    stage.play(partial(_flap, stage), lambda: None, sees=(*FAILED, "cut"), back_within=2, held=0)


def _flap(stage: Stage) -> None:
    for _ in range(8 if LONG else 2):
        stage.one.kill()
        time.sleep(0.5)
        stage.one.start()
        time.sleep(0.5)


def test_fault_one_plugin_of_ten(staged: Staged) -> None:
    """One of ten plugins, the one that most is asked of, never answers, and there is room for few requests at once."""
    limits = {
        "BROKER_SERVER_REQUESTS_MAX": "60",
        "BROKER_UPSTREAM_BULKHEAD_MAX": "20",
        "BROKER_UPSTREAM_BULKHEAD_WAITING": "5",
        "BROKER_UPSTREAM_RESPONSE_TIMEOUT": "2",
    }
    stage = staged(others=[f"sound{number}" for number in range(9)], **limits)
    stage.traffics = mixed(ONE, path_of(ONE), 4 * RATE)
    stage.traffics += [one for name in stage.others.names for one in mixed(name, path_of(name), RATE / 2)]
    stage.play(partial(stage.one.turn, "hang"), partial(stage.one.turn, "ok"), sees=FAILED, back_within=4)
