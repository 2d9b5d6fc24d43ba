"""The one table of routes: both frameworks' routes, the broker's own validation and both swagger documents.

Paths are below `/api/multicloud/{version}`. A route is the broker's `own`, or forwarded to a region's
plugin; a declared forwarded route describes what is there and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from app.web import schemas
from app.web.schemas import Schema

VERSIONS = ("v0", "v1")
REGION: Mapping[str, str] = {"v0": "/{vim_id}", "v1": "/{cloud_owner}/{cloud_region_id}"}
REST = "/{rest}"
SEGMENTS = {version: path.count("/") for version, path in REGION.items()}
REGION_TEMPLATES = {version: f"/{version}{path}{REST}" for version, path in REGION.items()}

ANY = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH")
"""The methods that Swagger 2.0 can describe; every other one that llhttp knows is forwarded too."""


@dataclass(frozen=True)
class Operation:
    """What a method does at a route; `answers` by status: None has no body; `query` names optional parameters."""

    summary: str
    answers: Mapping[int, Schema | None]
    body: Schema | None = None
    query: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Route:
    """A path of one version, its operations by method, and who handles it: `forward`, or one of the broker's own."""

    version: str
    path: str
    operations: Mapping[str, Operation]
    handler: str = "forward"
    tag: str = "region"

    @property
    def own(self) -> bool:
        return self.handler != "forward"

    @cached_property
    def template(self) -> str:
        """The route's label in metrics."""
        return f"/{self.version}{self.path}"

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Those of an own route; HEAD goes with GET."""
        return tuple(method for name in self.operations for method in ((name, "HEAD") if name == "GET" else (name,)))


@dataclass(frozen=True)
class RouteTable:
    """All routes. An operator's own come by making a table of `builtin().routes` and more."""

    routes: tuple[Route, ...]
    _own: dict[str, list[Route]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for route in self.routes:
            if route.template in seen:
                raise ValueError(f"the route {route.template} is declared twice")
            seen.add(route.template)
            if route.own:
                self._own.setdefault(route.version, []).append(route)

    def own_routes(self, version: str) -> list[Route]:
        """The broker's own endpoints; their names win over regions."""
        return self._own.get(version, [])

    def region_segments(self, version: str) -> int:
        """How many path segments name a region."""
        return SEGMENTS[version]

    def region_template(self, version: str) -> str:
        """The label in metrics of everything that is forwarded."""
        return REGION_TEMPLATES[version]


def builtin() -> RouteTable:
    """The table of the contract's section 1."""
    return RouteTable(tuple(route for version in VERSIONS for route in (*_own(version), *_region(version))))


def _own(version: str) -> Iterable[Route]:
    def get(answer: Schema, summary: str) -> Mapping[str, Operation]:
        return {"GET": Operation(summary, {200: answer})}

    yield Route(
        version, "/vim_types", get(schemas.VIM_TYPES, "The types and versions of clouds served"), "vim_types", "broker"
    )
    yield Route(version, "/swagger.json", get(schemas.FREE, "This document"), "swagger", "broker")
    check = Operation("The VIMs that have room", {200: schemas.WITH_ROOM[version]}, schemas.CHECK_CAPACITY[version])
    yield Route(version, "/check_vim_capacity", {"POST": check}, "check_vim_capacity", "broker")


def _region(version: str) -> Iterable[Route]:
    """What is declared below a region, alike in both versions but for infra_workload."""
    declared = [*_REGION_ROUTES, *_resources(), *(_WORKLOADS if version == "v1" else ())]
    for path, tag, operations in declared:
        yield Route(version, REGION[version] + path, operations, tag=tag)
    anything = Operation("Anything else of the region's plugin; every method", {200: schemas.ANYTHING})
    yield Route(version, REGION[version] + REST, dict.fromkeys(ANY, anything), tag="region")


Declared = tuple[str, str, Mapping[str, Operation]]

_REGION_ROUTES: tuple[Declared, ...] = (
    ("", "registry", {
        "GET": Operation("The region as its plugin knows it", {200: schemas.FREE}),
        "DELETE": Operation("Unregister the region", {204: None}),
    }),
    ("/registry", "registry", {
        "POST": Operation("Register the region and discover its resources", {202: None}, schemas.FREE),
        "GET": Operation("Whether the region is registered", {200: schemas.FREE, 404: None}),
    }),
    ("/extensions", "region", {"GET": Operation("What the plugin can do beyond this API", {200: schemas.FREE})}),
    ("/identity/v3", "identity", {"GET": Operation("The identity service", {200: schemas.FREE})}),
    ("/identity/v3/auth/tokens", "identity", {
        "GET": Operation("Validate a token", {200: schemas.FREE}),
        "POST": Operation("A token, in X-Subject-Token", {201: schemas.FREE}, schemas.TOKEN),
    }),
    ("/identity/v2.0", "identity", {"GET": Operation("The identity service, version 2", {200: schemas.FREE})}),
    ("/identity/v2.0/tokens", "identity", {"POST": Operation("A token", {200: schemas.FREE}, schemas.TOKEN)}),
    ("/capacity_check", "capacity", {
        "POST": Operation("Whether the region has room", {200: schemas.ROOM}, schemas.CAPACITY)}),
    ("/tenants", "volte", {"GET": Operation("The tenants", {200: schemas.TENANTS}, query=("name",))}),
    ("/{tenant_id}/hosts", "volte", {"GET": Operation("The hosts", {200: schemas.many("hosts", schemas.FREE)})}),
    ("/{tenant_id}/hosts/{host_name}", "volte", {"GET": Operation("A host", {200: schemas.FREE})}),
    ("/{tenant_id}/limits", "volte", {"GET": Operation("The tenant's limits and use", {200: schemas.FREE})}),
    ("/{tenant_id}/servers/{server_id}/action", "volte", {
        "POST": Operation("Start, stop or reboot a server", {202: None}, schemas.ACTION)}),
    ("/{tenant_id}/servers/{server_id}/os-interface", "volte", {
        "GET": Operation("A server's interfaces", {200: schemas.FREE}),
        "POST": Operation("Attach a port", {200: schemas.FREE}, schemas.FREE)}),
    ("/{tenant_id}/servers/{server_id}/os-interface/{port_id}", "volte", {
        "GET": Operation("An interface", {200: schemas.FREE}),
        "DELETE": Operation("Detach a port", {202: None})}),
)  # fmt: skip

_OR_MULTIPART = "The body may be `multipart/form-data` too; Swagger 2.0 can describe only one of the two."
_WORKLOADS: tuple[Declared, ...] = (
    ("/infra_workload", "workload", {
        "POST": Operation("Create a workload", {201: schemas.WORKLOAD}, schemas.FREE, description=_OR_MULTIPART),
        "GET": Operation("Find workloads", {200: schemas.FREE, 404: None}, query=("name",)),
    }),
    ("/infra_workload/{workload_id}", "workload", {
        "POST": Operation("Update a workload", {202: schemas.WORKLOAD}, schemas.FREE, description=_OR_MULTIPART),
        "GET": Operation("A workload", {200: schemas.WORKLOAD, 404: None}),
        "PUT": Operation("Replace a workload", {200: schemas.WORKLOAD}, schemas.FREE, description=_OR_MULTIPART),
        "DELETE": Operation("Delete a workload", {204: None, 404: None}),
    }),
)  # fmt: skip


def _resources() -> Iterable[Declared]:
    """VoLTE's resources: list, create, read, delete."""
    for plural in schemas.CREATE:
        singular = plural.removesuffix("s")
        one = schemas.one(plural)
        yield (
            f"/{{tenant_id}}/{plural}",
            "volte",
            {
                "GET": Operation(f"The {plural}", {200: schemas.many(plural, one)}, query=("name",)),
                "POST": Operation(f"Create a {singular}", {200: one, 202: one}, schemas.CREATE[plural]),
            },
        )
        yield (
            f"/{{tenant_id}}/{plural}/{{{singular}_id}}",
            "volte",
            {
                "GET": Operation(f"A {singular}", {200: one}),
                "DELETE": Operation(f"Delete a {singular}", {204: None}),
            },
        )
