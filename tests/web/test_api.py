from __future__ import annotations

import pytest

from app.web.api import Operation, Route, RouteTable, builtin

TABLE = builtin()
PLAIN = Operation("x", {200: None})


def declared(version: str) -> dict[str, Route]:
    return {route.path: route for route in TABLE.routes if route.version == version}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_brokers_own_endpoints(version: str) -> None:
    own = {route.path: (route.handler, route.methods) for route in TABLE.own_routes(version)}
    assert own == {
        "/vim_types": ("vim_types", ("GET", "HEAD")),
        "/swagger.json": ("swagger", ("GET", "HEAD")),
        "/check_vim_capacity": ("check_vim_capacity", ("POST",)),
    }


REGION_ROUTES = [
    ("", "GET DELETE"),
    ("/registry", "POST GET"),
    ("/extensions", "GET"),
    ("/identity/v3", "GET"),
    ("/identity/v3/auth/tokens", "GET POST"),
    ("/identity/v2.0", "GET"),
    ("/identity/v2.0/tokens", "POST"),
    ("/capacity_check", "POST"),
    ("/tenants", "GET"),
    ("/{tenant_id}/hosts", "GET"),
    ("/{tenant_id}/hosts/{host_name}", "GET"),
    ("/{tenant_id}/limits", "GET"),
    ("/{tenant_id}/servers/{server_id}/action", "POST"),
    ("/{tenant_id}/servers/{server_id}/os-interface", "GET POST"),
    ("/{tenant_id}/servers/{server_id}/os-interface/{port_id}", "GET DELETE"),
    ("/{rest}", "GET PUT POST DELETE OPTIONS HEAD PATCH"),
]
RESOURCES = ("image", "network", "subnet", "port", "flavor", "server", "volume")
WORKLOADS = [("/infra_workload", "POST GET"), ("/infra_workload/{workload_id}", "POST GET PUT DELETE")]


@pytest.mark.parametrize(("version", "region"), [("v0", "/{vim_id}"), ("v1", "/{cloud_owner}/{cloud_region_id}")])
def test_what_the_contract_has_below_a_region_is_declared_and_forwarded(version: str, region: str) -> None:
    lists = [(f"/{{tenant_id}}/{name}s", "GET POST") for name in RESOURCES]
    items = [(f"/{{tenant_id}}/{name}s/{{{name}_id}}", "GET DELETE") for name in RESOURCES]
    expected = {region + path: methods for path, methods in REGION_ROUTES + lists + items}
    if version == "v1":
        expected |= {region + path: methods for path, methods in WORKLOADS}
    found = {path: " ".join(route.operations) for path, route in declared(version).items() if not route.own}
    assert found == expected


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("", "DELETE", {204}),
        ("/registry", "POST", {202}),
        ("/registry", "GET", {200, 404}),
        ("/identity/v3/auth/tokens", "POST", {201}),
        ("/identity/v2.0/tokens", "POST", {200}),
        ("/infra_workload", "POST", {201}),
        ("/infra_workload/{workload_id}", "POST", {202}),
        ("/infra_workload/{workload_id}", "DELETE", {204, 404}),
        ("/{tenant_id}/servers", "POST", {200, 202}),
    ],
)
def test_what_clients_expect_is_declared(path: str, method: str, statuses: set[int]) -> None:
    operation = declared("v1")["/{cloud_owner}/{cloud_region_id}" + path].operations[method]
    assert set(operation.answers) == statuses


@pytest.mark.parametrize("path", ["/infra_workload", "/tenants", "/{tenant_id}/images"])
def test_a_name_can_be_asked_for(path: str) -> None:
    assert declared("v1")["/{cloud_owner}/{cloud_region_id}" + path].operations["GET"].query == ("name",)


@pytest.mark.parametrize(
    ("version", "segments", "template"),
    [("v0", 1, "/v0/{vim_id}/{rest}"), ("v1", 2, "/v1/{cloud_owner}/{cloud_region_id}/{rest}")],
)
def test_how_a_version_names_a_region(version: str, segments: int, template: str) -> None:
    assert TABLE.region_segments(version) == segments
    assert TABLE.region_template(version) == template


def test_templates_tell_routes_apart() -> None:
    with pytest.raises(ValueError, match="/v0/x is declared twice"):
        RouteTable((Route("v0", "/x", {"GET": PLAIN}), Route("v0", "/x", {"POST": PLAIN}, "own")))


def test_an_operators_own_route_joins_the_table() -> None:
    mine = Route("v0", "/mine", {"PUT": PLAIN}, "mine")
    table = RouteTable((*TABLE.routes, mine))
    assert table.own_routes("v0")[-1] is mine
    assert mine.template == "/v0/mine"
    assert [route.path for route in table.own_routes("v1")] == [route.path for route in TABLE.own_routes("v1")]


@pytest.mark.parametrize(
    ("methods", "found"),
    [("GET", "GET HEAD"), ("POST", "POST"), ("POST GET DELETE", "POST GET HEAD DELETE")],
)
def test_head_goes_with_get(methods: str, found: str) -> None:
    assert Route("v0", "/x", dict.fromkeys(methods.split(), PLAIN), "x").methods == tuple(found.split())
