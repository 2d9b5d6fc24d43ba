"""What is served is what the one table of routes declares, and what both swagger documents say."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from app.web.api import VERSIONS, Route, builtin
from app.web.schemas import CHECK_CAPACITY, WITH_ROOM
from tests.conftest import Process
from tests.contract.conftest import BASE, Simulated

FORWARDED = [route for route in builtin().routes if not route.own]
OWN = [route for route in builtin().routes if route.own]


def path_of(route: Route) -> str:
    """The route with its parameters filled in."""
    names = {"vim_id": "vmware_fake", "cloud_owner": "vmware", "cloud_region_id": "fake", "rest": "any/thing"}
    return f"{BASE}/{route.version}" + re.sub(r"\{(\w+)\}", lambda name: names.get(name[1], "some-id"), route.path)


@pytest.mark.parametrize("route", FORWARDED, ids=lambda route: route.template)
def test_a_declared_forwarded_route_is_forwarded_by_each_method(
    broker: Process, plugin: Simulated, route: Route
) -> None:
    path = path_of(route)
    for method in route.operations:
        plugin.control("DELETE", "/_recorded")
        broker.ask(method, path, b"\xffno json" if method in ("POST", "PUT", "PATCH") else None)
        assert [(one["method"], one["target"]) for one in plugin.asked()] == [
            (method, path.replace("/multicloud/", "/multicloud-vio/"))
        ]


@pytest.mark.parametrize("route", OWN, ids=lambda route: route.template)
def test_an_own_route_takes_its_methods_and_refuses_others(broker: Process, route: Route) -> None:
    allowed = [name for method in route.operations for name in ((method, "HEAD") if method == "GET" else (method,))]
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, body = broker.ask(method, path_of(route))
        if method in allowed:
            assert status in (200, 400), method
        else:
            assert (status, headers["Allow"]) == (405, ", ".join(allowed)), method
            assert method == "HEAD" or json.loads(body)["error"]["reason"] == "Method-Not-Allowed"


@pytest.mark.parametrize("version", VERSIONS)
def test_swagger_names_every_route_of_the_table(broker: Process, version: str) -> None:
    status, headers, body = broker.ask("GET", f"{BASE}/{version}/swagger.json")
    document = json.loads(body)
    assert (status, headers["Content-Type"], document["swagger"]) == (200, "application/json", "2.0")
    served = {(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"}
    routes = [route for route in builtin().routes if route.version == version]
    declared = {(route.path, method.lower()) for route in routes for method in route.operations}
    declared |= {(route.path, "head") for route in routes if route.own and "GET" in route.operations}
    assert served == declared


def test_vim_types_are_the_maps_in_its_order(broker: Process) -> None:
    for version in VERSIONS:
        status, headers, body = broker.ask("GET", f"{BASE}/{version}/vim_types")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert json.loads(body) == [
            {"vim_type": "openstack", "versions": ["titanium_cloud", "starlingx", "ocata", "pike"]},
            {"vim_type": "vmware", "versions": ["4.0"]},
            {"vim_type": "k8s", "versions": ["v1"]},
        ]


def test_head_is_get_without_the_body(broker: Process) -> None:
    for route in OWN:
        if "GET" in route.operations:
            got, got_headers, body = broker.ask("GET", path_of(route))
            head, head_headers, nothing = broker.ask("HEAD", path_of(route))
            assert (head, head_headers["Content-Length"], nothing) == (got, str(len(body)), b"")
            assert got_headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("version", VERSIONS)
def test_check_vim_capacity_takes_and_gives_what_is_declared(broker: Process, plugin: Simulated, version: str) -> None:
    vims = {"v0": ["vmware_fake"], "v1": [{"cloud-owner": "vmware", "cloud-region-id": "fake"}]}[version]
    wanted = {"vCPU": 1, "Memory": "2", "VIMs": vims}
    jsonschema.validate(wanted, CHECK_CAPACITY[version])
    _, _, body = broker.ask("POST", f"{BASE}/{version}/check_vim_capacity", json.dumps(wanted).encode())
    jsonschema.validate(json.loads(body), WITH_ROOM[version])
    assert len(json.loads(body)["VIMs"]) == 1
