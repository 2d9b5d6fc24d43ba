"""The tree of controllers; each maps a path to a handler of the broker and adds nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from pecan import expose

from app.core.message import Response
from app.web.api import VERSIONS, Route
from app.web.broker import Broker, no_such_path
from app.web.edge import REQUEST

Found = tuple[Callable[..., Response], list[str]]
"""A controller's method and the path's segments that are its arguments, as Pecan's `_route` returns them."""

Method = TypeVar("Method", bound=Callable[..., object])

PREFIX = ["api", "multicloud"]


def exposed(method: Method) -> Method:
    """Pecan's `expose`, typed."""
    return cast("Method", expose()(method))


class OwnController:
    """One of the broker's own endpoints."""

    def __init__(self, broker: Broker, route: Route) -> None:
        self._broker = broker
        self._route_entry = route

    @exposed
    def index(self, req: Any, resp: Any) -> Response:  # noqa: ARG002  Pecan gives both
        return self._broker.own(self._route_entry, req.environ[REQUEST])


class RegionController:
    """All below a region: forwarded."""

    def __init__(self, broker: Broker, version: str) -> None:
        self._broker = broker
        self._version = version

    @exposed
    def forward(self, req: Any, resp: Any, *names: str) -> Response:  # noqa: ARG002
        return self._broker.forward(self._version, names, req.environ[REQUEST])


class VersionController:
    """`/api/multicloud/v0` or `v1`: own endpoints by name, else a region."""

    def __init__(self, broker: Broker, version: str) -> None:
        own = broker.table.own_routes(version)
        self._own = {route.path.lstrip("/"): OwnController(broker, route) for route in own}
        self._region = RegionController(broker, version)
        self._names = broker.table.region_segments(version)

    @exposed
    def _route(self, args: list[str], request: Any) -> Found:  # noqa: ARG002
        own = self._own.get(args[0]) if args else None
        if own is not None and len(args) == 1:
            return own.index, []
        if own is not None or len(args) < self._names:
            raise no_such_path()
        return self._region.forward, args[: self._names]


class RootController:
    """The root of the tree."""

    def __init__(self, broker: Broker) -> None:
        self._versions = {version: VersionController(broker, version) for version in VERSIONS}

    @exposed
    def _route(self, args: list[str], request: Any) -> Found:
        version = self._versions.get(args[2]) if len(args) > 2 and args[:2] == PREFIX else None
        if version is None:
            raise no_such_path()
        return version._route(args[3:], request)
