"""Faults of memory: what cannot be had is refused, or costs the worker that asked for it, and nobody else."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.conftest import children, until
from tests.faults.conftest import Staged
from tests.faults.groups import MIB, Group, memory_group
from tests.faults.processes import workers_of
from tests.faults.stage import ALL, HELD, ONE, Stage, path_of

ENDED = ("closed unanswered", "cut")

HOLDS = {"BROKER_UPSTREAM_REPLAY_LIMIT": str(MIB), "BROKER_UPSTREAM_RESPONSE_TIMEOUT": "5"}
"""A body of a MiB is held whole while its plugin is waited for."""

SPARE, BODIES = 64, 48
"""MiB that a broker may still take, and bodies of a MiB that two workers are to hold at once, which with what the
kernel holds of them is more."""


def post(stage: Stage) -> object:
    """A body to hold: the answer's status, or what was seen instead."""
    try:
        return stage.broker.ask("POST", path_of(ONE), bytes(MIB))[0]
    except (OSError, HTTPException) as error:
        return type(error).__name__


def posted(stage: Stage, bodies: int) -> Counter[object]:
    with ThreadPoolExecutor(bodies) as clients:
        return Counter(clients.map(lambda _: post(stage), range(bodies)))


@pytest.fixture
def group() -> Iterator[Group]:
    made = memory_group()
    if made is None:
        pytest.skip("no control group with a limit of memory can be made here")
    yield made
    made.remove()


def test_fault_group_out_of_memory(group: Group, staged: Staged) -> None:
    """The control group's memory is used up: the kernel kills the worker that holds most."""
    stage = staged(**HOLDS)
    stage.one.turn("late", 2.5)
    group.take([stage.broker.popen.pid, *children(stage.broker.popen.pid)])
    before = workers_of(stage.broker)

    def use_up() -> None:
        group.bound(SPARE * MIB)
        seen: Counter[object] = Counter()
        for _ in range(5):  # on a busy machine not all bodies are here at once
            seen += posted(stage, BODIES)
            if group.kills:
                break
        assert group.kills >= 1
        assert seen[200], "the other worker did not serve on"

    stage.play(use_up, group.unbound, who=ALL, sees=ENDED, held=0, back_within=2)
    assert set(before) - set(workers_of(stage.broker))
    assert any("killed by SIGKILL (perhaps for want of memory" in line for line in stage.broker.lines)


def test_fault_no_memory(staged: Staged) -> None:
    """A worker is given no more memory (RLIMIT_AS), and gets some again."""
    stage = staged(**HOLDS)
    stage.one.turn("late", 0.1)
    starved = workers_of(stage.broker)[0]

    def take() -> None:
        pages = int(Path(f"/proc/{starved}/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + 2 * MIB
        resource.prlimit(starved, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        seen = posted(stage, 24)
        assert seen[200], "the other worker did not serve on"
        assert seen.total() > seen[200], "there was memory enough"
        assert set(seen) <= {200, 503, "RemoteDisconnected", "ConnectionResetError", "BrokenPipeError"}

    def give() -> None:
        if starved in workers_of(stage.broker):
            resource.prlimit(starved, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    stage.play(take, give, who=ALL, sees=(503, *ENDED), held=HELD, back_within=1)
    assert posted(stage, 24) == {200: 24}
    until(lambda: stage.broker.ask("GET", "/livez")[0] == 200)
