"""A&AI slow, down, refusing, garbled, or back: remembered regions go on, unknown ones are told quickly."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Process, a_broker, until
from tests.contract.conftest import BASE, PASSWORD, Simulated
from tests.contract.listener import listening

KNOWN = f"{BASE}/v0/CloudOwner_RegionOne/x"
PATIENT = {"BROKER_AAI_RESPONSE_TIMEOUT": "20"}
"""A&AI may take longer than any test does."""

Timed = tuple[int, float, bytes, Mapping[str, str]]


def timed(broker: Process, path: str) -> Timed:
    began = time.monotonic()
    status, headers, body = broker.ask("GET", path)
    return status, time.monotonic() - began, body, dict(headers)


def unknown(broker: Process, number: int) -> Timed:
    return timed(broker, f"{BASE}/v0/unknown_{number}/x")


def reason(answer: Timed) -> str:
    return str(json.loads(answer[2])["error"]["reason"])


def counted(broker: Process, name: str) -> float:
    text = broker.ask("GET", "/metrics")[2].decode()
    found = re.search(rf"^multicloud_{name}_total (\S+)$", text, flags=re.MULTILINE)
    return float(found[1]) if found else 0.0


FAULTS = ["status=401", "status=503", "garbage", "close", "cut", "reset", "delay=6"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_remembered_region_goes_on_whatever_aai_does(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated, fault: str
) -> None:
    times = {"BROKER_INVENTORY_CACHE_TTL": "0.2", "BROKER_INVENTORY_NEGATIVE_TTL": "0.2", **PATIENT}
    with a_broker(framework, **scene, **times) as broker:
        assert timed(broker, KNOWN)[0] == 200
        aai.faults({"fault": fault})
        until(lambda: timed(broker, KNOWN)[0] == 200 and counted(broker, "inventory_cache_stale") > 0)
        answers = [timed(broker, KNOWN) for _ in range(20)]
        assert {status for status, *_ in answers} == {200}
        assert max(seconds for _, seconds, *_ in answers) < 0.8  # nobody waits for it any more
        aai.faults()
        before = counted(broker, "inventory_cache_hits")
        until(lambda: timed(broker, KNOWN)[0] == 200 and counted(broker, "inventory_cache_hits") > before, 25)


def test_a_remembered_region_goes_on_while_nobody_listens(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    answer = json.dumps({"cloud-type": "openstack", "cloud-region-version": "pike"}).encode()
    with ExitStack() as up:
        aai = up.enter_context(listening(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)))
        settings = {**scene, "AAI_PORT": str(aai.port), "BROKER_INVENTORY_CACHE_TTL": "0.1"}
        with a_broker(framework, **settings) as broker:
            assert timed(broker, KNOWN)[0] == 200
            up.close()
            until(lambda: timed(broker, KNOWN)[0] == 200 and counted(broker, "inventory_cache_stale") > 3)
            status, seconds, *_ = unknown(broker, 1)
            assert (status, seconds < 1) == (502, True)


@pytest.mark.parametrize(
    ("fault", "first"), [("status=503", 502), ("status=401", 502), ("garbage", 502), ("delay=20", 504)]
)
def test_in_an_outage_unknown_regions_are_told_at_once(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated, fault: str, first: int
) -> None:
    times = {"BROKER_AAI_RESPONSE_TIMEOUT": "1", "BROKER_INVENTORY_NEGATIVE_TTL": "600"}
    with a_broker(framework, **scene, **times) as broker:
        aai.faults({"fault": fault})
        assert {unknown(broker, number)[0] for number in range(3)} == {first}
        answers = [unknown(broker, number) for number in range(10, 60)]
        assert {(status, reason(one)) for one in answers for status in one[:1]} == {(503, "Inventory-Unavailable")}
        assert max(seconds for _, seconds, *_ in answers) < 0.8
        assert 1 <= int(answers[0][3]["Retry-After"]) <= 600
        assert len(aai.asked()) == 3
        assert counted(broker, "inventory_refused") == 50


def test_once_aai_is_back_regions_are_found_again(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    with a_broker(framework, **scene, BROKER_INVENTORY_NEGATIVE_TTL="0.5") as broker:
        aai.faults({"fault": "status=503"})
        assert [unknown(broker, number)[0] for number in range(4)] == [502, 502, 502, 503]
        aai.faults()
        until(lambda: timed(broker, KNOWN)[0] == 200, 5)
        assert unknown(broker, 9)[0] == 404


def test_a_region_in_use_is_asked_for_ahead_of_its_time_and_nobody_waits(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    with a_broker(framework, **scene, BROKER_INVENTORY_CACHE_TTL="4") as broker:
        assert timed(broker, KNOWN)[0] == 200
        aai.faults({"fault": "delay=0.7"})
        slowest = 0.0

        def asked_anew() -> bool:
            nonlocal slowest
            status, seconds, *_ = timed(broker, KNOWN)
            assert status == 200
            slowest = max(slowest, seconds)
            return counted(broker, "inventory_cache_refreshes") >= 1 and len(aai.asked()) == 2

        until(asked_anew)
        assert slowest < 0.6
        assert (counted(broker, "inventory_cache_misses"), counted(broker, "inventory_cache_stale")) == (1, 0)


def test_a_bound_of_look_ups_and_the_others_are_told_to_come_again(
    scene: dict[str, str], framework: str, plugin: Simulated
) -> None:
    answer = json.dumps({"cloud-type": "vmware", "cloud-region-version": "4.0"}).encode()
    with (
        listening(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)) as aai,
        a_broker(framework, **{**scene, "AAI_PORT": str(aai.port)}, BROKER_AAI_LOOKUPS_MAX="4", **PATIENT) as broker,
        ThreadPoolExecutor(30) as clients,
    ):
        aai.go_on.clear()
        asking = [clients.submit(unknown, broker, number) for number in range(30)]
        until(lambda: sum(one.done() for one in asking) == 26)
        refused = [one.result() for one in asking if one.done()]
        assert {(one[0], reason(one), one[3]["Retry-After"]) for one in refused} == {
            (503, "Inventory-Unavailable", "1")
        }
        assert max(one[1] for one in refused) < 8
        assert len(aai.heads) == 4
        began = time.monotonic()
        assert broker.ask("GET", f"{BASE}/v0/vim_types")[0] == 200
        assert time.monotonic() - began < 0.8
        aai.go_on.set()
        assert sorted(one.result()[0] for one in asking) == [200] * 4 + [503] * 26


def test_one_look_up_for_all_who_ask_for_a_region(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    aai.faults({"fault": "delay=1"})
    with a_broker(framework, **scene, **PATIENT) as broker, ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda _: timed(broker, KNOWN)[0], range(20)))
        assert (answers, len(aai.asked())) == ([200] * 20, 1)


def test_a_client_that_leaves_ends_no_look_up_of_others(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    aai.faults({"fault": "delay=1"})
    with a_broker(framework, **scene, **PATIENT) as broker:
        with broker.connect() as leaving:
            leaving.sendall(f"GET {KNOWN} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until(lambda: len(aai.asked()) == 1)
        assert timed(broker, KNOWN)[0] == 200
        assert len(aai.asked()) == 1


def test_a_password_that_is_renewed_counts_from_the_next_look_up(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("the one of yesterday")
    settings = {name: value for name, value in scene.items() if name != "AAI_PASSWORD"}
    times = {"BROKER_INVENTORY_NEGATIVE_TTL": "0.2"}
    with a_broker(framework, **settings, AAI_PASSWORD_FILE=str(file), **times) as broker:
        assert timed(broker, KNOWN)[0] == 502
        file.write_text(PASSWORD)
        until(lambda: timed(broker, KNOWN)[0] == 200, 5)


def test_what_expired_together_is_not_asked_for_together_once_aai_is_back(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    """Each remembered region costs A&AI one look-up, not one for each request."""
    with a_broker(framework, **scene, BROKER_INVENTORY_CACHE_TTL="1", BROKER_AAI_LOOKUPS_MAX="2") as broker:
        paths = [
            f"{BASE}/v0/CloudOwner_{name}/x" for name in ("RegionOne", "Region_Two", "Titanium", "StarlingX", "Newest")
        ]
        assert {timed(broker, path)[0] for path in paths} == {200}
        aai.faults({"fault": "status=503"})
        until(lambda: timed(broker, paths[0])[0] == 200 and counted(broker, "inventory_cache_stale") > 0)
        aai.clear()
        aai.faults({"fault": "delay=0.5"})
        with ThreadPoolExecutor(20) as clients:
            answers = list(clients.map(lambda number: timed(broker, paths[number % 5])[0], range(60)))
        assert answers == [200] * 60
        assert len(aai.asked()) <= 10
