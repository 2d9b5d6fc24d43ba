"""A counterpart for the player: a real HTTP server that keeps resources and can be told to misbehave."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.volte.client import Base, Client
from app.volte.outcome import Outcome, Patience
from app.volte.player import Player
from app.volte.steps import Step, plan

PATH = re.compile(r"(?:/base)?/api/multicloud/(?:v0/[^/_]+_[^/]+|v1/[^/]+/[^/]+)(/[^?]*)?(?:\?.*)?")
ITEM = re.compile(r"/t(\d)/(\w+)(?:/([^/]+))?(/action)?")
ACTIONS = {"os-stop": "SHUTOFF", "os-start": "ACTIVE"}


@dataclass
class Request:
    method: str
    path: str
    headers: Message
    body: Any


@dataclass
class Cloud:
    """The state, and what to do wrong. `route` below is a method and a path below the tenant, as `POST servers`."""

    resources: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    registered: bool = False
    url: str = ""
    created: int = 200
    fails: dict[str, tuple[int, Any]] = field(default_factory=dict)  # route: status and body, instead of serving it
    loses: set[str] = field(default_factory=set)  # routes that are served and answered 504
    in_use: dict[str, int] = field(default_factory=dict)  # how many times a kind's DELETE is answered 409
    existing: set[str] = field(default_factory=set)  # kinds that are answered with returnCode 0
    statuses: dict[str, list[str]] = field(default_factory=dict)  # a kind's next statuses; the last one stays
    lingers: dict[str, int] = field(default_factory=dict)  # how many lists still show what was deleted
    on: dict[str, Callable[[], object]] = field(default_factory=dict)  # what to call before a route is served
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def routes(self) -> list[str]:
        """What was asked for, without ids."""
        return [_route(request.method, request.path) for request in self.requests]

    def left(self) -> list[str]:
        return [kind for kind, held in self.resources.items() if held]

    def serve(self, request: Request) -> tuple[int, Any]:
        self.requests.append(request)
        route = _route(request.method, request.path)
        self.on.get(route, lambda: None)()
        if route in self.fails:
            return self.fails[route]
        answer = self._serve(request)
        return (504, {"error": {"message": "too late"}}) if route in self.loses else answer

    def _serve(self, request: Request) -> tuple[int, Any]:
        below = PATH.fullmatch(request.path)
        if below is None:
            return 404, {"error": {"message": "no region there"}}
        rest = below[1] or ""
        if rest in ("/registry", ""):
            self.registered = rest != ""
            return (202 if rest else 204), None
        if rest == "/tenants":
            return 200, {"vimId": "v", "tenants": [{"id": "t1", "name": "one"}, {"id": "t2", "name": "two"}]}
        match = ITEM.fullmatch(rest)
        return (404, None) if match is None else self._resource(request, match[2], match[3], bool(match[4]))

    def _resource(self, request: Request, kind: str, id_: str | None, action: bool) -> tuple[int, Any]:
        held = self.resources.setdefault(kind, {})
        if id_ is None:
            return self._create(kind, request.body) if request.method == "POST" else (200, {kind: self._list(kind)})
        if id_ not in held:
            return 404, None
        if action:
            self.statuses[kind] = [ACTIONS[next(iter(request.body))]]
            return 202, None
        if request.method == "DELETE":
            if self.in_use.get(kind, 0) > 0:
                self.in_use[kind] -= 1
                return 409, {"error": f"{kind}InUse"}
            self.lingers.get(kind) or held.pop(id_)
            return 204, None
        return 200, self._shown(kind, held[id_])

    def _create(self, kind: str, body: dict[str, Any]) -> tuple[int, Any]:
        made = {**body, "id": f"{kind}/{next(self._ids)}", "returnCode": 0 if kind in self.existing else 1}
        made["id"] = made["id"].replace("/", "-")
        self.resources[kind][made["id"]] = made
        return self.created, self._shown(kind, made)

    def _list(self, kind: str) -> list[dict[str, Any]]:
        shown = list(self.resources[kind].values())
        deletes = f"DELETE {kind}" in self.routes()
        if deletes and kind in self.lingers:
            self.lingers[kind] -= 1
            if self.lingers[kind] == 0:
                self.resources[kind].clear()
        return shown

    def _shown(self, kind: str, resource: dict[str, Any]) -> dict[str, Any]:
        statuses = self.statuses.get(kind)
        if not statuses:
            return resource
        return {**resource, "status": statuses.pop(0) if len(statuses) > 1 else statuses[0]}


def _route(method: str, path: str) -> str:
    match = re.search(r"/t\d/(\w+)(?:/[^/]+)?(/action)?$", path)
    last = match[1] + (match[2] or "") if match else path.rpartition("/")[2].partition("?")[0]
    return f"{method} {last}"


class Handler(BaseHTTPRequestHandler):
    cloud: Cloud

    def _any(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw) if raw else None
        status, answer = self.cloud.serve(Request(self.command, self.path, self.headers, body))
        data = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _any  # noqa: N815  http.server asks for these names

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    state = Cloud()
    handler = type("BoundHandler", (Handler,), {"cloud": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()
        thread.join()


@dataclass
class Clock:
    """Time that passes only by pausing."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, limit: float = 10.0) -> Patience:
        return Patience(limit, self.pause, self)


@dataclass
class Notes:
    """A watch that remembers."""

    begun: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def begin(self, step: Step) -> None:
        self.begun.append(step.name)

    def note(self, text: str) -> None:
        self.noted.append(text)

    def end(self, outcome: Outcome) -> None:
        pass


@dataclass
class Played:
    """A player that has played, with what the test asks about it."""

    player: Player
    clock: Clock
    notes: Notes

    def __getitem__(self, step: str) -> Outcome:
        return next(outcome for outcome in self.player.outcomes if outcome.step == step)

    def states(self, *states: str) -> dict[str, str]:
        """The details of the steps in one of these states."""
        return {one.step: one.detail for one in self.player.outcomes if one.state in states}


Play = Callable[..., Played]


@pytest.fixture
def play(cloud: Cloud) -> Play:
    """Plays the whole use case against the counterpart."""

    def run(
        tenant: str = "", region: str = "/api/multicloud/v0/vmware_fake", stopped: Callable[[], bool] = lambda: False
    ) -> Played:
        clock, notes = Clock(), Notes()
        client = Client(Base.parse(cloud.url), 10)
        given = {"run": "abc", "tenant_name": tenant}
        player = Player(client, region, plan(tenant), given, clock.patience(), notes, stopped)
        player.play()
        return Played(player, clock, notes)

    return run
