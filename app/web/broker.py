"""What the API does, whichever framework routes to it: the broker's own endpoints, and forwarding."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from app.core import address, capacity, target
from app.core.message import Body, Request, Response
from app.core.origin import Origin
from app.core.plugins import PluginMap
from app.core.region import Region, from_pair, from_vim_id
from app.errors import BrokerError, ContentTooLarge, MethodNotAllowed, NotFound
from app.inventory.model import Inventory
from app.upstream.client import Client
from app.upstream.forward import Forwarder
from app.web.api import VERSIONS, Route, RouteTable, allowed
from app.web.swagger import document
from app.web.validation import Validation

LOG = logging.getLogger(__name__)

CAPACITY_BODY = 1 << 20
"""Bytes of a check_vim_capacity request: 10,000 VIMs fit."""


Zones = list[object] | None


class Gather(Protocol):
    """Runs functions side by side, at most `at_once`; results in order."""

    def __call__(self, functions: Sequence[Callable[[], Zones]], at_once: int) -> list[Zones]: ...


@dataclass(frozen=True, slots=True)
class CapacitySettings:
    """At most so many VIMs are asked at once; seconds for a connection to each, and for each in all."""

    concurrency: int
    connect_timeout: float
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
        self._validation = Validation(table)
        self._vim_types = Response.json(200, plugins.vim_types())
        self._swagger = {version: Response.json(200, document(table, version)) for version in VERSIONS}

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
        return self._check_vim_capacity(route, request)

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
        segments = request.target.partition(b"?")[0].rstrip(b"/").split(b"/")[4:]
        rest = segments[self.table.region_segments(version) :]
        return (request.method, rest) in (("POST", [b"registry"]), ("DELETE", []))

    def _destination(self, region: Region, raw: bytes, request_id: str) -> address.Destination:
        cloud = self._inventory.find(region, request_id)
        plugin = self._plugins.find(cloud.cloud_type, cloud.version, region)
        return address.route(plugin, raw, self._msb)

    def _check_vim_capacity(self, route: Route, request: Request) -> Response:
        """Asks all VIMs at once; one that fails or lingers drops out and is logged, never the rest."""
        version = route.version
        wanted = capacity.parse(version, self._validation.read(route, request.method, _small(request.body)))
        regions = list(dict.fromkeys(vim.region for vim in wanted.vims if vim.region is not None))
        asked = [partial(self._zones, version, region, wanted.body, request.request_id) for region in regions]
        found = dict(zip(regions, self._gather(asked, self._capacity.concurrency), strict=True))
        for vim in wanted.vims:
            if vim.region is None:
                LOG.warning("request %s: no region has the id %.200r: it drops out", request.request_id, vim.named)
        zones = [found[vim.region] if vim.region is not None else None for vim in wanted.vims]
        return Response.json(200, capacity.answer(version, wanted.vims, zones))

    def _zones(self, version: str, region: Region, body: bytes, request_id: str) -> list[object] | None:
        """The zones of a VIM with room, else None."""
        settings = self._capacity
        deadline = time.monotonic() + settings.timeout
        try:
            where = self._destination(region, capacity.target(version, region), request_id)
            headers = [(b"Content-Type", b"application/json"), (b"X-ONAP-RequestID", request_id.encode())]
            answer = self._client.fetch(
                where.origin, "POST", where.target, headers, body,
                connect_timeout=settings.connect_timeout, response_timeout=deadline - time.monotonic(),
            )  # fmt: skip
            return capacity.zones(answer.status, answer.body)
        except BrokerError as error:
            reason = error.message
        except (ValueError, RecursionError):
            reason = "its plugin's answer is no JSON"
        LOG.warning("request %s: %s drops out: %s", request_id, region.vim_id, reason)
        return None


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
