from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from app.auth.remote import COOLDOWN, LARGEST, MOST_WAITING, RemoteKeys, RemoteSettings, place
from app.core.message import Headers
from app.core.origin import Origin
from app.errors import Unavailable, UpstreamError, UpstreamTimeout
from tests.auth.conftest import Issuer

URL = "https://issuer.example/realms/onap/certs?x=1"
REFRESH = 300.0


class Answer(NamedTuple):
    status: int
    body: bytes


class Server:
    """The issuer, and the greenlet in which it is asked: `lands` lets the answer come."""

    def __init__(self, body: bytes) -> None:
        self.answer: Answer | Exception = Answer(200, body)
        self.asked: list[tuple[object, ...]] = []
        self.now = 1000.0
        self.running = False
        self.waiting = 0
        self.at_once = True
        self.keys = RemoteKeys(RemoteSettings(URL, 2.0, REFRESH), self.fetch, self.background, lambda: self.now)

    def fetch(
        self, origin: Origin, method: str, target: bytes, headers: Headers, *, connect_timeout: float,
        response_timeout: float, limit: int,
    ) -> Answer:  # fmt: skip
        self.asked.append((str(origin), method, target, connect_timeout, response_timeout, limit))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def background(self, function: Callable[[], None]) -> Server:
        self.function = function
        return self

    def begin(self) -> None:
        self.running = True

    def wait(self, seconds: float, error: Exception) -> None:
        assert seconds == 3.0
        if not self.at_once:
            raise error
        self.lands()

    def lands(self) -> None:
        self.function()
        self.running = False

    def tick(self) -> int:
        """Let the time's work be done; returns how often the issuer has been asked."""
        self.keys.tick(self.now)
        if self.running:
            self.lands()
        return len(self.asked)


@pytest.fixture
def server(issuer: Issuer) -> Server:
    return Server(issuer.jwks("rsa"))


def ids(server: Server) -> list[str | None]:
    found = server.keys.current()
    return [key.id for key in found.keys] if found else []


def test_the_set_is_fetched_before_anybody_needs_it_and_again_in_time(server: Server) -> None:
    assert (ids(server), server.tick(), ids(server)) == ([], 1, ["rsa"])
    assert server.asked == [("https://issuer.example", "GET", b"/realms/onap/certs?x=1", 2.0, 2.0, LARGEST)]
    server.now += REFRESH - 1
    assert server.tick() == 1
    server.now += 1
    assert server.tick() == 2


def test_the_same_text_is_the_same_set(server: Server, issuer: Issuer) -> None:
    server.tick()
    first = server.keys.current()
    server.now += REFRESH
    server.tick()
    assert server.keys.current() is first
    server.answer = Answer(200, issuer.jwks("p256"))
    server.now += REFRESH
    server.tick()
    assert ids(server) == ["p256"]


BAD = [
    UpstreamError("it refuses"),
    UpstreamTimeout("too slow"),
    Answer(200, b"garbage"),
    Answer(200, b'{"keys": []}'),
    Answer(302, b""),
    Answer(404, b""),
    Answer(500, b""),
    Answer(204, b""),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_while_it_fails_the_last_good_set_serves(
    server: Server, issuer: Issuer, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.tick()
    server.answer = Answer(bad.status, issuer.jwks("p256")) if bad in BAD[4:] else bad  # good keys, bad status
    server.now += REFRESH
    server.tick()
    assert (ids(server), len(server.asked)) == (["rsa"], 2)
    assert "no key set from https://issuer.example: " in caplog.text
    assert server.keys.renewed() is server.keys.current()


def test_after_a_failure_it_is_asked_again_soon_and_then_ever_later(server: Server) -> None:
    good, server.answer = server.answer, UpstreamError("down")
    pauses = []
    last = server.now
    while len(pauses) < 9:
        if server.tick() == len(pauses) + 1:
            pauses.append(server.now - last)
            last = server.now
        server.now += 1
    assert pauses == [0, 5, 10, 20, 40, 80, 160, 300, 300]
    server.answer = good
    server.now = last + 300
    assert (server.tick(), ids(server)) == (10, ["rsa"])
    server.answer = UpstreamError("down again")
    server.now += REFRESH
    server.tick()
    server.now += COOLDOWN
    assert server.tick() == 12


def test_an_unknown_key_has_it_fetched_at_once_and_not_again_for_a_while(server: Server, issuer: Issuer) -> None:
    server.tick()
    server.answer = Answer(200, issuer.jwks("rsa", "p256"))
    assert [key.id for key in server.keys.renewed().keys] == ["rsa", "p256"]
    for _ in range(100):
        server.keys.renewed()
    assert len(server.asked) == 2
    server.now += COOLDOWN
    server.keys.renewed()
    assert len(server.asked) == 3


def test_only_so_many_wait(server: Server) -> None:
    server.tick()
    server.waiting = MOST_WAITING
    with pytest.raises(Unavailable):
        server.keys.renewed()


def test_who_waits_too_long_is_told_to_come_again(server: Server) -> None:
    server.at_once = False
    with pytest.raises(Unavailable) as caught:
        server.keys.renewed()
    assert caught.value.headers == (("Retry-After", "5"),)
    assert server.running


def test_without_any_set_tokens_are_not_refused_for_good(server: Server) -> None:
    good, server.answer = server.answer, UpstreamError("down")
    for _ in range(3):
        with pytest.raises(Unavailable):
            server.keys.renewed()
    assert len(server.asked) == 1
    server.answer = good
    server.now += COOLDOWN
    assert server.keys.renewed() is server.keys.current()


def test_one_fetch_at_a_time(server: Server) -> None:
    server.keys.tick(server.now)
    assert server.running
    server.begin = lambda: pytest.fail("a second fetch")  # type: ignore[method-assign]
    server.keys.tick(server.now)
    server.keys.renewed()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://h", "http://h", b"/"),
        ("https://h:8443/a/", "https://h:8443", b"/a/"),
        ("http://[::1]:80/x?y=z&p", "http://[::1]", b"/x?y=z&p"),
        ("http://h?q", "http://h", b"/?q"),
    ],
)
def test_where_a_url_leads(url: str, origin: str, target: bytes) -> None:
    found = place(url)
    assert (str(found[0]), found[1]) == (origin, target)
