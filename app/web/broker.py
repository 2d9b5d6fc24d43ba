"""What the API does, whichever framework routes to it: the broker's own endpoints, and forwarding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from app.core import address, target
from app.core.message import Body, Request, Response
from app.core.origin import Origin
from app.core.plugins import PluginMap
from app.core.region import Region, from_pair, from_vim_id
from app.errors import ContentTooLarge, MethodNotAllowed, NotFound
from app.inventory.model import Inventory
from app.web.api import VERSIONS, Route, RouteTable
from app.web.capacity import CapacityCheck, CapacitySettings, Client, Gather
from app.web.swagger import document
from app.web.validation import Validation

CHANGING = ("POST", "DELETE")

CAPACITY_BODY = 1 << 20
"""Bytes of a check_vim_capacity request: 10,000 VIMs fit."""


class Forwarder(Protocol):
    """Who takes requests to plugins."""

    def check(self, destination: address.Destination) -> None:
        """Raises what keeps requests from there."""

    def forward(self, request: Request, destination: address.Destination) -> Response:
        """Raises the errors of `app.errors`."""


class Described:
    """What is made of a table of routes alone, in some 10 milliseconds: once, whatever configurations come."""

    def __init__(self, table: RouteTable) -> None:
        self.validation = Validation(table)
        self.swagger = {version: Response.json(200, document(table, version)) for version in VERSIONS}


class Broker:
    """The handlers. Raises the errors of `app.errors`; whoever calls it turns them into HTTP."""

    def __init__(
        self,
        table: RouteTable,
        plugins: PluginMap,
        inventory: Inventory,
        forwarder: Forwarder,
        client: Client,
        gather: Gather,
        capacity_settings: CapacitySettings,
        msb: Origin | None,
        described: Described | None = None,
    ) -> None:
        """`described`: that of the table, where it is made already."""
        self.table = table
        self._plugins = plugins
        self._inventory = inventory
        self._forwarder = forwarder
        self._msb = msb
        self._capacity = CapacityCheck(client, gather, capacity_settings, self._alive)
        self._vim_types = Response.json(200, plugins.vim_types())
        self._described = described or Described(table)
        self._handlers: Mapping[str, Callable[[Route, Request], Response]] = {
            "vim_types": self._answer_vim_types,
            "swagger": self._answer_swagger,
            "check_vim_capacity": self._check_vim_capacity,
        }
        unknown = {route.handler for version in VERSIONS for route in table.own_routes(version)} - set(self._handlers)
        if unknown:
            raise ValueError(f"the table of routes names handlers that do not exist: {', '.join(sorted(unknown))}")

    def own(self, route: Route, request: Request) -> Response:
        """One of the broker's own endpoints."""
        request.route = route.template
        if request.method not in route.methods:
            raise MethodNotAllowed(f"Use {' or '.join(route.methods)} here.", route.methods)
        return self._handlers[route.handler](route, request)

    def forward(self, version: str, names: Sequence[str], request: Request) -> Response:
        """All below a region. `names`: the vim_id in v0, owner and region id in v1, as in the raw path."""
        request.route = self.table.region_template(version)
        target.check(request.target)
        region = from_vim_id(names[0]) if version == "v0" else from_pair(names[0], names[1])
        changes = self._changes_region(version, request)
        if changes:
            self._inventory.forget(region)
        destination = self._destination(region, request.target, request.request_id)
        request.plugin = destination.plugin
        try:
            return self._forwarder.forward(request, destination)
        finally:
            if changes:  # what was looked up meanwhile may be the region as it was
                self._inventory.forget(region)

    def _changes_region(self, version: str, request: Request) -> bool:
        """Whether it is a registration or an unregistration (contract, section 1)."""
        if request.method not in CHANGING:
            return False
        segments = request.target.partition(b"?")[0].rstrip(b"/").split(b"/")[4:]
        rest = segments[self.table.region_segments(version) :]
        return (request.method, rest) in (("POST", [b"registry"]), ("DELETE", []))

    def _destination(self, region: Region, raw: bytes, request_id: str) -> address.Destination:
        cloud = self._inventory.find(region, request_id)
        plugin = self._plugins.find(cloud.cloud_type, cloud.version, region)
        return address.route(plugin, raw, self._msb)

    def _alive(self, region: Region, raw: bytes, request_id: str) -> address.Destination:
        """For capacity checks, which have bounds of their own, and say nothing about a plugin: that one which is left
        alone is not asked."""
        destination = self._destination(region, raw, request_id)
        self._forwarder.check(destination)
        return destination

    def _answer_vim_types(self, *_: object) -> Response:
        return self._vim_types.again()

    def _answer_swagger(self, route: Route, _: Request) -> Response:
        return self._described.swagger[route.version].again()

    def _check_vim_capacity(self, route: Route, request: Request) -> Response:
        document = self._described.validation.read(route, request.method, _small(request.body))
        return Response.json(200, self._capacity.answer(route.version, document, request.request_id))


def no_such_path() -> NotFound:
    """For what no route takes."""
    return NotFound("There is no such path; /api/multicloud/v0/swagger.json and /v1/swagger.json list what there is.")


def _small(body: Body) -> bytes:
    """A body whole; raises `ContentTooLarge`."""
    pieces, size = [], 0
    while piece := body.piece():
        size += len(piece)
        if size > CAPACITY_BODY:
            raise ContentTooLarge(f"Send at most {CAPACITY_BODY} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
