"""That the adapter overrides what this Django calls, and nothing that it does not."""

from __future__ import annotations

import inspect

import pytest
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern

from app.errors import NotFound
from app.web.api import VERSIONS, builtin
from app.web.django_api.application import BrokerHandler
from app.web.django_api.http import BrokerRequest
from app.web.django_api.urls import urlpatterns


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
