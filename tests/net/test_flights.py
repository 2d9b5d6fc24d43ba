from __future__ import annotations

import logging
import time
from collections.abc import Callable

import eventlet
import pytest
from eventlet.event import Event
from eventlet.greenthread import GreenThread

from app.net.flights import Flight, Flights
from app.net.loop import Loop

AT_ONCE = 4


class Call:
    """Returns once it is told to; counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = Event()

    def __call__(self) -> str:
        self.calls += 1
        return f"{self.gate.wait()} {self.calls}"


@pytest.fixture(scope="module")
def loop() -> Loop:
    return Loop()


@pytest.fixture
def flights(loop: Loop) -> Flights[str, str]:
    return Flights(loop, lambda: AT_ONCE)


def settle() -> None:
    for _ in range(5):
        eventlet.sleep(0)


def waiting(flight: Flight[str]) -> GreenThread:
    def wait() -> str:
        flight.ends()
        return flight.result()

    return eventlet.spawn(wait)


def full(flights: Flights[str, str], but: int = 0) -> tuple[Call, list[Flight[str]]]:
    """As many calls under way as may be, less some."""
    call = Call()
    return call, [flights.join(f"busy{number}", call) for number in range(AT_ONCE - but)]


def test_equal_calls_are_one(flights: Flights[str, str]) -> None:
    call = Call()
    threads = [waiting(flights.join("k", call)) for _ in range(3)]
    settle()
    call.gate.send("answer")
    assert [thread.wait() for thread in threads] == ["answer 1"] * 3


def test_a_call_after_the_end_is_a_new_one(flights: Flights[str, str]) -> None:
    answers = iter("ab")
    assert [waiting(flights.join("k", lambda: next(answers))).wait() for _ in range(2)] == ["a", "b"]


def test_who_waits_may_leave_and_it_goes_on(flights: Flights[str, str]) -> None:
    call = Call()
    first, second = waiting(flights.join("k", call)), waiting(flights.join("k", call))
    settle()
    first.kill()
    call.gate.send("answer")
    assert (second.wait(), call.calls) == ("answer 1", 1)


def test_it_goes_on_although_nobody_is_left(flights: Flights[str, str]) -> None:
    call = Call()
    flight = flights.join("k", call)
    assert not flight.ends(0.01)
    call.gate.send("answer")
    settle()
    assert (flight.ended, flight.result()) == (True, "answer 1")


def test_nobody_waits_longer_than_it_wants(flights: Flights[str, str]) -> None:
    call = Call()
    began = time.monotonic()
    assert not flights.join("k", call).ends(0.05)
    assert 0.05 <= time.monotonic() - began < 2
    call.gate.send("")


def test_no_more_are_under_way_than_may_be(flights: Flights[str, str]) -> None:
    call, _ = full(flights)
    late = flights.join("late", Call())
    settle()
    assert (call.calls, late.begun) == (AT_ONCE, False)
    assert not late.begins(0.01)
    call.gate.send("")


def test_those_in_line_are_begun_in_their_turn(flights: Flights[str, str]) -> None:
    call, _ = full(flights)
    begun: list[str] = []

    def of(name: str) -> Callable[[], str]:
        def function() -> str:
            begun.append(name)
            return name

        return function

    threads = [waiting(flights.join(name, of(name))) for name in "abc"]
    settle()
    call.gate.send("")
    assert [thread.wait() for thread in threads] == begun == ["a", "b", "c"]


def test_one_in_line_that_nobody_waits_for_is_not_made(flights: Flights[str, str]) -> None:
    call, _ = full(flights)
    left, killed, stays = Call(), Call(), Call()
    flights.join("left", left).begins(0.01)
    thread = waiting(flights.join("killed", killed))
    other = waiting(flights.join("stays", stays))
    settle()
    thread.kill()
    call.gate.send("")
    stays.gate.send("answer")
    assert (other.wait(), left.calls, killed.calls) == ("answer 1", 0, 0)


def test_spare_ones_take_half_of_all_and_never_a_place_in_line(flights: Flights[str, str]) -> None:
    call = Call()
    assert [flights.spare(f"s{number}", call) for number in range(4)] == [True, True, False, False]
    others = [flights.join(f"o{number}", call) for number in range(3)]
    assert [flight.begun for flight in others] == [True, True, False]
    assert not flights.spare("s9", call)
    threads = [waiting(flight) for flight in others]
    settle()
    call.gate.send("")
    for thread in threads:
        thread.wait()


def test_what_is_under_way_needs_no_spare_one(flights: Flights[str, str]) -> None:
    call = Call()
    assert (flights.spare("k", call), flights.spare("k", call)) == (True, False)
    thread = waiting(flights.join("k", call))
    settle()
    call.gate.send("answer")
    assert thread.wait() == "answer 1"


def test_of_one_at_once_a_spare_one_is_made_too(loop: Loop) -> None:
    assert Flights[str, str](loop, lambda: 1).spare("k", lambda: "")
    settle()


def test_a_call_that_fails_is_told_without_its_traceback(
    flights: Flights[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> str:
        raise LookupError("secret detail")

    thread = waiting(flights.join("k", fails))
    with pytest.raises(RuntimeError, match="the log says why") as caught:
        thread.wait()
    assert caught.value.__cause__ is caught.value.__context__ is None
    told = [record.levelno for record in caplog.records if record.name == "app.net.flights"]  # the hub tells of its own
    assert told == [logging.ERROR]
    assert waiting(flights.join("k", lambda: "well again")).wait() == "well again"
