"""The URLconf and its views; each maps a path to a handler of the broker and adds nothing."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.urls import URLPattern, re_path

from app.web.api import VERSIONS, Route
from app.web.broker import Broker, no_such_path
from app.web.django_api.http import BrokerRequest, BrokerResponse
from app.web.edge import REQUEST

View = Callable[..., BrokerResponse]


def urlpatterns(broker: Broker) -> list[URLPattern]:
    """Own endpoints first, since they win over regions that would be named like them."""
    patterns = []
    for version in VERSIONS:
        base = f"^api/multicloud/{version}/"
        for route in broker.table.own_routes(version):
            name = route.path.lstrip("/").replace(".", r"\.")
            patterns.append(re_path(f"{base}{name}$", own(broker, route)))
            patterns.append(re_path(f"{base}{name}/", unknown))
    for version in VERSIONS:
        names = "/".join(["([^/]*)"] * broker.table.region_segments(version))
        patterns.append(re_path(f"^api/multicloud/{version}/{names}(?:/|$)", region(broker, version)))
    patterns.append(re_path("", unknown))
    return patterns


def own(broker: Broker, route: Route) -> View:
    def view(request: BrokerRequest) -> BrokerResponse:
        return BrokerResponse(broker.own(route, request.environ[REQUEST]))

    return view


def region(broker: Broker, version: str) -> View:
    def view(request: BrokerRequest, *names: str) -> BrokerResponse:
        return BrokerResponse(broker.forward(version, names, request.environ[REQUEST]))

    return view


def unknown(_: HttpRequest, *__: str) -> BrokerResponse:
    raise no_such_path()
