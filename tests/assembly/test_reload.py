"""What a worker makes anew by a reload, what it keeps, and what is left of the former."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import eventlet
import pytest
from greenlet import greenlet

from app.conf.reloading import begin
from app.core.origin import Origin
from app.net.loop import Loop
from app.server.slots import Slots
from app.web.edge import Edge
from tests.contract.callers import users

with warnings.catch_warnings():  # oslo.service's eventlet backend warns in several words
    warnings.simplefilter("ignore", DeprecationWarning)
    from app.assembly import FRAMEWORKS
    from app.assembly.configured import Configured
    from app.assembly.shared import Shared
    from app.assembly.worker import Framework, Serving


class Worker:
    """A worker's parts, but for its server."""

    def __init__(self, folder: Path, framework: str) -> None:
        self.file = folder / "broker.conf"
        self.map = folder / "map.json"
        self.write()
        files, slots = [str(self.file)], Slots(1)
        shared = Shared(1)
        self.loop = Loop()
        self.configured = Configured(begin(files, {}), files, {}, shared.once)
        application = importlib.import_module(FRAMEWORKS[framework]).application
        self.serving = Serving(self.configured, shared, slots, None, Framework(framework, application), self.loop, 0)

    def write(self, name: str = "p", *lines: str) -> None:
        self.map.write_text(json.dumps({"vmware": {"provider_plugin": name}}))
        self.file.write_text("\n".join(("[plugins]", f"map_file = {self.map}", *lines)))

    @property
    def edge(self) -> Edge:
        application = self.serving.served().application
        assert isinstance(application, Edge)
        return application


@pytest.fixture
def worker(tmp_path: Path, framework: str) -> Iterator[Worker]:
    level = logging.getLogger().level
    yield Worker(tmp_path, framework)
    logging.getLogger().setLevel(level)


def alive() -> Counter[str]:
    """Objects of ours and of libraries that a reload makes, by their type."""
    gc.collect()
    found = Counter(type(one).__name__ for one in gc.get_objects() if str(type(one).__module__).startswith("app."))
    others = ("_Options", "BrokerHandler", "URLResolver", "URLPattern", "SSLContext", "ContextVar")
    found.update(type(one).__name__ for one in gc.get_objects() if type(one).__name__ in others)
    found["greenlet"] = sum(isinstance(one, greenlet) for one in gc.get_objects())
    found["function"] = sum(isinstance(one, type(alive)) for one in gc.get_objects()) // 10
    found["thread"] = threading.active_count()
    return found


def test_reloads_leave_nothing_behind(worker: Worker, tmp_path: Path) -> None:
    passwords = users(tmp_path / "users", alice="a")
    variants: tuple[tuple[str, ...], ...] = (
        ("[aai]", "address = a", "protocol = http", "[clients]", "rate = 1"),
        ("[aai]", "address = b", "[forwarded]", "via = both", "[upstream]", "verify = false"),
        ("[auth]", f"basic_file = {passwords}", "realm = x"),
        ("[auth]", "jwks_url = http://127.0.0.1:1/", "jwt_issuer = i", "jwt_audience = a"),
        ("[server]", "port = 1", "[logs]", "access = false"),
        (),
    )

    def reload(times: int) -> None:
        for number in range(times):
            worker.write(f"p{number}", *variants[number % len(variants)])
            worker.configured.reload()
            assert worker.configured._watched.problem == ""
            eventlet.sleep(0.01)  # what the hub is to call it calls

    logging.disable(logging.CRITICAL)  # pytest keeps every record, and what is in it
    try:
        reload(18)
        before, ticks = alive(), len(worker.loop.every_tick)
        reload(102)
    finally:
        logging.disable(logging.NOTSET)
    after = alive()
    assert {name: after[name] - before[name] for name in after if after[name] - before[name] > 5} == {}
    assert len(worker.loop.every_tick) == ticks


def test_what_outlives_a_reload_is_kept(worker: Worker) -> None:
    aai = ("[aai]", "address = a", "protocol = http")
    worker.write("p", *aai)
    worker.configured.reload()
    kept = worker.serving._regions._asked, worker.serving._plugins.client
    edge = worker.edge
    worker.write("p", *aai, "connect_timeout = 9", "username = u", "password = p", "[inventory]", "cache_ttl = 7")
    worker.configured.reload()
    assert worker.edge is not edge
    assert (worker.serving._regions._asked, worker.serving._plugins.client) == kept
    assert kept[0] is not None
    assert (kept[0].aai.settings.connect_timeout, kept[0].cached.settings.fresh) == (9, 7)
    assert kept[0].aai.credentials() == ("u", "p")
    worker.write("p", "[aai]", "address = b", "protocol = http")
    worker.configured.reload()
    assert worker.serving._regions._asked is not kept[0]
    assert kept[0].aai.credentials() == ("u", "p")  # what is being asked still ends as it began


def test_what_became_of_plugins_at_addresses_that_the_map_has_no_more_is_forgotten(worker: Worker) -> None:
    plugins = worker.serving._plugins
    through = Origin("http", "msb", 80)
    for number in range(3):
        where = Origin("http", f"h{number}", 1)
        entry = {"provider_plugin": "p", "endpoint": f"http://h{number}:1"}
        worker.write("p")
        worker.map.write_text(json.dumps({"vmware": entry}))
        worker.configured.reload()
        for origin in (where, through):
            plugins._guards.check("p", origin)
            plugins.client._budgets[origin].sent()
    worker.configured.reload()
    assert (list(plugins._guards._guards), list(plugins.client._budgets)) == ([("p", where)], [where])
    worker.write("p", "[msb]", "address = msb")
    worker.configured.reload()
    for origin in (where, through):
        plugins._guards.check("p", origin)
        plugins.client._budgets[origin].sent()
    worker.configured.reload()
    assert (list(plugins._guards._guards), list(plugins.client._budgets)) == ([("p", through)], [through])


def test_what_cannot_be_made_is_not_taken(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that fails: nothing of it counts."""
    edge, options = worker.edge, worker.configured.options
    monkeypatch.setattr("app.assembly.worker.limits", lambda _: 1 / 0)
    worker.write("p", "[aai]", "address = a", "[server]", "idle_timeout = 3")
    worker.configured.reload()
    assert "ZeroDivisionError" in worker.configured.problem()
    assert worker.edge is edge
    assert worker.configured.options is options
    assert worker.serving._regions._asked is None
    monkeypatch.undo()
    worker.configured.reload()
    assert (worker.configured.problem(), worker.configured.options.server.idle_timeout) == ("", 3)


def test_verified_passwords_outlive_another_realm(worker: Worker, tmp_path: Path) -> None:
    passwords = users(tmp_path / "users", alice="a")
    gates = []
    for realm in ("one", "two"):
        worker.write("p", "[auth]", f"basic_file = {passwords}", f"realm = {realm}")
        worker.configured.reload()
        gates.append(worker.edge.authenticate)
    first, second = (gate._schemes[b"basic"] for gate in gates)  # type: ignore[union-attr]
    assert first is not second
    assert first._verified is second._verified
    worker.write("p", "[auth]", f"basic_file = {passwords}", "realm = two", "[logs]", "access = false")
    worker.configured.reload()
    assert worker.edge.authenticate is gates[1]
