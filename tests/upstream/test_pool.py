"""Which idle connections are kept, taken and dropped, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Event

import pytest

from app.core.addresses import Address
from app.core.origin import Origin
from app.net.loop import Loop
from app.upstream.connecting import Connector
from app.upstream.connection import UpstreamConnection
from app.upstream.pool import Pool
from tests.upstream.conftest import SOON, Asker, Serve, Step, Upstream, close, reset, stays, until

Connect = Callable[[Upstream], UpstreamConnection]


@pytest.fixture
def connected(ask: Asker, loop: Loop) -> Connect:
    def made(upstream: Upstream) -> UpstreamConnection:
        address = Address(socket.AF_INET, ("127.0.0.1", upstream.origin.port))
        return ask.run(lambda: Connector(loop).open([address], 10))

    return made


def test_an_empty_pool_has_none() -> None:
    assert Pool(1, 60).take(Origin("http", "a", 80)) is None


def test_what_was_put_is_taken_once(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([]), Pool(8, 60)
    connection = connected(upstream)
    pool.put(upstream.origin, connection)
    assert pool.take(upstream.origin) is connection
    assert pool.take(upstream.origin) is None
    connection.close()


def test_each_origin_has_its_own(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([]), Pool(8, 60)
    connection = connected(upstream)
    pool.put(upstream.origin, connection)
    _, host, port = upstream.origin
    for other in (Origin("https", host, port), Origin("http", "localhost", port), Origin("http", host, 1)):
        assert pool.take(other) is None
    assert pool.take(upstream.origin) is connection
    connection.close()


def test_the_last_used_is_taken_first(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([], []), Pool(8, 60)
    first, last = connected(upstream), connected(upstream)
    pool.put(upstream.origin, first)
    pool.put(upstream.origin, last)
    assert pool.take(upstream.origin) is last
    assert pool.take(upstream.origin) is first
    first.close()
    last.close()


def test_one_above_the_size_is_closed(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([], []), Pool(1, 60)
    kept, above = connected(upstream), connected(upstream)
    pool.put(upstream.origin, kept)
    pool.put(upstream.origin, above)
    assert (kept.closed, above.closed) == (False, True)


def test_one_that_is_idle_for_too_long_is_closed(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([]), Pool(8, SOON)
    pool.put(upstream.origin, connected(upstream))
    until(upstream.over)
    assert pool.take(upstream.origin) is None


def test_one_that_was_taken_in_time_is_not_closed(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([]), Pool(8, SOON)
    connection = connected(upstream)
    pool.put(upstream.origin, connection)
    assert pool.take(upstream.origin) is connection
    assert stays(lambda: not connection.closed, 0.25)
    connection.close()


@pytest.mark.parametrize("step", [close, reset, b"HTTP/1.1 408 \r\n\r\n"], ids=["closed", "reset", "spoken"])
def test_one_that_the_peer_ends_or_speaks_on_is_closed_at_once(step: Step, serve: Serve, connected: Connect) -> None:
    idle = Event()
    upstream, pool = serve([idle, step]), Pool(8, 60)
    connection = connected(upstream)
    pool.put(upstream.origin, connection)
    idle.set()
    until(lambda: connection.closed)
    assert pool.take(upstream.origin) is None


@pytest.mark.parametrize("script", [[close], [b"HTTP/1.1 408 \r\n\r\n"]], ids=["closed", "spoken"])
def test_what_the_loop_has_not_seen_yet_is_seen_when_one_is_taken(
    script: list[Step], serve: Serve, connected: Connect
) -> None:
    upstream, pool = serve(script), Pool(8, 60)
    connection = connected(upstream)
    pool.put(upstream.origin, connection)
    connection.sock.setblocking(True)
    connection.sock.recv(1, socket.MSG_PEEK)  # wait without the loop
    connection.sock.setblocking(False)
    assert not connection.closed
    assert pool.take(upstream.origin) is None
    assert connection.closed


def test_a_stale_one_hides_no_good_one(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([], [close]), Pool(8, 60)
    good, stale = connected(upstream), connected(upstream)
    pool.put(upstream.origin, good)
    pool.put(upstream.origin, stale)
    stale.sock.setblocking(True)
    stale.sock.recv(1, socket.MSG_PEEK)
    stale.sock.setblocking(False)
    assert pool.take(upstream.origin) is good
    assert stale.closed
    good.close()


def test_the_place_of_one_that_ended_is_free(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([close], []), Pool(1, 60)
    gone = connected(upstream)
    pool.put(upstream.origin, gone)
    until(lambda: gone.closed)
    connection = connected(upstream)
    pool.put(upstream.origin, connection)
    assert pool.take(upstream.origin) is connection
    connection.close()


def test_another_size_and_time_count_for_what_is_put_from_then_on(serve: Serve, connected: Connect) -> None:
    upstream, pool = serve([], [], []), Pool(1, 60)
    kept, closed, one = connected(upstream), connected(upstream), connected(upstream)
    pool.put(upstream.origin, kept)
    pool.put(upstream.origin, closed)
    pool.adjust(2, 60)
    pool.put(upstream.origin, one)
    assert pool.take(upstream.origin) is one
    assert pool.take(upstream.origin) is kept
    assert pool.take(upstream.origin) is None
    pool.adjust(0, 60)
    pool.put(upstream.origin, kept)
    assert pool.take(upstream.origin) is None
    one.close()


def test_upstreams_of_the_past_are_forgotten() -> None:
    pool = Pool(1, 60)
    for port in range(3):
        pool._idle[Origin("http", "a", port)]
    pool.adjust(1, 60)
    assert not pool._idle
