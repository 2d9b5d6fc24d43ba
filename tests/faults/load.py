"""A steady load: so many requests a second, whatever becomes of them, and what became of each."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from tests.faults.client import UNANSWERED, Connection, LostError, outcome_of

PATIENCE = 15.0
"""Seconds that a client waits for a connection, or for an answer."""

KEPT = 6
"""Connections that a traffic keeps, used in turn: they are spread over all workers."""


@dataclass(frozen=True)
class Traffic:
    """Clients of `name`, a plugin or whatever else they have in common: `rate` requests a second.

    `path` gives a request's path by its number; `fine` is the outcome without a fault; `kept`: on connections that are
    kept, else each request on one of its own. A GET that finds its kept connection closed before any byte of an answer
    is sent again, once (RFC 9112, 9.3.1).
    """

    name: str
    path: Callable[[int], str]
    rate: float
    method: str = "GET"
    kept: bool = True
    fine: str = "200"
    life: int = 1_000_000
    body: bytes | None = None
    """What is sent with each request; None: with a POST one that no other has."""
    answers: Mapping[bytes, str] | None = None
    """Outcomes by the bodies of what is answered with 200; None: it is to be the plugin's for this very request."""


def prefer(thread: int) -> None:
    """Before all others on a busy machine, where that may be had: clients and plugins stand for other machines'."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, thread, -19)


def mixed(name: str, path: str, rate: float) -> list[Traffic]:
    """GETs and POSTs, on kept connections and on new ones, `rate` in all."""
    base = Traffic(name, lambda _: path, rate / 4)
    return [replace(base, method=method, kept=kept) for method in ("GET", "POST") for kept in (True, False)]


class Sample(NamedTuple):
    """What became of a request; times of `time.monotonic`."""

    traffic: Traffic
    id: str
    began: float
    ended: float
    outcome: str
    tries: int

    @property
    def fine(self) -> bool:
        return self.outcome == self.traffic.fine

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Load:
    """Runs in a thread of its own. New connections go to `port`, which may change at any time."""

    def __init__(self, port: int, traffics: Iterable[Traffic]) -> None:
        self.port = port
        self.samples: list[Sample] = []
        self.under_way: dict[str, float] = {}
        """When each request began that has no end yet, by its id."""
        self._traffics = list(traffics)
        self._ids = (f"{secrets.token_hex(3)}-{number}" for number in count())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._begin, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no more requests, and wait until each has its end."""
        self._stopping.set()
        self._thread.join(3 * PATIENCE)
        assert not self._thread.is_alive(), f"requests have no end: {self.under_way}"

    @property
    def settled(self) -> float:
        """Each request that began before this moment has its end."""
        return min([time.monotonic(), *list(self.under_way.values())])

    def _begin(self) -> None:
        """A client that is late itself would see its own faults."""
        prefer(threading.get_native_id())
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as users:
            for place, traffic in enumerate(self._traffics):
                users.create_task(self._send(traffic, users, place / len(self._traffics)))

    async def _send(self, traffic: Traffic, users: asyncio.TaskGroup, offset: float) -> None:
        """At a constant rate: a request that takes long holds no other up."""
        kept: deque[Connection] = deque()
        began = time.monotonic() + offset / traffic.rate
        for number in count():
            await asyncio.sleep(began + number / traffic.rate - time.monotonic())
            if self._stopping.is_set():
                break
            users.create_task(self._one(traffic, number, kept))
        while any(id_.startswith(f"{traffic.name}-") for id_ in self.under_way):
            await asyncio.sleep(0.01)
        for connection in kept:
            connection.close()

    async def _one(self, traffic: Traffic, number: int, kept: deque[Connection]) -> None:
        id_ = f"{traffic.name}-{next(self._ids)}"
        began = self.under_way[id_] = time.monotonic()
        tries = 1
        connection = _taken(kept) if traffic.kept else None
        outcome = await self._try(traffic, number, id_, connection, kept)
        if outcome == UNANSWERED and traffic.method == "GET" and connection is not None and connection.answered:
            tries += 1
            outcome = await self._try(traffic, number, id_, None, kept)
        self.samples.append(Sample(traffic, id_, began, time.monotonic(), outcome, tries))
        del self.under_way[id_]

    async def _try(
        self, traffic: Traffic, number: int, id_: str, connection: Connection | None, kept: deque[Connection]
    ) -> str:
        body = _body(traffic, id_)
        try:
            if connection is None:
                connection = await Connection.to(self.port, PATIENCE)
            status, answer = await connection.ask(_request(traffic, number, id_, body), PATIENCE)
        except LostError as lost:
            if connection is not None:
                connection.close()
            return lost.outcome
        if traffic.kept and connection.usable and connection.answered < traffic.life:
            kept.append(connection)
        else:
            connection.close()
        answers = traffic.answers or {f"{traffic.name} {id_} ".encode() + body: "200"}
        return outcome_of(status, answer, answers, id_)


def _body(traffic: Traffic, id_: str) -> bytes:
    if traffic.body is not None:
        return traffic.body
    return b"of %b" % id_.encode() * 20 if traffic.method == "POST" else b""


def _taken(kept: deque[Connection]) -> Connection | None:
    """The one that has waited longest; None for a new one, until there are enough."""
    while kept:
        if not kept[0].usable:
            kept.popleft().close()
        elif len(kept) < KEPT:
            return None
        else:
            return kept.popleft()
    return None


def _request(traffic: Traffic, number: int, id_: str, body: bytes) -> bytes:
    lines = [f"{traffic.method} {traffic.path(number)} HTTP/1.1", "Host: broker.example", f"X-ONAP-RequestID: {id_}"]
    if not traffic.kept:
        lines.append("Connection: close")
    if traffic.method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
