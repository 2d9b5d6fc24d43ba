"""The URLconf and its views; each maps a path to a handler of the broker and adds nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from django.http import HttpRequest
from django.urls import URLPattern, re_path

from app.web.api import VERSIONS, Route
from app.web.broker import Broker, no_such_path
from app.web.django_api.http import BrokerRequest, BrokerResponse
from app.web.edge import REQUEST

View = Callable[..., BrokerResponse]


def urlpatterns(broker: Broker) -> list[URLPattern]:
    """A region's pattern comes first, since most requests are for one, and leaves the own endpoints' names out."""
    regions, own_routes = [], []
    for version in VERSIONS:
        base = f"^api/multicloud/{version}/"
        routes = {route.path.lstrip("/"): route for route in broker.table.own_routes(version)}
        own_name = "|".join(map(re.escape, routes))
        names = "/".join(["([^/]*)"] * broker.table.region_segments(version))
        regions.append(re_path(f"{base}(?!(?:{own_name})(?:/|$)){names}(?:/|$)", region(broker, version)))
        own_routes.append(re_path(f"{base}({own_name})$", own(broker, routes)))
    return [*regions, *own_routes, re_path("", unknown)]


def own(broker: Broker, routes: Mapping[str, Route]) -> View:
    def view(request: BrokerRequest, name: str) -> BrokerResponse:
        return BrokerResponse(broker.own(routes[name], request.environ[REQUEST]))

    return view


def region(broker: Broker, version: str) -> View:
    def view(request: BrokerRequest, *names: str) -> BrokerResponse:
        return BrokerResponse(broker.forward(version, names, request.environ[REQUEST]))

    return view


def unknown(_: HttpRequest, *__: str) -> BrokerResponse:
    raise no_such_path()
