"""Capacity checks over all plugins while one of them fails: they have a bound of their own, and hold nobody up."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.faults.conftest import Staged
from tests.faults.load import Sample, Traffic, mixed
from tests.faults.stage import ALL, ONE, OTHERS, RATE, Stage
from tests.faults.verdict import Seen, longest, outcomes

BOUND = 1.0
"""Seconds that the broker takes for a capacity check at most."""

CHECKS = "checks"
"""Clients that ask for the capacity of all VIMs at once."""

SLOW = 0.5
"""Seconds that a plugin takes for an answer; less than it may."""

WITHOUT = "200 without it"
FAILED = (502, 503, 504)


def _vims(*names: str) -> bytes:
    return json.dumps({"VIMs": [f"owner_{name}" for name in names]}).encode()


@pytest.fixture
def checks() -> list[Traffic]:
    """On kept connections and on new ones."""
    asked = json.dumps({"vCPU": 4, "Memory": "16", "Storage": 40, "VIMs": [f"owner_{name}" for name in ALL]}).encode()
    answers = {_vims(*ALL): "200", _vims(*(name for name in ALL if name != ONE)): WITHOUT}
    path = "/api/multicloud/v0/check_vim_capacity"
    return [
        Traffic(CHECKS, lambda _: path, RATE / 4, method="POST", kept=kept, body=asked, answers=answers)
        for kept in (True, False)
    ]


def _forwards(name: str) -> list[Traffic]:
    """Of the VoLTE use case."""
    return mixed(name, f"/api/multicloud/v0/owner_{name}/lab/servers", RATE)


def _staged(staged: Staged, checks: list[Traffic], **env: str) -> Stage:
    stage = staged(BROKER_CAPACITY_TIMEOUT=str(BOUND), **env)
    stage.traffics = checks + [one for name in ALL for one in _forwards(name)]
    return stage


def _those_of(seen: Seen, checks: bool) -> list[Sample]:
    """Samples of capacity checks, or those of plugins that do not fail."""
    return [one for one in seen.samples if (one.traffic.name == CHECKS if checks else one.traffic.name in OTHERS)]


def test_fault_capacity_plugin_hung(staged: Staged, checks: list[Traffic]) -> None:
    """A plugin that capacity checks ask beside all others never answers."""
    stage = _staged(staged, checks)
    seen = stage.play(
        partial(stage.one.turn, "hang"),
        partial(stage.one.turn, "ok"),
        who=(ONE, CHECKS),
        sees=(*FAILED, WITHOUT),
        back_within=3,
    )
    answers = outcomes(_those_of(seen, checks=True))
    assert set(answers) == {"200", WITHOUT}
    assert longest(_those_of(seen, checks=True)) < BOUND + 0.5


def test_fault_capacity_bulkhead_full(staged: Staged, checks: list[Traffic]) -> None:
    """A plugin is so slow that its bulkhead is full; capacity checks, which have a bound of their own, ask it too."""
    bounds = {"BROKER_UPSTREAM_BULKHEAD_MAX": "3", "BROKER_UPSTREAM_BULKHEAD_WAITING": "4"}
    stage = _staged(staged, checks, **bounds, BROKER_UPSTREAM_RESPONSE_TIMEOUT="2")
    seen = stage.play(
        partial(stage.one.turn, "late", SLOW),
        partial(stage.one.turn, "ok"),
        sees=("503 Plugin-Busy",),
        back_within=2,
        others_within=BOUND,
    )
    assert outcomes(seen.of_those(hit=True))["503 Plugin-Busy"]
    assert longest(_those_of(seen, checks=True)) > SLOW
    assert longest(_those_of(seen, checks=False)) < 0.5
