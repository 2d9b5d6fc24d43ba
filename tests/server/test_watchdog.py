"""When a silent process is asked for its stacks, and when it is killed; test_stalls.py has it with real ones."""

from __future__ import annotations

import pytest

from app.server.watchdog import GAP, Looks, Verdict, Watch, bound, heaviest

NONE, ASK, RECOVERED, KILL = Verdict.NONE, Verdict.ASK, Verdict.RECOVERED, Verdict.KILL


@pytest.mark.parametrize(
    ("timeout", "looks", "verdicts"),
    [
        (30, [(10, 9.9), (20, 19.9), (1000, 999.9)], [NONE, NONE, NONE]),
        (30, [(38.9, 10), (39, 10), (39.5, 10), (40, 10)], [NONE, ASK, NONE, KILL]),
        (30, [(39, 10), (39.5, 39.4), (39.6, 39.4), (68.5, 39.4)], [ASK, RECOVERED, NONE, ASK]),
        (2, [(11.4, 10), (11.5, 10), (12, 10)], [NONE, ASK, KILL]),
        (30, [(50, 10)], [KILL]),
        (0, [(1e6, 10)], [NONE]),
    ],
)
def test_who_is_silent_is_asked_and_then_killed(
    timeout: float, looks: list[tuple[float, float]], verdicts: list[Verdict]
) -> None:
    watch = Watch(since=0.0)
    assert [watch.look(now, heard, timeout) for now, heard in looks] == verdicts


def test_silence_counts_from_where_somebody_could_have_been_heard() -> None:
    watch = Watch(since=0.0)
    watch.since = 1000.0
    assert [watch.look(now, 10.0, 30.0) for now in (1000.1, 1028.9, 1029.0, 1030.0)] == [NONE, NONE, ASK, KILL]


def test_who_has_not_run_itself_has_heard_nobody() -> None:
    looks = Looks(now=10.0)
    assert [looks.late(now) for now in (10.5, 10.5 + GAP, 11.6 + GAP, 500.0, 500.1)] == [
        False, False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resident", "expected"),
    [({}, None), ({0: 10, 1: 20}, None), ({0: 101, 1: 20}, 0), ({0: 101, 1: 300, 2: 102}, 1), ({0: 100}, None)],
)
def test_of_those_that_have_grown_the_heaviest_goes_first(resident: dict[int, int], expected: int | None) -> None:
    assert heaviest(resident, dict.fromkeys(resident, 100)) == expected


def test_the_heaviest_is_the_one_that_is_furthest_above_its_own_bound() -> None:
    assert heaviest({0: 300, 1: 200, 2: 90}, {0: 250, 1: 100, 2: 100}) == 1


@pytest.mark.parametrize(("fresh", "expected"), [(0, 90), (60, 90), (61, 91), (100, 150)])
def test_whoever_has_not_grown_by_half_is_within_its_bound(fresh: int, expected: int) -> None:
    assert bound(fresh, 90) == expected
