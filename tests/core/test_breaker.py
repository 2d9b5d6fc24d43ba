"""A circuit's life, played by tables: no clock runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.core.breaker import CLOSED, HALF_OPEN, OPEN, PROVEN, Breaker, Breaking, Change, Passed, Tally
from app.core.circuits import LEVELS, PLACES, ROWS, Circuits

SETTINGS = Breaking(failures=3, percent=50, window=10.0, minimum=10, first=2.0, longest=12.0, probes=2)
START = 1000.0
KEY = 77


class Story:
    """Some workers and one plugin; times are seconds after the start."""

    def __init__(self, workers: int = 1, settings: Breaking = SETTINGS) -> None:
        self.circuits = Circuits()
        self.settings = settings
        self.workers = [self.new_worker() for _ in range(workers)]

    def new_worker(self) -> Breaker:
        return Breaker(self.circuits, KEY, START)

    def admit(self, at: float, worker: int = 0) -> Passed | None:
        return self.workers[worker].admit(START + at, self.settings)

    def let_in(self, at: float, worker: int = 0) -> Passed:
        passed = self.admit(at, worker)
        assert passed is not None
        return passed

    def good(self, at: float, worker: int = 0, passed: Passed | None = None) -> Change | None:
        return self.workers[worker].good(passed or self.let_in(at, worker), START + at, self.settings)

    def bad(self, at: float, worker: int = 0, passed: Passed | None = None, jitter: float = 0.0) -> Change | None:
        return self.workers[worker].bad(passed or self.let_in(at, worker), START + at, self.settings, jitter)

    def states(self, at: float) -> set[int]:
        return {worker.state(START + at) for worker in self.workers}

    def opened(self, at: float = 0.0) -> None:
        for _ in range(self.settings.failures):
            self.bad(at)
        assert self.states(at) == {OPEN}


@pytest.mark.parametrize(
    ("outcomes", "opens"),
    [
        ("xxx", True),
        ("xx", False),
        ("xx.xx.xx", False),
        (".xxx", True),
        ("xx.xxx", True),
        ("....", False),
    ],
)
def test_so_many_failures_in_a_row_open_it(outcomes: str, opens: bool) -> None:
    story = Story(settings=replace(SETTINGS, percent=0))
    changes = [story.bad(0.1) if outcome == "x" else story.good(0.1) for outcome in outcomes]
    assert changes[:-1] == [None] * (len(outcomes) - 1)
    assert changes[-1] == (Change(OPEN, 2.0, "3 requests in a row failed") if opens else None)
    assert story.states(0.1) == {OPEN if opens else CLOSED}


@pytest.mark.parametrize(
    ("outcomes", "step", "opens"),
    [
        ("x.x.x.x..x", 0.1, True),  # half of ten
        ("x.x.x.x.x", 0.1, False),  # nine are too few
        ("x..x..x..x..x..x", 0.1, False),  # a third
        ("......xxxxxx", 0.1, True),
        ("x.x.x.x.x.x.x.x.x.x.x", 2.0, False),  # never ten within ten seconds
        ("x.x.x.x.x.x.x.x.x.x.x.x.x.x.x", 1.0, True),  # a little more than ten, by what is left of the last window
    ],
)
def test_so_many_percent_of_enough_requests_open_it(outcomes: str, step: float, opens: bool) -> None:
    story = Story(settings=replace(SETTINGS, failures=0))
    for number, outcome in enumerate(outcomes):
        change = (story.bad if outcome == "x" else story.good)(number * step)
        if change:
            break
    assert change is None or "% of 1" in change.why
    assert (change is not None) == opens


def test_a_window_slides_and_what_is_older_than_two_is_forgotten() -> None:
    tally = Tally()
    settings = replace(SETTINGS, failures=0)
    for _ in range(9):
        tally.bad(START, settings)
    assert tally.bad(START + 19.9, settings) == ""
    for after, why in ((10.1, "100% of 13 requests failed"), (20.1, ""), (30.1, "")):
        tally = Tally()
        for _ in range(12):
            tally.bad(START, replace(settings, percent=0))
        assert tally.bad(START + after, settings) == why


@pytest.mark.parametrize(("settings", "opens"), [(dict(failures=0, percent=0), False), (dict(failures=1), True)])  # noqa: C408
def test_nothing_opens_what_may_not_open(settings: dict[str, int], opens: bool) -> None:
    story = Story(settings=replace(SETTINGS, **settings))
    for _ in range(100):
        if passed := story.admit(0):
            story.bad(0, passed=passed)
    assert story.states(0) == {OPEN if opens else CLOSED}


def test_an_open_circuit_lets_nothing_through_until_its_time_is_over() -> None:
    story = Story(workers=3)
    story.opened()
    for at in (0.0, 1.0, 1.999):
        assert [story.admit(at, worker) for worker in range(3)] == [None] * 3
        assert [worker.wait(START + at) for worker in story.workers] == pytest.approx([2 - at] * 3, abs=1e-5)
    assert story.states(2.0) == {HALF_OPEN}
    assert story.workers[1].wait(START + 2.0) == 0
    assert story.admit(2.0, 2) is not None


@pytest.mark.parametrize("workers", [1, 4])
def test_half_open_it_lets_no_more_probes_through_than_it_may_whichever_workers_ask(workers: int) -> None:
    story = Story(workers)
    story.opened()
    tried = [story.admit(2.0 + number / 1000, number % workers) for number in range(40)]
    assert sum(passed is not None for passed in tried) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_enough_good_probes_close_it_for_all(workers: int) -> None:
    story = Story(workers)
    story.opened()
    first, second = story.let_in(2.0), story.let_in(2.0, workers - 1)
    assert story.good(2.1, passed=first) is None
    assert story.admit(2.1) is None  # one was good, one is under way: no more than two in all
    assert story.good(2.2, workers - 1, second) == Change(CLOSED)
    assert story.states(2.2) == {CLOSED}
    assert all(story.admit(2.2, worker) for worker in range(workers))


@pytest.mark.parametrize("before", [0, 1])
def test_a_probe_that_fails_opens_it_for_twice_as_long(before: int) -> None:
    story = Story(2)
    story.opened()
    at, lengths = 2.0, []
    for _ in range(5):
        for _ in range(before):
            story.good(at)
        change = story.bad(at, 1)
        assert change is not None
        assert (change.state, change.why) == (OPEN, "it failed when it was tried again")
        lengths.append(change.seconds)
        assert story.admit(at + change.seconds - 0.001) is None
        at += change.seconds
    assert lengths == [4.0, 8.0, 12.0, 12.0, 12.0]
    story.good(at)
    story.good(at, 1)
    story.opened(at)
    assert story.workers[0].wait(START + at) == pytest.approx(2.0, abs=1e-5)  # from the beginning again


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 2.0), (0.5, 1.5), (1.0, 1.0)])
def test_chance_shortens_its_time_by_up_to_half(jitter: float, seconds: float) -> None:
    story = Story(settings=replace(SETTINGS, failures=1))
    assert story.bad(0, jitter=jitter) == Change(OPEN, seconds, "1 requests in a row failed")


def test_a_probe_whose_client_has_left_gives_its_place_to_another() -> None:
    story = Story(2)
    story.opened()
    first, second = story.let_in(2.0), story.let_in(2.0, 1)
    assert story.admit(2.0) is None
    story.workers[0].gone(first)
    third = story.let_in(2.1, 1)
    assert story.admit(2.1) is None
    story.good(2.2, 1, second)
    story.workers[1].gone(second)  # it was answered: its place stays
    assert story.admit(2.2) is None
    assert story.good(2.3, 1, third) == Change(CLOSED)


def test_a_probe_that_never_ends_holds_its_place_for_a_while_only() -> None:
    """Of a worker that was killed, or a plugin that hangs."""
    story = Story(2)
    story.opened()
    lost = [story.let_in(2.0) for _ in range(2)]
    assert story.admit(2.0 + 11.9, 1) is None
    story.workers[0] = story.new_worker()
    later = [story.let_in(2.0 + 12.0, number) for number in range(2)]
    assert story.admit(14.0) is None
    story.workers[0].gone(lost[0])  # another has its place by now
    assert story.admit(14.0) is None
    assert story.good(15.0, passed=lost[0]) is None  # late, but good
    assert story.good(15.0, passed=later[0]) is None
    assert story.good(15.0, 1, later[1]) == Change(CLOSED)


def test_fewer_probes_since_a_reload_close_what_as_many_have_proven() -> None:
    """Nobody is let through to close it: no place is free, and no answer is to come."""
    story = Story(2)
    story.opened()
    assert story.good(3) is None
    story.settings = replace(SETTINGS, probes=1)
    assert story.admit(3.1, 1) is not None
    assert story.states(3.1) == {CLOSED}


def test_a_worker_that_is_killed_before_it_closes_a_circuit_does_not_leave_it_half_open_for_ever() -> None:
    story = Story(2)
    story.opened()
    first, last = story.let_in(3), story.let_in(3)
    story.good(3, passed=first)
    story.circuits.words[last.place] = PROVEN
    assert story.states(4) == {HALF_OPEN}
    assert story.admit(4, 1) is not None
    assert story.states(4) == {CLOSED}


def test_what_was_sent_before_says_nothing_about_after() -> None:
    story = Story(2)
    before = [story.let_in(0.0, 1) for _ in range(9)]
    story.opened(0.5)
    assert [story.bad(1.0, 1, before.pop()) for _ in range(3)] == [None] * 3
    assert story.workers[0].wait(START + 1.0) == pytest.approx(1.5, abs=1e-5)
    assert [story.bad(3.0, 1, before.pop()) for _ in range(3)] == [None] * 3
    assert story.states(3.0) == {HALF_OPEN}
    probes = [story.let_in(3.0), story.let_in(3.0)]
    late = story.let_in(20.0, 1)
    for probe in probes:
        story.good(21.0, passed=probe)
    assert [story.bad(22.0, 1, one) for one in (*before, late)] == [None] * 4
    assert story.states(22.0) == {CLOSED}


def test_an_answer_that_comes_late_says_nothing_about_after_either() -> None:
    story = Story()
    before = story.let_in(0.0)
    story.opened()
    first = story.let_in(2.0)
    story.bad(2.0)
    story.good(6.0, passed=first)  # of the opening before: no place of this one is proven by it
    probes = [story.let_in(6.0), story.let_in(6.0)]
    assert [story.good(6.0, passed=probe) for probe in probes] == [None, Change(CLOSED)]
    story.bad(7.0)
    story.bad(7.0)
    story.good(7.0, passed=before)  # no interruption of a row of failures
    assert story.bad(7.0) == Change(OPEN, 2.0, "3 requests in a row failed")


@pytest.mark.parametrize("worker", [0, 1])
def test_after_it_was_closed_each_worker_counts_from_the_beginning(worker: int) -> None:
    story = Story(2)
    assert [story.bad(0.0, 1) for _ in range(2)] == [None] * 2
    story.opened()
    story.good(2.0)
    assert story.good(2.0) == Change(CLOSED)
    assert story.bad(2.1, worker) is None
    assert story.bad(2.1, worker) is None
    assert story.states(2.1) == {CLOSED}


def test_the_first_probe_of_an_opening_is_told_once() -> None:
    story = Story()
    assert not story.workers[0].tried(story.let_in(0.0))
    story.opened()
    for at in (2.0, 6.0):
        probes = [story.let_in(at), story.let_in(at)]
        assert [story.workers[0].tried(probe) for probe in probes] == [True, False]
        story.bad(at, passed=probes[0])


def test_ever_so_many_openings_are_no_longer_than_the_longest() -> None:
    story = Story(settings=replace(SETTINGS, probes=PLACES))
    story.opened()
    at = 2.0
    for _ in range(LEVELS + 10):
        change = story.bad(at)
        assert change is not None
        at += change.seconds
    assert change.seconds == 12.0
    assert story.states(at) == {HALF_OPEN}


def test_a_plugin_whose_row_was_given_away_while_closed_gets_another() -> None:
    story = Story()
    old = story.let_in(0.0)
    others = [Breaker(story.circuits, key, START + 3) for key in range(10_000, 10_000 + ROWS)]
    others.append(Breaker(story.circuits, KEY + 1000 * ROWS, START + 3))  # this one wants the row
    passed = [story.let_in(4.0) for _ in range(3)]
    assert [story.bad(4.0, passed=one) is None for one in (old, *passed)] == [True, True, True, False]
    assert story.states(4.0) == {OPEN}
    assert {other.state(START + 4) for other in others} == {CLOSED}
