"""A name with several addresses: which are tried, what a bad one costs, over real sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.core import addresses
from app.core.addresses import Address, AddressBook
from app.core.origin import Origin
from app.errors import ClientGone, Unavailable, UpstreamRefused, UpstreamTimeout
from app.net.loop import Loop
from app.net.tls import Tls
from app.upstream import connecting
from app.upstream.connecting import STAGGER, Connector
from app.upstream.pool import Pool
from tests.upstream.conftest import (
    REQUEST,
    SOON,
    Asker,
    Certificates,
    MakeAsker,
    Serve,
    Task,
    answer,
    resolves,
    stays,
    until,
)

NAME = Origin("http", "plugin.example", 80)
TICK = 0.1
"""Seconds, at most, by which the loop is late."""


class Pods:
    """Listeners that count their connections, each on an address of its own."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.taken: dict[Address, int] = {}

    def start(self, host: str = "127.0.0.1", port: int = 0) -> Address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = self.stack.enter_context(socket.create_server((host, port), family=family, backlog=128))
        address = Address(family, listener.getsockname())
        self.taken[address] = 0
        thread = threading.Thread(target=take_all, args=(listener, lambda: self._count(address)), daemon=True)
        thread.start()
        self.stack.callback(thread.join, 10)
        self.stack.callback(listener.shutdown, socket.SHUT_RDWR)
        return address

    def _count(self, address: Address) -> None:
        self.taken[address] += 1


def take_all(listener: socket.socket, taken: Callable[[], None]) -> None:
    """Until the listener is shut down."""
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        while True:
            stack.enter_context(listener.accept()[0])
            taken()


@pytest.fixture
def pods() -> Iterator[Pods]:
    made = Pods()
    with made.stack:
        yield made


@pytest.fixture
def silent(full: Origin) -> Address:
    """An address that does not answer."""
    return Address(socket.AF_INET, (full.host, full.port))


@pytest.fixture
def refusing(dead: Origin) -> Address:
    return Address(socket.AF_INET, (dead.host, dead.port))


class Opened:
    """Connections of one connector, in a greenlet of the loop as requests are."""

    def __init__(self, loop: Loop, book: AddressBook) -> None:
        self._loop = loop
        self._connector = Connector(loop, book)

    def __call__(
        self, *to: Address, seconds: float = 20.0, tls: Tls | None = None, name: str = ""
    ) -> tuple[Address | None, float]:
        """The address that was reached, and the seconds it took."""
        began = time.monotonic()
        connection = Task(self._loop, lambda: self._connector.open(to, seconds, tls, name)).result()
        took = time.monotonic() - began
        connection.close()
        return connection.address, took


@pytest.fixture
def opened(loop: Loop, settled: None) -> Opened:
    """Without chance: the first address is tried first."""
    return Opened(loop, AddressBook(lambda: 0.0))


def test_a_silent_address_costs_a_moment_once(opened: Opened, silent: Address, pods: Pods) -> None:
    good = pods.start()
    reached, took = opened(silent, good)
    assert (reached, STAGGER <= took < STAGGER + 5 * TICK) == (good, True)
    reached, took = opened(silent, good)
    assert (reached, took < STAGGER) == (good, True)


def test_a_refusing_address_costs_nothing(opened: Opened, refusing: Address, pods: Pods) -> None:
    good = pods.start()
    reached, took = opened(refusing, good)
    assert (reached, took < STAGGER) == (good, True)


def test_many_silent_addresses_are_tried_beside_each_other(opened: Opened, silent: Address, pods: Pods) -> None:
    good = pods.start()
    reached, took = opened(silent, silent, silent, good)
    assert (reached, took < 3 * (STAGGER + 2 * TICK)) == (good, True)


def test_a_refusal_hurries_the_next_one(
    opened: Opened, silent: Address, refusing: Address, pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "STAGGER", 1.0)
    good = pods.start()
    reached, took = opened(silent, refusing, good)
    assert (reached, took < 1.5) == (good, True)


def test_who_was_tried_before_stays_in_the_race(opened: Opened, silent: Address) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        slow = Address(socket.AF_INET, listener.getsockname())
        taking = threading.Timer(STAGGER, take_all, (listener, lambda: None))
        taking.start()
        reached, took = opened(slow, silent)  # the system sends its SYN again after a second
        listener.shutdown(socket.SHUT_RDWR)
        taking.join(10)
    assert (reached, took > STAGGER) == (slow, True)


def test_an_address_that_is_back_is_used_again(opened: Opened, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FIRST", SOON)
    with socket.socket() as bound:
        bound.bind(("127.0.0.2", 0))
        gone, good = Address(socket.AF_INET, bound.getsockname()), pods.start()
        assert [opened(gone, good)[0], opened(gone, good)[0]] == [good, good]
    pods.start(*gone.sockaddr[:2])  # type: ignore[arg-type]
    monkeypatch.setattr(addresses, "PROBE", 60.0)
    until(lambda: opened(gone, good)[0] == gone)
    assert [opened(gone, good)[0] for _ in range(3)] == [gone] * 3  # by all, once one has found that it is


def test_when_all_are_bad_all_are_tried(opened: Opened, refusing: Address, pods: Pods) -> None:
    good = pods.start()
    other = refusing._replace(sockaddr=("127.0.0.3", refusing.sockaddr[1]))
    for _ in range(3):
        with pytest.raises(UpstreamRefused, match="Connection refused"):
            opened(refusing, other)
    assert opened(refusing, other, good)[0] == good


def test_all_silent_end_in_time(opened: Opened, silent: Address) -> None:
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout, match="connection in time"):
        opened(silent, silent, seconds=3 * STAGGER)
    assert 3 * STAGGER <= time.monotonic() - began < 3 * STAGGER + 5 * TICK


def test_connections_are_spread_over_the_addresses(loop: Loop, settled: None, pods: Pods) -> None:
    opened = Opened(loop, AddressBook())
    all_of_them = [pods.start(f"127.0.0.{number}") for number in range(1, 5)]
    for _ in range(80):
        opened(*all_of_them)
    until(lambda: sum(pods.taken.values()) == 80)
    assert min(pods.taken.values()) > 5


def test_both_families_are_tried(opened: Opened, pods: Pods, silent: Address) -> None:
    six = pods.start("::1")
    reached, took = opened(silent, silent._replace(sockaddr=("127.0.0.1", silent.sockaddr[1])), six)
    assert (reached, took < 2 * STAGGER + 2 * TICK) == (six, True)


def test_an_unreachable_family_costs_nothing(opened: Opened, pods: Pods) -> None:
    good = pods.start()
    nowhere = Address(socket.AF_INET6, ("100::1", 80, 0, 0))  # RFC 6666: discarded, where there is a route at all
    reached, took = opened(nowhere, good)
    assert (reached, took < STAGGER + 5 * TICK) == (good, True)


def test_who_leaves_closes_all_that_were_tried(loop: Loop, silent: Address, settled: None) -> None:
    before = set(os.listdir("/proc/self/fd"))
    task = Task(loop, lambda: Connector(loop).open([silent] * 3, 60))
    until(lambda: len(set(os.listdir("/proc/self/fd")) - before) >= 2)
    task.kill()
    with pytest.raises(ClientGone):
        task.result()
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0


def test_without_a_descriptor_no_address_is_to_blame(
    opened: Opened, pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pods.start("127.0.0.1"), pods.start("127.0.0.2")

    def none(*_: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", none)
        with pytest.raises(Unavailable, match="Too many open files"):
            opened(one, other)
    assert opened(one, other)[0] == one


# TLS.


def test_an_address_that_does_not_finish_its_handshake_is_left_for_another(
    opened: Opened, serve: Serve, pods: Pods, authority: Certificates
) -> None:
    mute = pods.start()
    upstream = serve([], [], tls=authority.other)
    good = Address(socket.AF_INET, ("127.0.0.1", upstream.origin.port))
    for _ in range(2):
        reached, _ = opened(mute, good, seconds=0.8, tls=authority.trusted, name="other.example")
        assert reached == good
    assert pods.taken[mute] == 1


def test_what_is_not_trusted_anywhere_says_why(opened: Opened, serve: Serve, authority: Certificates) -> None:
    both = serve([], tls=authority.local), serve([], host="127.0.0.2", tls=authority.local)
    to = [Address(socket.AF_INET, upstream.origin[1:]) for upstream in both]
    with pytest.raises(UpstreamRefused, match="mismatch"):
        opened(*to, tls=authority.trusted, name="other.example")


# Addresses that a name has no more.


def pooled(pool: Pool) -> int:
    return sum(map(len, pool._idle.values()))


def test_an_idle_connection_to_an_address_that_is_gone_is_closed(
    make_asker: MakeAsker, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = serve([REQUEST, answer(b"old")]), serve([REQUEST, answer(b"new")], host="127.0.0.2")
    pool = Pool(8, 60)
    ask = make_asker(pool, interval=SOON)
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.1", old.origin.port)))
    assert ask(NAME).body == b"old"
    ask.client.tick(0)
    assert pooled(pool) == 1
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.2", new.origin.port)))
    assert until_gone(ask, old.over)
    assert pooled(pool) == 0
    assert ask(NAME).body == b"new"


def until_gone(ask: Asker, gone: object) -> bool:
    """Let the client look, as often as the loop would in minutes."""
    for now in range(2, 1000, 2):
        ask.client.tick(now)
        if not stays(lambda: not gone(), SOON):  # type: ignore[operator]
            return True
    return False


def test_an_answer_under_way_from_an_address_that_is_gone_ends_as_it_should(
    make_asker: MakeAsker, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    old = serve([REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst", go_on, b"-last"])
    pool = Pool(8, 60)
    ask = make_asker(pool, interval=SOON)
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.1", old.origin.port)))
    response = ask.open(NAME)
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.9", 9)))
    assert until_gone(ask, lambda: response._connection._ending)  # type: ignore[union-attr]
    go_on.set()
    assert ask.run(lambda: b"".join(response)) == b"first-last"
    until(old.over)
    assert pooled(pool) == 0


def test_connections_to_a_literal_address_or_one_that_is_still_named_stay(
    make_asker: MakeAsker, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    literal, named = serve([REQUEST, answer(b"1")]), serve([REQUEST, answer(b"2")])
    pool = Pool(8, 60)
    ask = make_asker(pool, interval=SOON)
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.1", named.origin.port)), (socket.AF_INET, ("127.0.0.9", 9)))
    ask(literal.origin)
    ask(NAME)
    for now in range(2, 20, 2):
        ask.client.tick(now)
        stays(lambda: True, SOON / 5)
    assert pooled(pool) == 2
    for connections in pool._idle.values():
        for connection in list(connections):
            connection.expire()


def test_what_nobody_holds_is_not_counted(make_asker: MakeAsker, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = serve([REQUEST, answer(b"1", b"Connection: close")])
    ask = make_asker()
    resolves(monkeypatch, (socket.AF_INET, ("127.0.0.1", upstream.origin.port)))
    ask(NAME)
    ask.client.tick(2)
    assert ask.client._census._open == {}
