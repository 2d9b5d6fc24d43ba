from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from eventlet import tpool

from app.errors import BrokerError, UpstreamRefused, UpstreamTimeout
from app.net import resolver
from app.net.resolver import KEPT, Resolver

INET, INET6 = socket.AF_INET, socket.AF_INET6


class Names:
    """A name service: the addresses of every name, or none; with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.addresses: list[str] | None = ["10.0.0.1"]
        self.asked: list[tuple[object, ...]] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def monotonic(self) -> float:
        return self.now

    def getaddrinfo(self, host: str, port: int, *, type: int) -> list[tuple[object, ...]]:  # noqa: A002
        self.asked.append((host, port, type))
        self.go_on.wait()
        if self.addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(INET, type, 6, "", (address, port)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(resolver, "time", made)
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.go_on.set()


@pytest.fixture(autouse=True, scope="module")
def threads() -> Iterator[None]:
    yield
    tpool.killall()


def found(asked: Resolver, host: str = "h", port: int = 80) -> list[str]:
    return [str(address.sockaddr[0]) for address in asked.resolve(host, port, 5)]


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", (INET, ("127.0.0.1", 80))), ("::1", (INET6, ("::1", 80, 0, 0)))],
)
def test_an_address_needs_no_name_service(names: Names, host: str, address: object) -> None:
    assert Resolver().resolve(host, 80, 5) == [address]
    assert names.asked == []


def test_the_system_knows_this_host() -> None:
    addresses = Resolver().resolve("localhost", 8080, 5)
    assert (INET, ("127.0.0.1", 8080)) in addresses or (INET6, ("::1", 8080, 0, 0)) in addresses


def test_all_addresses_of_a_name_in_the_systems_order(names: Names) -> None:
    names.addresses = ["10.0.0.2", "10.0.0.1"]
    assert found(Resolver()) == ["10.0.0.2", "10.0.0.1"]
    assert names.asked == [("h", 80, socket.SOCK_STREAM)]


def test_an_answer_is_kept_for_a_short_time(names: Names) -> None:
    asked = Resolver()
    found(asked)
    names.addresses = ["10.0.0.2"]
    names.now += KEPT - 0.1
    assert found(asked) == ["10.0.0.1"]
    names.now += 0.1
    assert found(asked) == ["10.0.0.2"]


def test_a_port_has_its_own_answer(names: Names) -> None:
    asked = Resolver()
    found(asked, port=80)
    assert asked.resolve("h", 81, 5) == [(INET, ("10.0.0.1", 81))]


def test_while_look_ups_fail_the_last_good_answer_serves(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    asked = Resolver()
    found(asked)
    names.addresses = None
    names.now += KEPT
    assert [found(asked), found(asked)] == [["10.0.0.1"]] * 2
    assert len(names.asked) == 2
    (record,) = caplog.records
    assert (record.levelno, "last good answer" in record.getMessage()) == (logging.WARNING, True)
    names.addresses = ["10.0.0.2"]
    names.now += KEPT
    assert found(asked) == ["10.0.0.2"]


def test_a_name_that_does_not_exist_is_named_and_not_remembered(names: Names) -> None:
    asked = Resolver()
    names.addresses = None
    with pytest.raises(UpstreamRefused, match="no host plugin"):
        found(asked, "plugin")
    names.addresses = ["10.0.0.1"]
    assert found(asked, "plugin") == ["10.0.0.1"]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_what_is_no_name_is_like_one_that_does_not_exist(host: str) -> None:
    with pytest.raises(UpstreamRefused):
        Resolver().resolve(host, 80, 5)


@pytest.mark.parametrize("known", [True, False])
def test_a_name_service_that_does_not_answer_costs_no_more_than_was_allowed(names: Names, known: bool) -> None:
    asked = Resolver()
    if known:
        found(asked)
    names.now += KEPT
    names.go_on.clear()
    outcome: object
    try:
        outcome = [address.sockaddr[0] for address in asked.resolve("h", 80, 0.05)]
    except BrokerError as error:
        outcome = type(error)
    assert outcome == (["10.0.0.1"] if known else UpstreamTimeout)
