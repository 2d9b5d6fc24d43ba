"""Which plugin serves a region, and what is said when none does (contract, sections 1, 2 and 4)."""

from __future__ import annotations

import contextlib
import json

import pytest

from tests.conftest import Process, a_broker, until
from tests.contract.conftest import BASE, PASSWORD, V0, Simulated, of


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v0/vmware_fake/x", "/api/multicloud-vio/v0/vmware_fake/x"),
        ("/v1/vmware/fake/x", "/api/multicloud-vio/v1/vmware/fake/x"),
        ("/v0/CloudOwner_RegionOne/x", "/api/multicloud-pike/v0/CloudOwner_RegionOne/x"),
        ("/v0/CloudOwner_Region_Two/x", "/api/multicloud-pike/v0/CloudOwner_Region_Two/x"),
        ("/v1/CloudOwner/Region_Two/x", "/api/multicloud-pike/v1/CloudOwner/Region_Two/x"),
        ("/v0/CloudOwner_Titanium/x", "/api/multicloud-titaniumcloud/v0/CloudOwner_Titanium/x"),
        ("/v1/CloudOwner/StarlingX/x", "/api/multicloud-starlingx/v1/CloudOwner/StarlingX/x"),
        ("/v0/CloudOwner_Newest/x", "/api/multicloud-pike/v0/CloudOwner_Newest/x"),  # the type's default
        ("/v1/k8s/cluster-1/infra_workload", "/k8s/cluster-1/infra_workload"),  # strip_prefix
    ],
)
def test_a_region_leads_to_its_plugin(broker: Process, plugin: Simulated, path: str, target: str) -> None:
    assert broker.ask("GET", BASE + path)[0] == 200
    assert [one["target"] for one in plugin.asked()] == [target]


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/v0/nounderscore/x", 400, "vim_id"),
        ("/v0/nounderscore", 400, "vim_id"),
        ("/v0/_region/x", 400, "vim_id"),
        ("/v0/owner_/x", 400, "vim_id"),
        ("/v0/ow%20ner_r/x", 400, "vim_id"),
        ("/v1/own.er/region/x", 400, "cloud-owner"),
        ("/v0/CloudOwner_Nowhere/x", 404, "CloudOwner_Nowhere"),
        ("/v1/CloudOwner/Nowhere/x", 404, "CloudOwner_Nowhere"),
        ("/v0/CloudOwner_Typeless/x", 502, "cloud-type"),
        ("/v0/CloudOwner_Unserved/x", 502, "abacus"),
        ("/v0/k8s_cluster-1/x", 404, "multicloud-k8s"),  # it has no v0
        ("/v1/onlyowner", 404, "swagger.json"),
        ("/v2/vmware_fake/x", 404, "swagger.json"),
        ("/v0/vim_types/x", 404, "swagger.json"),
        ("/v0", 404, "swagger.json"),
    ],
)
def test_a_region_that_cannot_be_served_says_why(
    broker: Process, plugin: Simulated, aai: Simulated, path: str, status: int, named: str
) -> None:
    got, headers, body = broker.ask("GET", BASE + path)
    error = json.loads(body)["error"]
    assert (got, error["code"], headers["Content-Type"]) == (status, status, "application/json")
    assert named in error["message"]
    assert plugin.asked() == []


def test_aai_is_asked_as_it_wants_to_be(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    with a_broker(framework, **scene) as broker:
        broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x", headers={"X-TransactionId": "t-1"})
    (asked,) = aai.asked()
    assert asked["target"] == "/aai/v13/cloud-infrastructure/cloud-regions/cloud-region/CloudOwner/RegionOne"
    assert (of(asked, "X-FromAppId"), of(asked, "X-TransactionId")) == (["MultiCloud"], ["t-1"])
    assert of(asked, "Accept") == ["application/json"]
    assert of(asked, "Authorization")[0].startswith("Basic ")


def test_the_well_known_region_needs_no_inventory(broker: Process, aai: Simulated, plugin: Simulated) -> None:
    assert broker.ask("GET", V0 + "/x")[0] == 200
    assert aai.asked() == []


def test_a_region_is_looked_up_once(scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated) -> None:
    with a_broker(framework, **scene) as broker:
        for _ in range(5):
            assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200
    assert len(aai.asked()) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/registry"), ("DELETE", ""), ("POST", "/registry/"), ("DELETE", "/")]
)
@pytest.mark.parametrize("region", ["/v0/CloudOwner_RegionOne", "/v1/CloudOwner/RegionOne"])
def test_registering_and_unregistering_forget_the_region(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated, method: str, path: str, region: str
) -> None:
    with a_broker(framework, **scene) as broker:
        broker.ask("GET", BASE + region + "/x")
        before = len(aai.asked())
        status, _, body = broker.ask(method, BASE + region + path, b"")
        assert (status, body) == (202 if method == "POST" else 204, b"")
        broker.ask("GET", BASE + region + "/x")
        assert len(aai.asked()) > before


@pytest.mark.parametrize(
    ("fault", "status"),
    [("status=401", 502), ("status=403", 502), ("status=500", 502), ("status=400", 502), ("garbage", 502),
     ("close", 502), ("cut", 502), ("delay=5", 504)],
)  # fmt: skip
def test_each_failure_of_aai_is_told_apart(
    scene: dict[str, str], framework: str, aai: Simulated, fault: str, status: int
) -> None:
    aai.faults({"path": "cloud-region/CloudOwner", "fault": fault})
    with a_broker(framework, **scene, BROKER_AAI_CONNECT_TIMEOUT="0.5", BROKER_AAI_RESPONSE_TIMEOUT="0.5") as broker:
        got, _, body = broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")
        assert got == status, body
        assert "A&AI" in json.loads(body)["error"]["message"]
        assert broker.end() == 0
    assert PASSWORD not in "".join(broker.lines)


def test_the_last_known_answer_serves_while_aai_fails(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    with a_broker(framework, **scene, BROKER_INVENTORY_CACHE_TTL="0") as broker:
        assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200
        aai.faults({"fault": "status=503"})
        assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200
        assert "inventory_cache_stale_total 1.0" in broker.ask("GET", "/metrics")[2].decode()


def test_without_aai_the_built_in_region_is_served_and_others_are_explained(framework: str) -> None:
    with a_broker(framework) as broker:
        status, _, body = broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")
        assert (status, "AAI_ADDR" in body.decode()) == (404, True), body


def test_regions_of_a_file(framework: str, scene: dict[str, str], plugin: Simulated, tmp_path) -> None:
    file = tmp_path / "regions.yaml"
    file.write_text("- {cloud-owner: lab, cloud-region-id: one, cloud-type: openstack, cloud-region-version: pike}\n")
    with a_broker(framework, **scene, BROKER_INVENTORY_REGIONS_FILE=str(file)) as broker:
        assert broker.ask("GET", f"{BASE}/v0/lab_one/x")[0] == 200
    assert plugin.asked()[0]["target"] == "/api/multicloud-pike/v0/lab_one/x"


def test_msb_gets_what_has_no_endpoint(framework: str, plugin: Simulated) -> None:
    with a_broker(framework, MSB_PROTO="http", MSB_ADDR="127.0.0.1", MSB_PORT=str(plugin.port)) as broker:
        assert broker.ask("GET", V0 + "/x")[0] == 200
    assert plugin.asked()[0]["target"] == "/api/multicloud-vio/v0/vmware_fake/x"


def test_the_values_of_todays_chart_mean_unset(framework: str) -> None:
    """MSB_ADDR=.onap and empty ports: the plugin's Kubernetes service is tried, and named when it is not there."""
    todays = {
        "MSB_PROTO": "http",
        "MSB_ADDR": ".onap",
        "MSB_PORT": "",
        "AAI_ADDR": "",
        "AAI_PORT": "",
        "AAI_PROTOCOL": "http",
    }
    with a_broker(framework, **todays) as broker:
        status, _, body = broker.ask("GET", V0 + "/x")
    assert status == 502
    assert "multicloud-vio" in json.loads(body)["error"]["message"]


def test_every_worker_forgets_a_region_that_is_registered(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated
) -> None:
    with a_broker(framework, 2, **scene) as broker:

        def all_know() -> bool:
            with contextlib.ExitStack() as stack:  # one connection is one worker's, and of many each has its share
                for sock in [stack.enter_context(broker.connect()) for _ in range(12)]:
                    sock.sendall(f"GET {BASE}/v0/CloudOwner_RegionOne/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    assert sock.recv(65536).startswith(b"HTTP/1.1 200")
            return len(aai.asked()) == 2

        until(lambda: sum("serves" in line for line in broker.lines) == 2)
        until(all_know)
        broker.ask("POST", f"{BASE}/v0/CloudOwner_RegionOne/registry", b"")
        aai.control("DELETE", "/_recorded")
        until(all_know)


def test_a_password_file_that_is_gone_is_aais_failure_and_its_path_is_not_told(
    scene: dict[str, str], framework: str, aai: Simulated, plugin: Simulated, tmp_path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    settings = {name: value for name, value in scene.items() if name != "AAI_PASSWORD"}
    with a_broker(framework, **settings, AAI_PASSWORD_FILE=str(file), BROKER_INVENTORY_CACHE_TTL="0") as broker:
        assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200
        file.unlink()
        assert broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")[0] == 200  # the last known answer
        status, _, body = broker.ask("GET", f"{BASE}/v0/CloudOwner_Titanium/x")
        assert (status, str(file) in body.decode()) == (502, False)
        assert broker.end() == 0
    assert [line for line in broker.lines if str(file) in line]
