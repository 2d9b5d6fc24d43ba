"""The verdict over what clients saw, from samples made by hand."""

from __future__ import annotations

import pytest

from tests.faults.load import Sample, Traffic
from tests.faults.verdict import May, Seen, calm_from

ONE = Traffic("one", lambda _: "/", 1)
POST = Traffic("one", lambda _: "/", 1, method="POST")
TWO = Traffic("two", lambda _: "/", 1)


def sample(began: float, outcome: str = "200", traffic: Traffic = ONE, seconds: float = 0.1) -> Sample:
    return Sample(traffic, f"{traffic.name}-{traffic.method}-{began}", began, began + seconds, outcome, 1)


@pytest.mark.parametrize(
    ("failures", "calm"),
    [
        ([], 10.0),
        ([9.9], 10.0),  # it began before the fault's end
        ([10.2], 10.2),
        ([10.2, 10.9, 11.8], 11.8),  # never a second in between
        ([10.2, 11.3], 10.2),  # a second in between: it was as before, and the later failure is another matter
    ],
)
def test_it_is_as_before_once_a_second_saw_no_failure(failures: list[float], calm: float) -> None:
    assert calm_from([sample(began, "502") for began in failures], 10.0) == calm


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (sample(6, "503 Circuit-Open"), False),
        (sample(6, "503"), False),
        (sample(6, "cut"), False),
        (sample(4.95, "cut"), False),  # under way when the fault began
        (sample(4.5, "cut"), True),  # ended before
        (sample(12, "cut"), True),  # after all was as before
        (sample(6, "500 Internal-Error"), True),
        (sample(6, "another's answer"), True),
        (sample(6, "503 Circuit-Open", POST), True),
        (sample(6, "503 Circuit-Open", TWO), True),
        (sample(6, "200", TWO), False),
    ],
    ids=lambda value: (
        f"{value.traffic.name}-{value.began}-{value.outcome}" if isinstance(value, Sample) else str(value)
    ),
)
def test_a_loss_is_what_nobody_may_see(seen: Sample, lost: bool) -> None:
    may = May(frozenset(["one"]), frozenset(["503", "cut"]), frozenset(["GET"]))
    samples = [sample(10.1, "503"), seen]
    assert Seen(samples, made=5.0, ended=10.0, may=may).losses == ([seen] if lost else [])


def test_what_is_fine_may_be_another_answer() -> None:
    traffic = Traffic("unknown", lambda _: "/", 1, fine="404 Region-Not-Found")
    samples = [sample(1, "404 Region-Not-Found", traffic), sample(2, "200", traffic)]
    assert Seen(samples, 5.0, 10.0).losses == samples[1:]
