"""That the adapter overrides what this Django calls, and nothing that it does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern

from app.core.message import Request, Response
from app.errors import NotFound
from app.web.api import VERSIONS, Route, builtin
from app.web.django_api.application import BrokerHandler, application
from app.web.django_api.http import BrokerRequest
from app.web.django_api.urls import urlpatterns
from app.web.edge import REQUEST


class Handlers:
    """A broker of which only the table is asked for."""

    table = builtin()


def test_what_the_handler_overrides_is_what_django_calls() -> None:
    assert "_get_response" in vars(BrokerHandler)
    assert "self._get_response" in inspect.getsource(BaseHandler)


def test_the_middleware_chain_is_what_django_calls() -> None:
    assert "self._middleware_chain" in inspect.getsource(BaseHandler)
    assert issubclass(BrokerHandler, WSGIHandler)
    assert issubclass(BrokerRequest, WSGIRequest)


@pytest.mark.parametrize("version", VERSIONS)
def test_own_routes_win_and_everything_resolves(version: str) -> None:
    resolver = URLResolver(RegexPattern(r"^/?"), urlpatterns(Handlers()))
    for route in Handlers.table.own_routes(version):
        match = resolver.resolve(f"/api/multicloud/{version}{route.path}")
        assert match.args == (route.path.lstrip("/"),)
    region = {"v0": "/o_r", "v1": "/o/r"}[version]
    assert resolver.resolve(f"/api/multicloud/{version}{region}/x").args == tuple(region[1:].split("/"))
    for path in ("", "*", "/", "//", f"/api/multicloud/{version}"):
        try:
            with pytest.raises(NotFound):
                resolver.resolve(path).func(None)
        except Resolver404:
            pytest.fail(f"{path!r} resolves to nothing")


def environ_of(path: str) -> dict[str, object]:
    return {"PATH_INFO": path, "REQUEST_METHOD": "GET", REQUEST: Request("GET", path.encode(), [], None, "id", "")}


class Answering(Handlers):
    def own(self, route: Route, request: Request) -> Response:
        return Response(200, "OK", [("X-Route", route.template)], [b"own"])

    def forward(self, version: str, names: tuple[str, ...], request: Request) -> Response:
        return Response(200, "OK", [("X-Names", " ".join((version, *names)))], [b"forwarded"])


@pytest.fixture
def configured() -> None:
    application(Answering())


PATHS = [f"/api/multicloud/{version}{rest}" for version in VERSIONS for rest in (
    "/vim_types", "/swagger.json", "/check_vim_capacity", "/o_r/x", "/o/r", "/o/r/x/", "/vim_types/x", "/vim_types_x/y",
    "//", "/a/", "/%2F/b", "", "x")]  # fmt: skip


@pytest.mark.parametrize(
    "path", [*PATHS, "", "/", "//", "*", "api/multicloud/v0/vim_types", "//api/multicloud/v0/vim_types"]
)
def test_the_short_way_finds_what_the_resolver_finds(path: str, configured: None) -> None:
    handler = BrokerHandler(Answering())
    match = handler._resolver.resolve(path)
    assert handler._find(path) == (match.func, match.args)


SEEN: list[object] = []


def middleware(get_response: Callable[[object], object]) -> Callable[[object], object]:
    def run(request: BrokerRequest) -> object:
        response = get_response(request)
        SEEN.append((request.path, request.resolver_match.args, response.status_code))
        return response

    return run


def test_middleware_runs_where_it_is_configured(configured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    path, told = "/api/multicloud/v0/o_r/x", []
    with monkeypatch.context() as patched:
        patched.setattr(settings, "MIDDLEWARE", [f"{__name__}.middleware"])
        long = list(BrokerHandler(Answering())(environ_of(path), lambda *arguments: told.append(arguments)))
    assert [(path, ("o_r",), 200)] == SEEN
    assert list(BrokerHandler(Answering())(environ_of(path), lambda *arguments: told.append(arguments))) == long
    assert told[0] == told[1] == ("200 OK", [("X-Names", "v0 o_r")])
