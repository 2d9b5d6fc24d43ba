"""That the adapter overrides what this Pecan calls, and nothing that it does not."""

from __future__ import annotations

import inspect

import pytest
from pecan.core import ExplicitPecan, PecanBase
from pecan.hooks import PecanHook

from app.core.message import Request, Response
from app.errors import NotFound
from app.web.api import VERSIONS, Route, builtin
from app.web.edge import REQUEST
from app.web.pecan_api.application import BrokerPecan, PecanRequest, PecanResponse
from app.web.pecan_api.controllers import RootController


class Handlers:
    """A broker of which only the table is asked for."""

    table = builtin()


@pytest.mark.parametrize(
    "name", ["__call__", "route", "find_controller", "invoke_controller", "_handle_empty_response_body"]
)
def test_what_the_application_overrides_is_what_pecan_calls(name: str) -> None:
    assert name in vars(BrokerPecan)
    assert name == "__call__" or f"self.{name}(" in inspect.getsource(PecanBase) + inspect.getsource(ExplicitPecan)


class Recorder(PecanHook):
    """Notes when it runs."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def on_route(self, state: object) -> None:
        self.runs.append("on_route")

    def before(self, state: object) -> None:
        self.runs.append("before")

    def after(self, state: object) -> None:
        self.runs.append("after")

    def on_error(self, state: object, error: Exception) -> None:
        self.runs.append(type(error).__name__)


def answered(application: BrokerPecan, path: str) -> tuple[list[bytes], list[object]]:
    told: list[object] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", REQUEST: Request("GET", path.encode(), [], None, "id", "")}
    return list(application(environ, lambda *arguments: told.append(arguments))), told


def an_application(**options: object) -> tuple[BrokerPecan, RootController]:
    root = RootController(Answering())
    return BrokerPecan(
        root, request_cls=PecanRequest, response_cls=PecanResponse, force_canonical=False, **options
    ), root


class Answering(Handlers):
    def own(self, route: Route, request: Request) -> Response:
        return Response(200, "OK", [("X-Route", route.template)], [b"own"])


OWN = "/api/multicloud/v0/vim_types"


def test_the_short_way_answers_as_the_long_one_on_which_hooks_run() -> None:
    hook = Recorder()
    short, long = answered(an_application()[0], OWN), answered(an_application(hooks=[hook])[0], OWN)
    assert short == long == ([b"own"], [("200 OK", [("X-Route", "/v0/vim_types")])])
    assert hook.runs == ["on_route", "before", "after"]


def test_hooks_hear_of_an_error_on_the_long_way() -> None:
    hook = Recorder()
    with pytest.raises(NotFound):
        answered(an_application(hooks=[hook])[0], "/nothing")
    assert hook.runs == ["on_route", "NotFound", "after"]


def test_a_controllers_own_hooks_run() -> None:
    hook = Recorder()
    application, root = an_application()
    method, _ = root._route(OWN.split("/")[1:], None)
    before = method._pecan
    method.__func__._pecan = {**before, "hooks": [hook]}
    try:
        assert answered(application, OWN)[0] == [b"own"]
    finally:
        method.__func__._pecan = before
    assert hook.runs == ["before", "after"]


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
