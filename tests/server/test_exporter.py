"""The relay of `/metrics`: however many ask, a worker and the exporter are held by a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from app.core.origin import UNIX, Origin
from app.errors import Unavailable
from app.server.exporter import AT_ONCE, relay
from app.upstream.client import Answer, Client


class Meanwhile:
    """A client of the exporter; while it waits for the answer, something else is done."""

    def __init__(self) -> None:
        self.fetched = 0
        self.do: Callable[[], object] = lambda: None

    def fetch(self, *_: object, **__: object) -> Answer:
        self.fetched += 1
        self.do()
        return Answer(200, "OK", [], b"text")


def test_of_many_scrapes_at_once_a_few_are_relayed_and_the_others_refused_at_once() -> None:
    client, refused = Meanwhile(), []
    probe = relay(cast("Client", client), Origin(UNIX, "\0none", 0))
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET"}

    def ask() -> object:
        return probe(environ, lambda *_: None)

    def one_more() -> None:
        try:
            ask()
        except Unavailable as error:
            refused.append(error)

    client.do = one_more
    for _ in range(2):  # the first ones make room again
        client.fetched = 0
        assert ask() == [b"text"]
        assert client.fetched == AT_ONCE
    assert len(refused) == 2


def test_one_that_fails_makes_room_too() -> None:
    client = Meanwhile()
    probe = relay(cast("Client", client), Origin(UNIX, "\0none", 0))

    def fail() -> None:
        raise Unavailable("as asked")

    client.do = fail
    for _ in range(AT_ONCE + 1):
        with pytest.raises(Unavailable, match="the log says why"):
            probe({"REQUEST_METHOD": "GET"}, lambda *_: None)
