"""A plugin's breaker and bulkhead around real requests: who waits, who is let through, and that no place is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any

import pytest

from app.core.address import Destination
from app.core.breaker import CLOSED, OPEN, Breaking
from app.core.circuits import Circuits
from app.core.forwarded import Forwarding
from app.core.message import Body, Request, Response
from app.core.origin import Origin
from app.errors import (
    BadRequest,
    CircuitOpen,
    ClientGone,
    PluginBusy,
    Unavailable,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from app.net.loop import Loop, Waiter
from app.upstream.client import Timeouts
from app.upstream.forward import Forwarder
from app.upstream.guards import Guards, GuardSettings
from tests.upstream.conftest import (
    CHUNKED,
    PATIENT,
    REQUEST,
    SOON,
    Asker,
    Serve,
    Task,
    Upload,
    answer,
    close,
    reads,
    stays,
    until,
)

A = Origin("http", "a", 1)
B = Origin("http", "a", 2)
BREAKING = Breaking(failures=2, percent=0, window=10.0, minimum=10, first=60.0, longest=60.0, probes=1)


class Scene:
    """Guards of one worker, and what they have told."""

    def __init__(self, loop: Loop, breaking: Breaking | None = None, circuits: Circuits | None = None, **bulkhead: Any):
        self.loop = loop
        self.refused: list[tuple[str, str]] = []
        self.seen: list[tuple[str, int, int, int]] = []
        settings = GuardSettings(breaking, **{"in_flight": 2, "waiting": 2, "patience": 60.0, **bulkhead})
        self.guards = Guards(
            loop,
            circuits or Circuits(),
            settings,
            lambda *what: self.refused.append(what),
            lambda *what: self.seen.append(what),
            lambda: 0.0,
        )
        self.order: list[str] = []

    def hold(self, name: str = "", plugin: str = "p", origin: Origin = A) -> Held:
        return Held(self, name, plugin, origin)

    def load(self, now: float = 0.0) -> dict[str, tuple[int, int]]:
        """In flight, and waiting, by plugin."""
        self.seen.clear()
        self.guards._last.clear()
        self.guards.watch(now)
        return {plugin: (in_flight, waiting) for plugin, _, in_flight, waiting in self.seen}


class Held:
    """A request in a greenlet: holds its place until it is told to go on."""

    def __init__(self, scene: Scene, name: str, plugin: str, origin: Origin) -> None:
        self._scene = scene
        self._waiter = Waiter(scene.loop)
        self.task = Task(scene.loop, lambda: self._run(name, plugin, origin))

    def _run(self, name: str, plugin: str, origin: Origin) -> None:
        ticket = self._scene.guards.enter(plugin, origin)
        try:
            self._scene.order.append(name)
            self._waiter.wait()
        finally:
            ticket.end()

    def go_on(self) -> None:
        until(lambda: self._waiter.waiting)
        self._scene.loop.later(0, self._waiter.wake)
        self.task.result()


@pytest.fixture
def scene(loop: Loop, settled: None) -> Scene:
    return Scene(loop)


# Turns.


def test_so_many_at_once_others_wait_and_more_are_refused(scene: Scene) -> None:
    held = [scene.hold(name) for name in "abcd"]
    until(lambda: scene.load() == {"p": (2, 2)})
    with pytest.raises(PluginBusy) as caught:
        scene.hold("e").task.result()
    assert caught.value.message.startswith("p at http://a:1 has as many requests to answer as it may; send ")
    assert caught.value.headers == (("Retry-After", "1"),)
    assert scene.refused == [("p", "bulkhead")]
    for one in held:
        one.go_on()
    assert scene.order == list("abcd")
    assert scene.load() == {"p": (0, 0)}


def test_each_plugin_has_a_bound_of_its_own_at_each_of_its_addresses(scene: Scene) -> None:
    held = [scene.hold("", plugin, origin) for plugin, origin in [("p", A), ("p", B), ("q", A)] * 2]
    until(lambda: scene.load() == {"p": (4, 0), "q": (2, 0)})
    for one in held:
        one.go_on()


def test_a_turn_that_does_not_come_in_time_is_a_refusal(loop: Loop, settled: None) -> None:
    scene = Scene(loop, patience=SOON)
    first = [scene.hold() for _ in range(2)]
    with pytest.raises(PluginBusy):
        scene.hold().task.result()
    assert scene.load() == {"p": (2, 0)}
    for one in first:
        one.go_on()


def test_a_client_that_leaves_the_queue_is_passed_over(scene: Scene) -> None:
    first, second, third, fourth = (scene.hold(name) for name in "abcd")
    until(lambda: scene.load() == {"p": (2, 2)})
    third.task.kill()
    with pytest.raises(ClientGone):
        third.task.result()
    assert scene.load() == {"p": (2, 1)}
    first.go_on()
    until(lambda: "d" in scene.order)
    assert scene.order == ["a", "b", "d"]
    second.go_on()
    fourth.go_on()
    assert scene.load() == {"p": (0, 0)}


@pytest.mark.parametrize("end", ["leaves", "late"])
def test_one_whose_turn_comes_as_it_gives_up_loses_no_place(loop: Loop, settled: None, end: str) -> None:
    """All of it within one round of the hub: the place is its own, and then goes on to the next or is used."""
    scene = Scene(loop, in_flight=1, waiting=9)
    first, second, third = (scene.hold(name) for name in "abc")
    until(lambda: scene.load() == {"p": (1, 2)})
    turn = next(iter(scene.guards._guards["p", A].bulkhead._queue))
    scene.loop.later(0, first._waiter.wake)
    if end == "leaves":
        second.task.kill()
        with pytest.raises(ClientGone):
            second.task.result()
    else:
        scene.loop.later(0, turn.expire)
        second.go_on()
    third.go_on()
    assert scene.order == (["a", "c"] if end == "leaves" else ["a", "b", "c"])
    assert scene.load() == {"p": (0, 0)}


def test_without_a_bound_nobody_waits(loop: Loop, settled: None) -> None:
    scene = Scene(loop, in_flight=0)
    held = [scene.hold() for _ in range(20)]
    until(lambda: scene.load() == {"p": (20, 0)})
    for one in held:
        one.go_on()


def test_settings_may_change_while_requests_wait(scene: Scene) -> None:
    held = [scene.hold() for _ in range(3)]
    until(lambda: scene.load() == {"p": (2, 1)})
    scene.guards.settings = GuardSettings(None, 0, 0, 1.0)
    more = [scene.hold() for _ in range(3)]
    for one in (*held, *more):
        one.go_on()
    assert scene.load() == {"p": (0, 0)}


def test_a_plugin_that_is_no_more_at_an_address_leaves_nothing_behind(loop: Loop, settled: None) -> None:
    """Its metrics tell of the address that it has, not of the dead one; who is being served there loses nothing."""
    scene = Scene(loop, BREAKING)
    failing, gone = scene.guards.enter("p", A), scene.hold("gone", "q")
    until(lambda: scene.order == ["gone"])
    for ticket in (failing, scene.guards.enter("p", A)):
        ticket.failed(UpstreamRefused("No."))
        ticket.end()
    scene.guards.watch(time.monotonic())
    assert sorted(scene.seen) == [("p", OPEN, 0, 0), ("q", CLOSED, 1, 0)]
    scene.seen.clear()
    scene.guards.keep({("p", B)})
    scene.guards.enter("p", B).end()
    scene.guards.watch(time.monotonic())
    assert sorted(scene.seen) == [("p", CLOSED, 0, 0), ("q", CLOSED, 0, 0)]
    assert list(scene.guards._guards) == [("p", B)]
    gone.go_on()


def test_a_full_plugin_is_told_of_now_and_then(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    held = [scene.hold() for _ in range(4)]
    until(lambda: scene.load() == {"p": (2, 2)})
    for _ in range(5):
        with pytest.raises(PluginBusy):
            scene.hold().task.result()
    (record,) = caplog.records
    assert record.getMessage().startswith("p at http://a:1 has 2 requests of this worker to answer ")
    for one in held:
        one.go_on()


# Around requests.


class Forward:
    """Forwards to a plugin `p` in greenlets of their own."""

    def __init__(self, ask: Asker, scene: Scene, timeouts: Timeouts = PATIENT) -> None:
        self.ask = ask
        self.scene = scene
        forwarding = Forwarding(via="own", via_back="own")
        self._forwarder = Forwarder(ask.client, timeouts, lambda *_: None, forwarding, scene.guards)

    def begin(self, origin: Origin, method: str = "GET", body: Body | None = None) -> Task[bytes]:
        """A request, and its answer read whole."""
        return Task(self.ask.loop, lambda: b"".join(closing(self._send(origin, method, body))))

    def __call__(self, origin: Origin, method: str = "GET", body: Body | None = None) -> bytes:
        return self.begin(origin, method, body).result()

    def response(self, origin: Origin) -> Response:
        return Task(self.ask.loop, lambda: self._send(origin, "GET", None)).result()

    def fails(self, origin: Origin, error: type[BaseException], method: str = "GET", body: Body | None = None) -> None:
        with pytest.raises(error):
            self(origin, method, body)

    def _send(self, origin: Origin, method: str, body: Body | None) -> Response:
        request = Request(method, b"/", [], body or Upload(length=0), "id", "client")
        return self._forwarder.forward(request, Destination(origin, b"/", "p"))


def closing(response: Response) -> Iterator[bytes]:
    """As the edge does."""
    try:
        yield from response.body
    finally:
        close_ = getattr(response.body, "close", None)
        if close_ is not None:
            close_()


MakeForward = Callable[..., Forward]


@pytest.fixture
def make_forward(ask: Asker, settled: None) -> MakeForward:
    def made(breaking: Breaking | None = BREAKING, timeouts: Timeouts = PATIENT, **rest: Any) -> Forward:
        return Forward(ask, Scene(ask.loop, breaking, **rest), timeouts)

    return made


def test_a_plugin_that_fails_is_left_alone_and_the_log_says_so_once(
    make_forward: MakeForward, dead: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    forward = make_forward()
    for _ in range(2):
        forward.fails(dead, UpstreamRefused)
    for _ in range(10):
        with pytest.raises(CircuitOpen) as caught:
            forward(dead)
    name = f"p at {dead}"
    wanted = f"{name} is left alone for now, since requests to it failed; send this one again in 60 s."
    assert (caught.value.message, caught.value.headers) == (wanted, (("Retry-After", "60"),))
    (record,) = caplog.records
    why = "2 requests in a row failed, the last one so: The upstream took no connection: Connection refused."
    assert record.getMessage() == f"{name} is left alone for 60.0 s: {why}"
    assert forward.scene.refused == [("p", "circuit")] * 10
    assert forward.scene.load() == {"p": (0, 0)}


GARBAGE = [REQUEST, b"no HTTP\r\n\r\n"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (GARBAGE, UpstreamGarbled),
        ([REQUEST, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], UpstreamGarbled),
        ([reads(b"\r\n\r\n"), b"HTTP/1.1 200 OK\r\nContent-Le", close], UpstreamGarbled),
        ([REQUEST], UpstreamTimeout),
    ],
    ids=["garbage", "101", "cut head", "silent"],
)
def test_no_answer_is_a_failure(
    make_forward: MakeForward, serve: Serve, script: list[Any], error: type[UpstreamError]
) -> None:
    forward = make_forward(timeouts=Timeouts(60, 0.2, 60))
    upstream = serve(script, script)
    for _ in range(2):
        forward.fails(upstream.origin, error)
    forward.fails(upstream.origin, CircuitOpen)


@pytest.mark.parametrize("status", [b"400 No", b"409 Conflict", b"500 Oops", b"502 No", b"503 Later", b"504 Late"])
def test_an_answer_of_any_status_is_none(make_forward: MakeForward, serve: Serve, status: bytes) -> None:
    """Also the statuses of a gateway: they are quick, they may be about one region of many, and they are the client's
    to have (contract, section 5)."""
    forward = make_forward()
    upstream = serve([step for _ in range(4) for step in (REQUEST, answer(b"told", status=status))])
    assert [forward(upstream.origin) for _ in range(4)] == [b"told"] * 4


def test_a_request_that_is_sent_twice_fails_once(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward()
    upstream = serve(*[[REQUEST, close]] * 4)
    forward.fails(upstream.origin, UpstreamGarbled)
    assert len(forward.ask.retries) == 1
    forward.fails(upstream.origin, UpstreamGarbled)
    forward.fails(upstream.origin, CircuitOpen)


def test_a_first_try_that_fails_is_no_failure_if_the_second_does_not(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward()
    upstream = serve(*[[REQUEST, close], [REQUEST, answer(b"ok", b"Connection: close")]] * 3)
    assert [forward(upstream.origin) for _ in range(3)] == [b"ok"] * 3


def test_what_is_wrong_with_the_client_is_no_failure(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward()
    upstream = serve(*[[REQUEST]] * 6)
    for _ in range(3):
        broken = Upload(b"half", BadRequest("Send a valid body."))
        forward.fails(upstream.origin, BadRequest, "PUT", broken)
        forward.fails(upstream.origin, ClientGone, "PUT", Upload(b"half", ClientGone()))
    assert stays(lambda: forward.scene.load() == {"p": (0, 0)})


@pytest.mark.parametrize("slow", ["client", "plugin"])
def test_of_a_limit_of_all_of_a_request_the_one_who_was_waited_for_is_to_blame(
    make_forward: MakeForward, serve: Serve, slow: str
) -> None:
    forward = make_forward(timeouts=Timeouts(60, 60, 60, total=0.2))
    upstream = serve(*[[REQUEST]] * (3 if slow == "client" else 2))
    for _ in range(2):
        pieces = (b"part", forward.ask.never) if slow == "client" else (b"all",)
        forward.fails(upstream.origin, UpstreamTimeout, "POST", Upload(*pieces))
    forward.fails(upstream.origin, UpstreamTimeout if slow == "client" else CircuitOpen, "POST", Upload(*pieces))


def test_a_plugin_that_closes_while_its_client_is_waited_for_has_not_failed(
    make_forward: MakeForward, serve: Serve
) -> None:
    """It has a limit of its own for those who drip: no client shall have it left alone by that."""
    forward = make_forward()
    upstream = serve(*[[reads(b"part"), close]] * 4)
    for _ in range(4):
        forward.fails(upstream.origin, UpstreamGarbled, "PUT", Upload(b"part", forward.ask.never))


@pytest.mark.parametrize(("seconds", "last"), [(0.7, UpstreamTimeout), (0.1, CircuitOpen)])
def test_a_client_that_has_taken_most_of_the_time_there_is_in_all_leaves_none_to_fail_in(
    make_forward: MakeForward, serve: Serve, seconds: float, last: type[BaseException]
) -> None:
    forward = make_forward(timeouts=Timeouts(60, 60, 60, total=1.0))
    upstream = serve(*[[REQUEST]] * (3 if last is UpstreamTimeout else 2))

    def slow() -> bytes:
        Waiter(forward.ask.loop).within(seconds)
        return b"late"

    for error in (UpstreamTimeout, UpstreamTimeout, last):
        forward.fails(upstream.origin, error, "POST", Upload(slow))


def test_no_descriptor_for_a_connection_is_no_failure_of_the_plugins(
    make_forward: MakeForward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise Unavailable("No descriptor.")

    monkeypatch.setattr("app.upstream.connecting.Race._begin", none)
    forward = make_forward()
    for _ in range(5):
        forward.fails(Origin("http", "127.0.0.1", 1), Unavailable)


def test_a_probe_that_is_answered_closes_it(
    make_forward: MakeForward, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    breaking = Breaking(2, 0, 10.0, 10, SOON, 60.0, 1)
    forward = make_forward(breaking)
    upstream = serve(GARBAGE, GARBAGE, [REQUEST, answer(b"ok"), REQUEST, answer(b"ok")])
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            forward.fails(upstream.origin, UpstreamGarbled)
        until(lambda: not wait(forward, upstream.origin))
        assert [forward(upstream.origin), forward(upstream.origin)] == [b"ok"] * 2
    said = [record.getMessage().removeprefix(f"p at {upstream.origin} ") for record in caplog.records]
    assert [line[:14] for line in said] == ["is left alone ", "is tried again", "answers again"]


def wait(forward: Forward, origin: Origin) -> float:
    """Seconds for which the plugin is left alone."""
    return forward.scene.guards._guards["p", origin].breaker.wait(time.monotonic())


def test_a_probe_whose_client_leaves_keeps_it_half_open(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward(Breaking(2, 0, 10.0, 10, SOON, 60.0, 1))
    upstream = serve(GARBAGE, GARBAGE, [REQUEST], [REQUEST, answer(b"ok")])
    for _ in range(2):
        forward.fails(upstream.origin, UpstreamGarbled)
    until(lambda: not wait(forward, upstream.origin))
    probe = forward.begin(upstream.origin)
    until(lambda: upstream.received(2))
    with pytest.raises(CircuitOpen) as caught:
        forward(upstream.origin)
    assert caught.value.headers == (("Retry-After", "1"),)
    probe.kill()
    with pytest.raises(ClientGone):
        probe.result()
    assert forward(upstream.origin) == b"ok"


def test_a_probe_whose_client_is_waited_for_keeps_no_other_from_trying(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward(Breaking(2, 0, 10.0, 10, SOON, 60.0, 1))
    upstream = serve(GARBAGE, GARBAGE, [reads(b"part")], [REQUEST, answer(b"ok")])
    for _ in range(2):
        forward.fails(upstream.origin, UpstreamGarbled)
    until(lambda: not wait(forward, upstream.origin))
    slow = forward.begin(upstream.origin, "PUT", Upload(b"part", forward.ask.never))
    until(lambda: b"part" in upstream.received(2))
    assert forward(upstream.origin) == b"ok"
    slow.kill()
    with pytest.raises(ClientGone):
        slow.result()


def test_what_one_worker_finds_another_knows_at_once(make_forward: MakeForward, dead: Origin) -> None:
    circuits = Circuits()
    one, other = make_forward(circuits=circuits), make_forward(circuits=circuits)
    for _ in range(2):
        one.fails(dead, UpstreamRefused)
    other.fails(dead, CircuitOpen)
    with pytest.raises(CircuitOpen):
        other._forwarder.check(Destination(dead, b"/", "p"))
    other._forwarder.check(Destination(dead, b"/", "q"))
    other.scene.guards.watch(time.monotonic())
    assert {plugin: state for plugin, state, *_ in other.scene.seen} == {"p": OPEN, "q": CLOSED}


def test_a_full_plugin_that_is_left_alone_is_not_waited_for(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward(in_flight=1)
    upstream = serve(GARBAGE, GARBAGE)
    for _ in range(2):
        forward.fails(upstream.origin, UpstreamGarbled)
    forward.scene.guards._guards["p", upstream.origin].bulkhead.in_flight = 1
    forward.fails(upstream.origin, CircuitOpen)


# Places: whatever becomes of a request, its own is free in the end.


def load(forward: Forward) -> tuple[int, int]:
    return forward.scene.load().get("p", (0, 0))


def test_a_place_is_held_to_the_end_of_the_answer_while_the_plugin_is_waited_for(
    make_forward: MakeForward, serve: Serve
) -> None:
    more = Event()
    forward = make_forward(None)
    upstream = serve([REQUEST, CHUNKED + b"1\r\na\r\n", more, b"1\r\nb\r\n0\r\n\r\n"])
    task = forward.begin(upstream.origin)
    until(lambda: upstream.received())
    assert stays(lambda: load(forward) == (1, 0))
    more.set()
    assert task.result() == b"ab"
    assert load(forward) == (0, 0)


def test_a_client_that_does_not_read_holds_no_place(make_forward: MakeForward, serve: Serve) -> None:
    forward, more = make_forward(None), Event()
    upstream = serve([REQUEST, CHUNKED + b"1\r\na\r\n", more, b"1\r\nb\r\n0\r\n\r\n"])
    pieces = closing(forward.response(upstream.origin))
    assert load(forward) == (1, 0)
    while not (piece := forward.ask.run(lambda: next(pieces))):  # an empty one first, where the body takes its time
        assert load(forward) == (0, 0)
    assert load(forward) == (0, 0)
    more.set()
    assert piece + forward.ask.run(lambda: b"".join(pieces)) == b"ab"
    assert load(forward) == (0, 0)


def test_a_client_that_does_not_send_holds_no_place(make_forward: MakeForward, serve: Serve) -> None:
    forward = make_forward(None, in_flight=1, waiting=0)
    upstream = serve([reads(b"first")], [REQUEST, answer(b"ok")])
    slow = forward.begin(upstream.origin, "PUT", Upload(b"first", forward.ask.never))
    until(lambda: b"first" in upstream.received())
    assert load(forward) == (0, 0)
    assert forward(upstream.origin) == b"ok"
    slow.kill()
    with pytest.raises(ClientGone):
        slow.result()
    assert load(forward) == (0, 0)


@pytest.mark.parametrize("stage", ["never begun", "begun", "read"])
def test_an_answer_that_is_closed_gives_its_place_back(make_forward: MakeForward, serve: Serve, stage: str) -> None:
    forward = make_forward(None)
    upstream = serve([REQUEST, CHUNKED + b"1\r\na\r\n"])
    response = forward.response(upstream.origin)
    body: Iterable[bytes] = response.body
    if stage != "never begun":
        pieces = iter(body)
        wanted = b"a" if stage == "read" else b""
        while forward.ask.run(lambda: next(pieces)) != wanted and wanted:
            pass
    assert load(forward) == ((1, 0) if stage == "never begun" else (0, 0))
    response.body.close()  # type: ignore[attr-defined]
    response.body.close()  # type: ignore[attr-defined]
    assert load(forward) == (0, 0)


def test_after_a_storm_of_every_kind_of_end_no_place_is_held(make_forward: MakeForward, serve: Serve) -> None:
    last = b"Connection: close"
    kinds: list[tuple[list[Any], type[BaseException] | None]] = [
        ([REQUEST, answer(b"whole", last)], None),
        ([REQUEST, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"to the end", close], None),
        ([REQUEST, CHUNKED + b"1\r\na\r\n", close], UpstreamGarbled),
        (GARBAGE, UpstreamGarbled),
        ([REQUEST], UpstreamTimeout),
        ([REQUEST, CHUNKED + b"1\r\na\r\n"], UpstreamTimeout),
    ]
    forward = make_forward(None, timeouts=Timeouts(60, 0.3, 0.3), in_flight=3, waiting=99)
    left = range(0, len(kinds), 2)
    """Of these kinds a client leaves the queue."""
    scripts = [[script] * (3 if number in left else 4) for number, (script, _) in enumerate(kinds)]
    upstreams = [(serve(*each).origin, error) for each, (_, error) in zip(scripts, kinds, strict=True)]
    tasks = [(forward.begin(origin, "POST"), error) for origin, error in upstreams for _ in range(3)]
    leaving = [forward.begin(origin, "POST") for origin, _ in upstreams]
    until(lambda: load(forward) == (3 * len(kinds), len(kinds)))
    for number in left:
        leaving[number].kill()
        tasks.append((leaving[number], ClientGone))
    tasks += [(task, error) for task, (_, error) in list(zip(leaving, upstreams, strict=True))[1::2]]
    for task, error in tasks:
        if error is None:
            assert task.result()
        else:
            with pytest.raises(error):
                task.result()
    assert load(forward) == (0, 0)


def test_a_small_body_is_read_before_a_place_is_taken(make_forward: MakeForward, serve: Serve) -> None:
    """Many at once whose bodies come a little later than their heads are no more than there may be."""
    forward, go_on = make_forward(None, in_flight=2, waiting=9), Event()
    upstream = serve(*[[reads(b"small"), go_on, answer(b"ok", b"Connection: close")]] * 5)
    waiters = [Waiter(forward.ask.loop) for _ in range(5)]

    def small(waiter: Waiter) -> Callable[[], bytes]:
        return lambda: (waiter.wait(10, AssertionError("nobody woke it")), b"small")[1]

    uploads = [Upload(small(waiter), length=5) for waiter in waiters]
    tasks = [forward.begin(upstream.origin, "POST", upload) for upload in uploads]
    until(lambda: all(waiter.waiting for waiter in waiters))
    assert load(forward) == (0, 0)
    for waiter in waiters:
        forward.ask.loop.later(0, waiter.wake)
    until(lambda: load(forward) == (2, 3))
    go_on.set()
    assert [task.result() for task in tasks] == [b"ok"] * 5


def test_a_plugin_that_is_left_alone_is_sent_no_body_that_is_not_read(make_forward: MakeForward, dead: Origin) -> None:
    forward = make_forward()
    for _ in range(2):
        forward.fails(dead, UpstreamRefused)
    unread = Upload(b"small", length=5)
    forward.fails(dead, CircuitOpen, "POST", unread)
    assert unread.taken == 0
