"""A plugin's name: several addresses, a pod's new one, a name service that fails and one that hangs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import NO_BREAKER, Process, started, until
from tests.contract.conftest import BASE, V0
from tests.contract.listener import Listener, listening
from tests.contract.named import NameService

HANGING = 24
"""Names that hang: more than there are threads."""

Start = Callable[..., contextlib.AbstractContextManager[Process]]


def said(text: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


@pytest.fixture
def old() -> Iterator[Listener]:
    with listening(said(b"old"), "127.0.0.1") as listener:
        yield listener


@pytest.fixture
def names(tmp_path: Path) -> NameService:
    return NameService(tmp_path / "names.json")


@pytest.fixture
def start(framework: str, names: NameService, old: Listener, tmp_path: Path) -> Start:
    """A broker whose plugins are at names: of `vmware_fake` at plugin.test, of `own_N` at hN.test."""

    def plugin(host: str) -> dict[str, str]:
        return {"provider_plugin": host, "endpoint": f"http://{host}:{old.port}"}

    plugins = {"vmware": {"vim_type": "vmware", "versions": {}, **plugin("plugin.test")}}
    for number in range(HANGING):
        plugins[f"t{number}"] = {"vim_type": f"t{number}", "versions": {}, **plugin(f"h{number}.test")}
    (tmp_path / "map.json").write_text(json.dumps(plugins))
    regions = [{"cloud-owner": "own", "cloud-region-id": f"{n}", "cloud-type": f"t{n}"} for n in range(HANGING)]
    (tmp_path / "regions.json").write_text(json.dumps(regions))

    def run(**env: str) -> contextlib.AbstractContextManager[Process]:
        settings = {
            "WEB_FRAMEWORK": framework,
            "BROKER_SERVER_WORKERS": "1",
            "BROKER_SERVER_PORT": "0",
            "BROKER_PLUGINS_MAP_FILE": str(tmp_path / "map.json"),
            "BROKER_INVENTORY_REGIONS_FILE": str(tmp_path / "regions.json"),
            "BROKER_UPSTREAM_RESOLVE_INTERVAL": "0.2",
        }
        return started("-m", "tests.contract.named", str(names.file), "serve", env={**settings, **NO_BREAKER, **env})

    return run


def body(broker: Process, path: str = V0) -> bytes:
    status, _, answer = broker.ask("GET", path + "/x")
    assert status == 200, answer
    return answer


def timed(broker: Process, path: str) -> tuple[int, float]:
    began = time.monotonic()
    return broker.ask("GET", path)[0], time.monotonic() - began


def warnings_of(broker: Process) -> list[str]:
    return [line for line in broker.lines if "plugin.test is" in line]


def test_a_pods_new_address_is_found_within_seconds(start: Start, names: NameService, old: Listener) -> None:
    names.says({"plugin.test": ["127.0.0.1"]})
    with listening(said(b"new"), "127.0.0.2", old.port), start() as broker:
        assert body(broker) == b"old"
        names.says({"plugin.test": ["127.0.0.2"]})
        until(lambda: body(broker) == b"new", 5)


def test_a_dead_address_is_left_out_and_used_again_once_it_is_back(
    start: Start, names: NameService, old: Listener
) -> None:
    names.says({"plugin.test": ["127.0.0.3", "127.0.0.1", "127.0.0.4"]})
    with start() as broker:
        for _ in range(20):
            assert body(broker) == b"old"
        with listening(said(b"back"), "127.0.0.4", old.port):
            until(lambda: body(broker) == b"back")
        for _ in range(20):
            assert body(broker) == b"old"


def test_while_the_name_service_fails_the_last_good_answer_serves(
    start: Start, names: NameService, old: Listener
) -> None:
    names.says({"plugin.test": ["127.0.0.1"]})
    with listening(said(b"new"), "127.0.0.2", old.port), start() as broker:
        assert body(broker) == b"old"
        names.says({"plugin.test": "EAI_AGAIN"})
        before = names.asked("plugin.test")
        until(lambda: body(broker) == b"old" and names.asked("plugin.test") > before + 3)
        assert len(warnings_of(broker)) == 1
        names.says({"plugin.test": ["127.0.0.2"]})
        until(lambda: body(broker) == b"new", 5)
        assert len(warnings_of(broker)) == 2  # and that it is found again


@pytest.mark.parametrize(("error", "named"), [("EAI_NONAME", "no host plugin.test"), ("EAI_AGAIN", "did not find")])
def test_a_name_that_was_never_found_is_told_at_once(start: Start, names: NameService, error: str, named: str) -> None:
    names.says({"plugin.test": error})
    with start() as broker:
        began = time.monotonic()
        for _ in range(10):
            status, _, answer = broker.ask("GET", V0 + "/x")
            assert (status, named in json.loads(answer)["error"]["message"]) == (502, True), answer
        assert time.monotonic() - began < 3


def test_a_name_service_that_hangs_is_in_nobodys_way_who_has_an_answer(
    start: Start, names: NameService, old: Listener
) -> None:
    names.says({"plugin.test": ["127.0.0.1"]})
    with start(BROKER_UPSTREAM_CONNECT_TIMEOUT="20") as broker:
        body(broker)
        names.says({"plugin.test": "hangs"})
        until(lambda: body(broker) == b"old" and names.asked("plugin.test") == 2)
        began = time.monotonic()
        for _ in range(20):
            assert body(broker) == b"old"
        assert time.monotonic() - began < 5
        assert names.asked("plugin.test") == 2


def test_names_that_hang_hold_up_no_other_request(start: Start, names: NameService) -> None:
    names.says({"plugin.test": ["127.0.0.1"], **{f"h{number}.test": "hangs" for number in range(HANGING)}})
    with start(BROKER_UPSTREAM_CONNECT_TIMEOUT="3") as broker, ThreadPoolExecutor(HANGING) as clients:
        body(broker)
        paths = [f"{BASE}/v0/own_{number}/x" for number in range(HANGING)]
        hanging = [clients.submit(timed, broker, path) for path in paths]
        until(lambda: sum(names.asked(f"h{number}.test") for number in range(HANGING)) >= 16)
        others = []
        while not all(one.done() for one in hanging):
            others.append(timed(broker, V0 + "/x"))
            others.append(timed(broker, f"{BASE}/v0/vim_types"))
        assert {status for status, _ in others} == {200}
        assert max(seconds for _, seconds in others) < 1.5
        assert {one.result()[0] for one in hanging} == {504}
        assert max(one.result()[1] for one in hanging) < 6
        status, seconds = timed(broker, paths[0])  # it has hung for longer than it may: nobody waits again
        assert (status, seconds < 1.5) == (504, True)


def test_a_worker_whose_resolver_hangs_ends_when_it_is_told_to(start: Start, names: NameService) -> None:
    names.says({"plugin.test": "hangs"})
    with start(BROKER_UPSTREAM_CONNECT_TIMEOUT="0.2") as broker:
        assert broker.ask("GET", V0 + "/x")[0] == 504
        began = time.monotonic()
        assert broker.end() == 0
        assert time.monotonic() - began < 10
    assert any("worker 0 ends" in line for line in broker.lines)
