"""That the adapter overrides what this Pecan calls, and nothing that it does not."""

from __future__ import annotations

import inspect

import pytest
from pecan.core import ExplicitPecan, PecanBase

from app.errors import NotFound
from app.web.api import VERSIONS, builtin
from app.web.pecan_api.application import BrokerPecan
from app.web.pecan_api.controllers import RootController


class Handlers:
    """A broker of which only the table is asked for."""

    table = builtin()


@pytest.mark.parametrize("name", ["route", "find_controller", "invoke_controller", "_handle_empty_response_body"])
def test_what_the_application_overrides_is_what_pecan_calls(name: str) -> None:
    assert name in vars(BrokerPecan)
    assert f"self.{name}(" in inspect.getsource(PecanBase) + inspect.getsource(ExplicitPecan)


def route(path: str) -> tuple[str, list[str]]:
    method, names = RootController(Handlers())._route(path.split("/")[1:], None)
    return method.__name__, names


@pytest.mark.parametrize("version", VERSIONS)
def test_own_routes_win_and_the_rest_is_a_regions(version: str) -> None:
    base = f"/api/multicloud/{version}"
    for own in Handlers.table.own_routes(version):
        assert route(base + own.path) == ("index", [])
    region = {"v0": "/o_r", "v1": "/o/r"}[version]
    assert route(f"{base}{region}/x/y") == ("forward", region[1:].split("/"))


@pytest.mark.parametrize(
    "path", ["", "*", "/", "//", "/api/multicloud", "/api/multicloud/v0", "/api/multicloud/v0/vim_types/x"]
)
def test_what_no_route_takes_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        route(path)
