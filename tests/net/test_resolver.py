from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import eventlet
import pytest
from eventlet.greenthread import GreenThread

from app.core.names import GONE, OLD
from app.errors import BrokerError, Unavailable, UpstreamRefused, UpstreamTimeout
from app.net import resolver
from app.net.loop import Loop
from app.net.resolver import AT_ONCE, UNUSED, Resolver, ResolverSettings

INET, INET6 = socket.AF_INET, socket.AF_INET6
KEPT = ResolverSettings().interval


class Names:
    """A name service: the addresses of every name, or none; with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.addresses: list[str] | socket.gaierror = ["10.0.0.1"]
        self.asked: list[tuple[object, ...]] = []
        self.hangs: Callable[[str], bool] = lambda _: False
        self.released = threading.Event()

    def clock(self) -> float:
        return self.now

    def getaddrinfo(self, host: str, port: int, *, type: int) -> list[tuple[object, ...]]:  # noqa: A002
        self.asked.append((host, port, type))
        if self.hangs(host):
            assert self.released.wait(20)
        if isinstance(self.addresses, socket.gaierror):
            raise self.addresses
        return [(INET, type, 6, "", (address, port)) for address in self.addresses]


NONE = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.released.set()


@pytest.fixture(scope="module")
def loop() -> Loop:
    return Loop()


@pytest.fixture
def asked(loop: Loop, names: Names) -> Resolver:
    return Resolver(loop, clock=names.clock)


def found(asked: Resolver, host: str = "h", port: int = 80, seconds: float = 5) -> list[str]:
    return [str(address.sockaddr[0]) for address in asked.resolve(host, port, seconds)]


def outcome(asked: Resolver, host: str = "h", seconds: float = 5) -> list[str] | type[BrokerError]:
    try:
        return found(asked, host, seconds=seconds)
    except BrokerError as error:
        return type(error)


def quiet(asked: Resolver) -> None:
    """Let all that is under way in the background end."""
    deadline = time.monotonic() + 10
    while asked._lookups:
        assert time.monotonic() < deadline, "a look-up goes on"
        eventlet.sleep(0.001)


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        eventlet.sleep(0.001)


def at_once(function: Callable[[], object]) -> None:
    """It may not wait: the loop does not run meanwhile."""
    ran: list[None] = []
    timer = eventlet.spawn_after(0, lambda: ran.append(None))
    function()
    assert not ran
    timer.cancel()


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", (INET, ("127.0.0.1", 80))), ("::1", (INET6, ("::1", 80, 0, 0)))],
)
def test_an_address_needs_no_name_service(asked: Resolver, names: Names, host: str, address: object) -> None:
    assert asked.resolve(host, 80, 5) == [address]
    assert asked.known(host, 80) is None
    assert names.asked == []


def test_the_system_knows_this_host(loop: Loop) -> None:
    addresses = Resolver(loop).resolve("localhost", 8080, 5)
    assert (INET, ("127.0.0.1", 8080)) in addresses or (INET6, ("::1", 8080, 0, 0)) in addresses


def test_all_addresses_of_a_name_in_the_systems_order(asked: Resolver, names: Names) -> None:
    names.addresses = ["10.0.0.2", "10.0.0.1"]
    assert found(asked) == ["10.0.0.2", "10.0.0.1"]
    assert names.asked == [("h", 80, socket.SOCK_STREAM)]


def test_a_port_has_its_own_answer(asked: Resolver, names: Names) -> None:
    found(asked, port=80)
    assert asked.resolve("h", 81, 5) == ((INET, ("10.0.0.1", 81)),)


# In the background.


def test_a_new_answer_is_had_in_the_background(asked: Resolver, names: Names) -> None:
    found(asked)
    names.addresses = ["10.0.0.2"]
    names.now += KEPT - 0.1
    assert found(asked) == ["10.0.0.1"]
    quiet(asked)
    assert len(names.asked) == 1
    names.now += 0.1
    at_once(lambda: found(asked))
    quiet(asked)
    assert (found(asked), len(names.asked)) == (["10.0.0.2"], 2)


def test_nobody_waits_for_a_name_service_that_hangs_while_there_is_an_answer(asked: Resolver, names: Names) -> None:
    found(asked)
    names.hangs = lambda _: True
    names.now += KEPT
    for _ in range(3):
        at_once(lambda: found(asked))
        names.now += KEPT
    soon(lambda: len(names.asked) == 2)
    assert len(names.asked) == 2  # one at a time


def test_an_old_answer_is_waited_for_shortly(asked: Resolver, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    found(asked)
    names.addresses = ["10.0.0.2"]
    names.now += OLD
    assert found(asked) == ["10.0.0.2"]
    names.hangs = lambda _: True
    names.now += OLD
    monkeypatch.setattr(resolver, "PATIENCE", 0.05)
    assert found(asked) == ["10.0.0.2"]
    names.now += 0.1
    at_once(lambda: found(asked))  # who comes later does not wait again


def test_a_name_in_use_is_looked_up_although_no_connection_is_made(asked: Resolver, names: Names) -> None:
    assert asked.known("h", 80) is None
    found(asked)
    names.addresses = ["10.0.0.2"]
    names.now += KEPT
    asked.known("h", 80)
    quiet(asked)
    assert asked.known("h", 80) == ((INET, ("10.0.0.2", 80)),)


# Failures.


@pytest.mark.parametrize("error", [NONE, AGAIN], ids=["no such name", "failure"])
def test_while_look_ups_fail_the_last_good_answer_serves(
    asked: Resolver, names: Names, caplog: pytest.LogCaptureFixture, error: socket.gaierror
) -> None:
    caplog.set_level(logging.INFO, logger="app.net.resolver")
    found(asked)
    names.addresses = error
    for _ in range(4):
        names.now += KEPT
        at_once(lambda: found(asked))
        quiet(asked)
    assert found(asked) == ["10.0.0.1"]
    assert len(names.asked) == 5
    (record,) = caplog.records
    assert (record.levelno, str(error.strerror) in record.getMessage()) == (logging.WARNING, True)
    names.addresses = ["10.0.0.2"]
    names.now += KEPT
    found(asked)
    quiet(asked)
    assert found(asked) == ["10.0.0.2"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]


def test_a_name_that_is_gone_for_good_is_told(asked: Resolver, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    found(asked)
    names.addresses = NONE
    for _ in range(int(GONE / KEPT) + 2):
        names.now += KEPT
        outcome(asked)
        quiet(asked)
    assert outcome(asked) is UpstreamRefused
    assert asked.known("h", 80) == ()
    assert len(caplog.records) == 2
    names.addresses = ["10.0.0.2"]
    names.now += KEPT
    assert found(asked) == ["10.0.0.2"]


def test_a_name_that_does_not_exist_is_told_at_once_and_looked_up_again_soon(asked: Resolver, names: Names) -> None:
    names.addresses = NONE
    with pytest.raises(UpstreamRefused, match="no host plugin"):
        found(asked, "plugin")
    at_once(lambda: outcome(asked, "plugin"))
    assert len(names.asked) == 1
    names.addresses = ["10.0.0.1"]
    names.now += 1
    assert found(asked, "plugin") == ["10.0.0.1"]


def test_a_failure_of_the_name_service_is_told_apart(asked: Resolver, names: Names) -> None:
    names.addresses = AGAIN
    with pytest.raises(UpstreamRefused, match=r"did not find h \(Temporary failure"):
        found(asked)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_what_is_no_name_is_like_one_that_does_not_exist(loop: Loop, host: str) -> None:
    with pytest.raises(UpstreamRefused):
        Resolver(loop).resolve(host, 80, 5)


def test_a_name_service_that_does_not_answer_costs_no_more_than_was_allowed(asked: Resolver, names: Names) -> None:
    names.hangs = lambda _: True
    began = time.monotonic()
    assert outcome(asked, seconds=0.05) is UpstreamTimeout
    assert time.monotonic() - began < 2
    names.now += 0.05
    at_once(lambda: outcome(asked, seconds=0.05))  # it hangs since then
    names.released.set()
    soon(lambda: outcome(asked) == ["10.0.0.1"])
    assert len(names.asked) == 1


def test_where_no_thread_is_to_be_had_the_look_up_fails(
    asked: Resolver, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(asked)

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        for _ in range(2):
            with pytest.raises(Unavailable, match="new thread"):
                found(asked, "other")
        names.now += KEPT
        assert found(asked) == ["10.0.0.1"]
        quiet(asked)
    assert found(asked, "other") == ["10.0.0.1"]


def test_where_no_descriptor_is_to_be_had_it_is_the_brokers_fault(
    asked: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "eventfd", none)
        with pytest.raises(Unavailable, match="Too many open files"):
            found(asked)
    assert found(asked) == ["10.0.0.1"]


def test_a_name_that_nobody_asks_for_any_more_is_forgotten(asked: Resolver, names: Names) -> None:
    for number in range(50):
        found(asked, f"once{number}")
    for _ in range(int(UNUSED / KEPT) + 2):
        names.now += KEPT
        asked.known("once7", 80)
        found(asked, "always")
        quiet(asked)
    assert set(asked._names) == {("always", 80), ("once7", 80)}


def test_a_name_that_is_asked_for_again_after_long_is_not_forgotten_meanwhile(asked: Resolver, names: Names) -> None:
    """It is looked up, which hangs, as another's look-up ends."""
    found(asked, "late")
    names.now += KEPT + UNUSED + 1
    names.hangs = lambda host: host == "late"
    (thread,) = started(1, lambda _: found(asked, "late", seconds=0.2))
    found(asked, "other")
    assert thread.wait() == ["10.0.0.1"]


# Many.


def started(count: int, ask: Callable[[int], object]) -> list[GreenThread]:
    threads = [eventlet.spawn(ask, number) for number in range(count)]
    eventlet.sleep(0)
    return threads


def test_those_that_ask_at_once_share_one_look_up(asked: Resolver, names: Names) -> None:
    threads = started(50, lambda _: found(asked))
    assert [thread.wait() for thread in threads] == [["10.0.0.1"]] * 50
    assert len(names.asked) == 1


def test_no_more_look_ups_are_under_way_than_may_be_and_the_others_wait_in_line(asked: Resolver, names: Names) -> None:
    names.hangs = lambda _: True
    threads = started(AT_ONCE + 10, lambda number: outcome(asked, f"h{number}"))
    soon(lambda: len(names.asked) == AT_ONCE)
    names.released.set()
    assert [thread.wait() for thread in threads] == [["10.0.0.1"]] * (AT_ONCE + 10)


def test_known_names_that_hang_leave_room_for_others(asked: Resolver, names: Names) -> None:
    for number in range(AT_ONCE * 2):
        found(asked, f"known{number}")
    names.now += KEPT
    names.hangs = lambda host: host.startswith("known")
    for number in range(AT_ONCE * 2):
        assert found(asked, f"known{number}") == ["10.0.0.1"]
    assert found(asked, "new") == ["10.0.0.1"]


def test_the_loop_goes_on_while_all_look_ups_hang(asked: Resolver, names: Names) -> None:
    names.hangs = lambda _: True
    threads = started(AT_ONCE * 2, lambda number: outcome(asked, f"h{number}", 60))
    slowest = 0.0
    for _ in range(100):
        began = time.monotonic()
        eventlet.sleep(0)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.5
    names.released.set()
    for thread in threads:
        thread.wait()


def test_who_leaves_leaves_no_trace(asked: Resolver, names: Names) -> None:
    names.hangs = lambda _: True
    (thread,) = started(1, lambda _: found(asked))
    thread.kill()
    (lookup,) = asked._lookups.values()
    assert lookup.waiters == []
    names.released.set()
    quiet(asked)
    assert found(asked) == ["10.0.0.1"]


def test_an_answer_that_comes_as_the_time_is_over_is_too_late(asked: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread has it, and the hub has not heard of it yet."""

    def not_heard(lookup: resolver._Lookup, _: object) -> None:
        lookup.outcome = ()

    monkeypatch.setattr(resolver, "_ask", not_heard)
    with pytest.raises(UpstreamTimeout):
        found(asked, seconds=0.05)
