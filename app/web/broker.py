"""What the API does, whichever framework routes to it: the broker's own endpoints, and forwarding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.core import address, target
from app.core.message import Request, Response
from app.core.origin import Origin
from app.core.plugins import PluginMap
from app.core.region import Region, from_pair, from_vim_id
from app.errors import MethodNotAllowed
from app.inventory.model import Inventory
from app.upstream.client import Client
from app.upstream.forward import Forwarder
from app.web.api import Route, RouteTable, allowed
from app.web.swagger import document

LOG = logging.getLogger(__name__)

CAPACITY_BODY = 1 << 20
"""Bytes of a check_vim_capacity request: 10,000 VIMs fit."""


class Gather(Protocol):
    """Runs functions side by side, at most `at_once`; results in order."""

    def __call__(self, functions: Sequence[Callable[[], object]], at_once: int) -> list[object]: ...


@dataclass(frozen=True, slots=True)
class CapacitySettings:
    """At most so many VIMs are asked at once; each may take `timeout` seconds."""

    concurrency: int
    timeout: float


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
    ) -> None:
        self.table = table
        self._plugins = plugins
        self._inventory = inventory
        self._forwarder = forwarder
        self._client = client
        self._gather = gather
        self._capacity = capacity_settings
        self._msb = msb
        self._vim_types = Response.json(200, plugins.vim_types())
        self._swagger = {version: Response.json(200, document(table, version)) for version in ("v0", "v1")}

    def own(self, route: Route, request: Request) -> Response:
        """One of the broker's own endpoints."""
        request.route = route.template
        methods = allowed(route)
        if request.method not in methods:
            raise MethodNotAllowed(f"Use {' or '.join(methods)} here.", methods)
        if route.handler == "vim_types":
            return self._vim_types.again()
        if route.handler == "swagger":
            return self._swagger[route.version].again()
        return self._check_vim_capacity(route.version, request)

    def forward(self, version: str, names: Sequence[str], request: Request) -> Response:
        """All below a region. `names`: the vim_id in v0, owner and region id in v1, as in the raw path."""
        request.route = self.table.region_template(version)
        target.check(request.target)
        region = from_vim_id(names[0]) if version == "v0" else from_pair(names[0], names[1])
        unregister = request.method == "DELETE" and self._names_region_only(version, request.target)
        if unregister or (request.method == "POST" and request.target.partition(b"?")[0].endswith(b"/registry")):
            self._inventory.forget(region)
        destination = self._destination(region, request.target, request.request_id)
        request.plugin = destination.plugin
        return self._forwarder.forward(request, destination)

    def _names_region_only(self, version: str, raw: bytes) -> bool:
        path = raw.partition(b"?")[0].rstrip(b"/")
        return path.count(b"/") == 3 + self.table.region_segments(version)

    def _destination(self, region: Region, raw: bytes, request_id: str) -> address.Destination:
        cloud = self._inventory.find(region, request_id)
        plugin = self._plugins.find(cloud.cloud_type, cloud.version, region)
        return address.route(plugin, raw, self._msb)
