"""Faults of a plugin: its own clients are told, at once where that can be; nobody else notices."""

from __future__ import annotations

from functools import partial

from tests.faults.stage import Stage

FAILED = (502, 503, 504)
"""The broker says that the plugin failed, or, once the breaker is open, that it is left alone."""


def test_fault_plugin_killed(stage: Stage) -> None:
    """A plugin is killed (SIGKILL), and started again on its port."""
    stage.play(stage.one.kill, stage.one.start, sees=(*FAILED, "cut"), back_within=2)


def test_fault_plugin_hung_before_its_head(stage: Stage) -> None:
    """A plugin takes requests, and never answers."""
    stage.play(partial(stage.one.turn, "hang"), partial(stage.one.turn, "ok"), sees=FAILED, back_within=2)
