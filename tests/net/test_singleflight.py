from __future__ import annotations

from collections.abc import Callable

import eventlet
import pytest
from eventlet.event import Event

from app.net.singleflight import SingleFlight


class Source:
    """Answers once it is told to; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = Event()

    def __call__(self) -> str:
        self.calls += 1
        return f"{self.gate.wait()} {self.calls}"


@pytest.fixture
def flights() -> SingleFlight[str, str]:
    return SingleFlight()


def started(
    flights: SingleFlight[str, str], *calls: tuple[str, Callable[[], str]]
) -> list[eventlet.greenthread.GreenThread]:
    threads = [eventlet.spawn(flights.run, key, function) for key, function in calls]
    eventlet.sleep(0)
    return threads


def test_equal_calls_are_one(flights: SingleFlight[str, str]) -> None:
    source = Source()
    threads = started(flights, *[("k", source)] * 3)
    source.gate.send("answer")
    assert [thread.wait() for thread in threads] == ["answer 1"] * 3


def test_other_calls_do_not_wait(flights: SingleFlight[str, str]) -> None:
    source = Source()
    (thread,) = started(flights, ("k", source))
    assert flights.run("other", lambda: "at once") == "at once"
    source.gate.send("answer")
    thread.wait()


def test_a_call_after_the_end_is_a_new_one(flights: SingleFlight[str, str]) -> None:
    answers = iter("ab")
    assert [flights.run("k", lambda: next(answers)) for _ in range(2)] == ["a", "b"]


def test_an_error_is_everybodys_and_not_remembered(flights: SingleFlight[str, str]) -> None:
    source = Source()
    threads = started(flights, *[("k", source)] * 3)
    source.gate.send_exception(LookupError("none"))
    for thread in threads:
        with pytest.raises(LookupError, match="none"):
            thread.wait()
    assert source.calls == 1
    assert flights.run("k", lambda: "well again") == "well again"


def test_one_that_waits_takes_over_from_a_caller_that_is_ended(flights: SingleFlight[str, str]) -> None:
    source = Source()
    first, *others = started(flights, *[("k", source)] * 3)
    first.kill()
    eventlet.sleep(0)
    source.gate.send("answer")
    assert [thread.wait() for thread in others] == ["answer 2"] * 2


def test_one_that_waits_and_is_ended_ends_alone(flights: SingleFlight[str, str]) -> None:
    source = Source()
    first, second, third = started(flights, *[("k", source)] * 3)
    second.kill()
    source.gate.send("answer")
    assert [first.wait(), third.wait(), source.calls] == ["answer 1", "answer 1", 1]


def test_none_is_an_answer_too() -> None:
    flights: SingleFlight[str, None] = SingleFlight()
    assert flights.run("k", lambda: None) is None
