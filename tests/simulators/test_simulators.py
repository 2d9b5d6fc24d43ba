"""The simulators as processes: aai.py, plugin.py, http.py, regions.py and processes.py over real HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.core.plugins import PluginMap
from app.core.region import Region
from app.simulators.processes import SimulatorProcess
from app.simulators.regions import REGIONS, provider_plugins
from tests.conftest import ROOT, until

AAI = "/aai/v13/cloud-infrastructure/cloud-regions/cloud-region"
LOGIN = {
    "X-FromAppId": "MultiCloud",
    "X-TransactionId": "t",
    "Authorization": "Basic " + base64.b64encode(b"u:p").decode(),
}


def ask(
    port: int, method: str, path: str, document: object = None, headers: Mapping[str, str] = {}, host: str = "127.0.0.1"
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    body = None if document is None else json.dumps(document)
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content) if content else None


@pytest.fixture(scope="module")
def aai() -> Iterator[int]:
    with SimulatorProcess("aai", "--username", "u", password="p") as process:
        yield process.port


@pytest.fixture(scope="module")
def plugin() -> Iterator[int]:
    with SimulatorProcess("plugin", "--settle", "0") as process:
        yield process.port


def test_aai_answers_for_its_regions(aai: int) -> None:
    status, entry = ask(aai, "GET", f"{AAI}/CloudOwner/RegionOne", headers=LOGIN)
    assert (status, entry["cloud-type"], entry["cloud-region-version"]) == (200, "openstack", "pike")


@pytest.mark.parametrize("missing", LOGIN)
def test_aai_wants_its_headers_and_its_login(aai: int, missing: str) -> None:
    headers = {name: value for name, value in LOGIN.items() if name != missing}
    status, _ = ask(aai, "GET", f"{AAI}/CloudOwner/RegionOne", headers=headers)
    assert status == (401 if missing == "Authorization" else 400)


def test_aai_says_svc3001_of_what_it_does_not_know_and_learns(aai: int) -> None:
    status, error = ask(aai, "GET", f"{AAI}/new/region", headers=LOGIN)
    assert (status, error["requestError"]["serviceException"]["messageId"]) == (404, "SVC3001")
    assert ask(aai, "PUT", f"{AAI}/new/region", {"cloud-type": "vmware"}, LOGIN)[0] == 201
    assert ask(aai, "GET", f"{AAI}/new/region", headers=LOGIN)[1]["cloud-type"] == "vmware"
    assert ask(aai, "DELETE", f"{AAI}/new/region", headers=LOGIN)[0] == 204
    assert ask(aai, "GET", f"{AAI}/new/region", headers=LOGIN)[0] == 404


def test_the_map_of_the_demonstration_serves_every_region_but_the_two_that_go_wrong() -> None:
    found = PluginMap.parse(provider_plugins("http://127.0.0.1:1"))
    for entry in REGIONS:
        if entry["cloud-region-id"] not in ("Typeless", "Unserved"):
            region = Region(entry["cloud-owner"], entry["cloud-region-id"])
            assert found.find(entry["cloud-type"], entry["cloud-region-version"], region).endpoint


@pytest.mark.parametrize("base", ["/api/any/v0/o_r", "/api/any/v1/o/r", "/o/r"])
def test_the_plugin_serves_v0_v1_and_the_root(plugin: int, base: str) -> None:
    assert ask(plugin, "GET", base + "/tenants")[1]["vimId"] == "o_r"
    assert ask(plugin, "POST", base + "/registry", {})[0] == 202
    assert ask(plugin, "GET", base + "/registry")[0] == 200
    assert ask(plugin, "DELETE", base)[0] == 204
    assert ask(plugin, "GET", base + "/registry")[0] == 404


def test_workloads_as_so_expects(plugin: int) -> None:
    base = "/api/k8s/v1/o/r/infra_workload"
    status, made = ask(plugin, "POST", base, {})
    assert (status, set(made)) == (201, {"template_type", "workload_id", "template_response"})
    one = f"{base}/{made['workload_id']}"
    assert [ask(plugin, method, one)[0] for method in ("GET", "PUT", "POST", "DELETE", "DELETE", "GET")] == [
        200,
        200,
        202,
        204,
        404,
        404,
    ]


def test_capacity_is_what_was_set(plugin: int) -> None:
    path = "/api/any/v0/o_r/capacity_check"
    assert ask(plugin, "POST", path, {"vCPU": 1})[1]["result"] is True
    ask(plugin, "PUT", path, {"result": False})
    assert ask(plugin, "POST", path, {"vCPU": 1})[1] == {"result": False}


def test_interfaces_are_attached_and_detached(plugin: int) -> None:
    base = "/api/any/v0/i_f/t"
    network = ask(plugin, "POST", base + "/networks", {"name": "n", "networkType": "vlan", "shared": False})[1]["id"]
    port = ask(plugin, "POST", base + "/ports", {"name": "p", "networkId": network})[1]["id"]
    flavor = ask(plugin, "POST", base + "/flavors", {"name": "f", "vcpu": 1, "memory": 1, "disk": 1})[1]["id"]
    volume = ask(plugin, "POST", base + "/volumes", {"name": "v", "volumeSize": 1})[1]["id"]
    wanted = {"name": "s", "boot": {"type": 1, "volumeId": volume}, "flavorId": flavor}
    server = ask(plugin, "POST", base + "/servers", wanted)[1]["id"]
    interface = f"{base}/servers/{server}/os-interface"
    assert ask(plugin, "POST", interface, {"portId": port})[0] == 200
    assert ask(plugin, "GET", interface)[1] == {"interfaces": [{"portId": port}]}
    assert ask(plugin, "GET", f"{interface}/{port}")[1] == {"portId": port}
    assert ask(plugin, "DELETE", f"{base}/ports/{port}")[0] == 409
    assert [ask(plugin, "DELETE", f"{interface}/{port}")[0] for _ in range(2)] == [202, 404]
    assert ask(plugin, "GET", f"{interface}/{port}")[0] == 404
    assert ask(plugin, "POST", f"{base}/servers/{server}/action", {"explode": None})[0] == 400


def test_it_listens_on_ipv6_too() -> None:
    with SimulatorProcess("plugin", "--host", "::1") as process:
        assert ask(process.port, "GET", "/_healthz", host="::1")[0] == 200


def test_a_used_port_is_one_line(plugin: int) -> None:
    command = [sys.executable, "-m", "app", "simulate", "plugin", "--port", str(plugin)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert f"port {plugin}" in second.stderr


def test_it_ends_with_the_one_that_started_it() -> None:
    code = (
        "from app.simulators.processes import SimulatorProcess as S; s = S('plugin'); "
        "print(s._popen.pid, flush=True); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    started = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    pid = int(started.stdout)
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("document", [{}, [], "os-stop", 1])
@pytest.mark.parametrize("path", ["action", "os-interface"])
def test_a_body_that_says_nothing_is_the_clients_error(plugin: int, path: str, document: object) -> None:
    status, error = ask(plugin, "POST", f"/api/multicloud-vio/v0/vmware_fake/t/servers/s/{path}", document)
    assert (status, list(error)) == (404 if (path, document) == ("os-interface", {}) else 400, ["error"])
