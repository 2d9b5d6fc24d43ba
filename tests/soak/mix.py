"""The load of a soak: the VoLTE use case, played again and again as VF-C plays it, beside a steady one."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from app.volte.answers import Answer, Failure
from app.volte.client import Base, Client
from app.volte.outcome import Patience
from app.volte.player import Player
from app.volte.report import NoProgress
from app.volte.steps import plan
from tests.faults.load import Traffic, mixed
from tests.faults.stage import path_of

REGIONS = (
    "/api/multicloud/v0/vmware_fake",
    "/api/multicloud/v1/CloudOwner/RegionOne",
    "/api/multicloud/v0/CloudOwner_Region_Two",
    "/api/multicloud/v1/CloudOwner/StarlingX",
)
VOLTE = "volte"
PAUSE = 0.1
"""Seconds before each request of a player."""

UNANSWERED = "unanswered"


class Asked(NamedTuple):
    """A request, whoever sent it; times of `time.monotonic`. `outcome` is its status, or what was seen instead."""

    name: str
    began: float
    ended: float
    outcome: str
    fine: bool


@dataclass
class Volte:
    """A client that plays the use case until it is stopped, in a thread."""

    port: int
    region: str
    asked: list[Asked] = field(default_factory=list)
    plays: int = 0

    def __post_init__(self) -> None:
        self._client = Client(Base.parse(f"http://127.0.0.1:{self.port}"), 30)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Once what was made is deleted again."""
        self._stopping.set()
        self._thread.join(120)

    def ask(self, method: str, path: str, body: object, request_id: str) -> Answer:
        """For the player. Raises `Failure`."""
        time.sleep(PAUSE)
        began, outcome = time.monotonic(), UNANSWERED
        try:
            answer = self._client.ask(method, path, body, request_id)
            outcome = str(answer.status)
            return answer
        finally:
            fine = outcome.isdigit() and int(outcome) < 500
            self.asked.append(Asked(VOLTE, began, time.monotonic(), outcome, fine))

    def _run(self) -> None:
        while not self._stopping.is_set():
            given = {"run": secrets.token_hex(4), "tenant_name": ""}
            player = Player(self, self.region, plan(), given, Patience(10), NoProgress(), self._stopping.is_set)
            try:
                player.play()
            except Failure:  # nothing was there to take its first request
                time.sleep(PAUSE)
            self.plays += 1


def steady(names: tuple[str, ...], rate: float) -> list[Traffic]:
    """Connections are kept for a while only, so that they move on from a worker that is replaced."""
    return [replace(one, life=50) for name in names for one in mixed(name, path_of(name), rate)]
