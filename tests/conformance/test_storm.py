"""Everything at once: afterwards each request is counted, the plugin got each once, and nothing is left behind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.conftest import memory, run, sockets
from tests.conftest import Process, a_broker, until
from tests.contract.conftest import BASE, V0, V1, Simulated

COUNTED = re.compile(
    r'multicloud_(http|upstream)_requests_total\{code="(\d+)",(?:method|plugin)="([^"]+)"(?:,route="([^"]+)")?\} (\S+)'
)

GROWTH = 64
"""MiB that all processes may hold more after a second storm than after the first: eight of them in a row end 20 above
the first and level. 10 KiB a request would be as much, and what the slow readers do not take is 3 GB."""

POOLED = 16

LOADS = (
    (4000, "-c", "100", f"{BASE}/v0/vim_types"),
    (1500, "-c", "50", "-m", "4", f"{V1}/tenants"),
    (200, "-c", "40", f"{V1}/registry", "-d", "body"),
    (200, "-c", "10", f"{BASE}/v1/no/region/x"),
)
ATTACKS = (
    ("-H", "-i", "1", "-u", f"{BASE}/v0/swagger.json"),
    ("-B", "-i", "1", "-s", "8192", "-u", f"{V0}/registry"),
    ("-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-u", f"{V0}/large"),
)
REST = "/v1/{cloud_owner}/{cloud_region_id}/{rest}"
SENT = {
    ("http", "200", "GET", "/v0/vim_types"): 4000,
    ("http", "200", "GET", REST): 1500,
    ("http", "202", "POST", REST): 200,
    ("http", "404", "GET", REST): 200,
    ("upstream", "200", "multicloud-pike", ""): 1500,
    ("upstream", "202", "multicloud-pike", ""): 200,
}
"""What the loads add to the counters; the attacks go elsewhere."""


def counted(broker: Process) -> Counter[tuple[str, ...]]:
    text = broker.ask("GET", "/metrics")[2].decode()
    return Counter({match[:4]: int(float(match[4])) for match in COUNTED.findall(text)})


def in_flight(broker: Process) -> int:
    found = re.search(r"^multicloud_http_requests_in_flight (\S+)$", broker.ask("GET", "/metrics")[2].decode(), re.M)
    assert found is not None
    return int(float(found[1]))


def storm(broker: Process, folder: Path) -> None:
    """All loads and all attacks side by side, to their end."""
    base = f"http://127.0.0.1:{broker.port}"
    (folder / "body").write_bytes(b"x" * 20_000)

    def full(arguments: Sequence[str]) -> list[str]:
        places = {"/": base, "b": f"{folder}/"}
        return [places.get(one[0], "") + one for one in arguments]

    with ThreadPoolExecutor(len(LOADS) + len(ATTACKS)) as pool:
        loads = [pool.submit(run, "h2load", "--h1", "-n", str(count), *full(rest)) for count, *rest in LOADS]
        limits = ("-c", "150", "-r", "150", "-l", "4", "-p", "5")
        attacks = [pool.submit(run, "slowhttptest", *full(attack), *limits) for attack in ATTACKS]
    for (count, *_), load in zip(LOADS, loads, strict=True):
        assert f"{count} done" in load.result()[1], load.result()[1]
    assert [attack.result()[0] for attack in attacks] == [0] * len(ATTACKS)


def test_after_a_storm_all_is_counted_and_nothing_is_left(
    scene: dict[str, str], framework: str, plugin: Simulated, tmp_path: Path
) -> None:
    plugin.faults({"path": "/large", "fault": "huge=20000000"})
    with a_broker(framework, 2, **scene, BROKER_SERVER_HEADER_TIMEOUT="2") as broker:
        held = sockets(broker)
        storm(broker, tmp_path)
        until(lambda: in_flight(broker) == 0)
        used, before = memory(broker), counted(broker)
        plugin.control("DELETE", "/_recorded")
        storm(broker, tmp_path)
        until(lambda: in_flight(broker) == 0)
        more = counted(broker) - before
        assert {key: more[key] for key in SENT} == SENT
        assert len(plugin.asked("/v1/CloudOwner/RegionOne/tenants")) == 1500
        assert len(plugin.asked("/v1/CloudOwner/RegionOne/registry")) == 200
        assert memory(broker) - used < GROWTH
        until(lambda: sockets(broker) <= held + POOLED)
        assert broker.end() == 0
