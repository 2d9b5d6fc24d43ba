"""check_vim_capacity (contract, section 1)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from tests.conftest import Process, a_broker
from tests.contract.conftest import BASE, Simulated, of

WANTED = {"vCPU": 8, "Memory": "16", "Storage": 40}


def check(broker: Process, version: str, document: object, **headers: str) -> tuple[int, object]:
    body = json.dumps(document).encode()
    status, _, answer = broker.ask("POST", f"{BASE}/{version}/check_vim_capacity", body, headers)
    return status, json.loads(answer)


def pair(owner: str, region: str) -> dict[str, str]:
    return {"cloud-owner": owner, "cloud-region-id": region}


def set_capacity(plugin: Simulated, vim_id: str, answer: object) -> None:
    plugin_path = f"/api/any/v0/{vim_id}/capacity_check"
    connection = http.client.HTTPConnection("127.0.0.1", plugin.port, timeout=10)
    connection.request("PUT", plugin_path, json.dumps(answer))
    assert connection.getresponse().status == 204
    connection.close()


@pytest.fixture(autouse=True)
def _room_everywhere(plugin: Simulated) -> Iterator[None]:
    yield
    plugin.clear()
    for vim_id in ("vmware_fake", "CloudOwner_RegionOne", "CloudOwner_Titanium"):
        set_capacity(plugin, vim_id, {"result": True})


def test_v0_answers_those_with_room_in_the_order_asked(broker: Process, plugin: Simulated) -> None:
    set_capacity(plugin, "vmware_fake", {"result": False})
    vims = ["CloudOwner_Titanium", "vmware_fake", "CloudOwner_RegionOne"]
    assert check(broker, "v0", {**WANTED, "VIMs": vims}) == (
        200,
        {"VIMs": ["CloudOwner_Titanium", "CloudOwner_RegionOne"]},
    )


def test_v1_adds_the_zones(broker: Process, plugin: Simulated) -> None:
    zones = [{"availability-zone-name": "nova", "vCPUTotal": 4}]
    set_capacity(plugin, "vmware_fake", {"result": True, "AZs": zones})
    set_capacity(plugin, "CloudOwner_RegionOne", {"result": True})
    vims = [pair("vmware", "fake"), pair("CloudOwner", "RegionOne")]
    assert check(broker, "v1", {**WANTED, "VIMs": vims}) == (
        200,
        {"VIMs": [{**vims[0], "AZs": zones}, {**vims[1], "AZs": []}]},
    )


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_each_vim_is_asked_with_a_body_of_its_own_length(broker: Process, plugin: Simulated, version: str) -> None:
    """Today's sends the client's Content-Length with a shorter body."""
    vims = ["vmware_fake"] if version == "v0" else [pair("vmware", "fake")]
    check(
        broker,
        version,
        {"vCPU": 1, "Memory": "2", "VIMs": vims},
        **{"X-ONAP-RequestID": "r-1", "Authorization": "Basic eA=="},
    )
    (asked,) = plugin.asked("capacity_check")
    assert json.loads(asked["body"]) == {"vCPU": 1, "Memory": "2", "Storage": 0}
    region = {"v0": "v0/vmware_fake", "v1": "v1/vmware/fake"}[version]
    assert asked["target"] == f"/api/multicloud-vio/{region}/capacity_check"
    assert of(asked, "Content-Length") == [str(len(asked["body"]))]
    assert of(asked, "X-ONAP-RequestID") == ["r-1"]
    assert of(asked, "Authorization") == []


@pytest.mark.parametrize("fault", ["status=500", "close", "garbage", "cut", "status=201"])
def test_one_that_fails_drops_out_never_the_rest(broker: Process, plugin: Simulated, fault: str) -> None:
    plugin.faults({"path": "vmware_fake/capacity_check", "fault": fault})
    vims = ["CloudOwner_RegionOne", "vmware_fake", "CloudOwner_Nowhere", "no-underscore", "CloudOwner_Unserved"]
    assert check(broker, "v0", {**WANTED, "VIMs": vims}) == (200, {"VIMs": ["CloudOwner_RegionOne"]})


def test_one_that_lingers_drops_out_and_is_logged(scene: dict[str, str], framework: str, plugin: Simulated) -> None:
    plugin.faults({"path": "vmware_fake/capacity_check", "fault": "delay=30"})
    with a_broker(framework, **scene, BROKER_CAPACITY_TIMEOUT="1", BROKER_UPSTREAM_CONNECT_TIMEOUT="1") as broker:
        assert check(broker, "v0", {**WANTED, "VIMs": ["vmware_fake", "CloudOwner_RegionOne"]}) == (
            200,
            {"VIMs": ["CloudOwner_RegionOne"]},
        )
        broker.end()
    assert [line for line in broker.lines if "vmware_fake drops out" in line]


def test_200_vims_behind_one_plugin_wait_for_none_of_each_other(
    scene: dict[str, str], framework: str, plugin: Simulated, tmp_path
) -> None:
    """Each takes 2 s: asked one after the other it would be 400 s, by 32 at a time 14 s; the client gives up after 8."""
    file = tmp_path / "regions.json"
    file.write_text(json.dumps([{**pair("lab", f"r{n}"), "cloud-type": "vmware"} for n in range(200)]))
    plugin.faults({"path": "capacity_check", "fault": "delay=2"})
    with a_broker(framework, **scene, BROKER_INVENTORY_REGIONS_FILE=str(file)) as broker:
        vims = [f"lab_r{n}" for n in range(200)]
        connection = http.client.HTTPConnection("127.0.0.1", broker.port, timeout=8)
        connection.request("POST", f"{BASE}/v0/check_vim_capacity", json.dumps({**WANTED, "VIMs": vims}))
        assert json.loads(connection.getresponse().read()) == {"VIMs": vims}
        connection.close()


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"VIMs": "vmware_fake"}', b"{}", b'{"VIMs": [1]}', b'{"VIMs": [{}], "vCPU": []}'],
)
def test_a_body_that_is_none_of_ours_is_a_400(broker: Process, plugin: Simulated, version: str, body: bytes) -> None:
    status, headers, answer = broker.ask("POST", f"{BASE}/{version}/check_vim_capacity", body)
    assert (status, json.loads(answer)["error"]["code"], headers["Content-Type"]) == (400, 400, "application/json")


def test_no_vims_no_answers(broker: Process, plugin: Simulated) -> None:
    assert check(broker, "v0", {**WANTED, "VIMs": []}) == (200, {"VIMs": []})


def test_a_body_beyond_the_bound_is_a_413(broker: Process) -> None:
    status, _, _ = broker.ask("POST", f"{BASE}/v0/check_vim_capacity", b" " * (1 << 21))
    assert status == 413


def test_a_chunked_request(broker: Process, plugin: Simulated) -> None:
    body = json.dumps({**WANTED, "VIMs": ["vmware_fake"]}).encode()
    raw = broker.raw(
        f"POST {BASE}/v0/check_vim_capacity HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode()
        + body
        + b"\r\n0\r\n\r\n"
    )
    assert raw.endswith(b'{"VIMs": ["vmware_fake"]}')
