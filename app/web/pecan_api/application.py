"""Pecan's application object, with what it does per request cut down to what this API needs.

Pecan as it is takes 350 us a forwarded request: it builds a class for each `getargspec`, reads the body
before a controller runs (`req.json`, `req.params`), negotiates content types, and turns an empty 200
into a 204. All of it is replaced by overriding the methods that Pecan calls itself; routes come from
the controllers' `_route`, and hooks run when there are any. `tests/web/test_pecan_api.py` fails when
Pecan's next version calls them otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Arguments
from typing import Any

from pecan.core import ExplicitPecan
from pecan.util import _cfg
from webob import Request as WebObRequest

from app.core.message import Response
from app.web.broker import Broker
from app.web.edge import Application
from app.web.pecan_api.controllers import RootController


class PecanRequest(WebObRequest):  # type: ignore[misc]  # WebOb has no types
    """WebOb's request without Pecan's Python `__getattribute__`; both attributes are Pecan's own to set."""

    pecan: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


class PecanResponse:
    """What Pecan calls as the WSGI response: a handler's, passed on as it is."""

    def __init__(self, response: Response | None = None) -> None:
        self.response = response

    @property
    def status_int(self) -> int:
        return self.response.status if self.response else 200

    def __call__(self, _: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if self.response is None:
            raise RuntimeError("no controller answered")
        start_response(self.response.status_line, self.response.headers)
        return self.response.body


class BrokerPecan(ExplicitPecan):  # type: ignore[misc]  # Pecan has no types
    """Routes by the controllers' own `_route`, and leaves bodies alone, both ways."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Without hooks, which Pecan looks for six times a request, all that is left to do is to route and to call."""
        if not self.hooks:
            request = PecanRequest(environ)
            controller, names = self.route(request, self.root, environ["PATH_INFO"])
            if not _cfg(controller).get("hooks"):
                return PecanResponse(controller(request, None, *names))(environ, start_response)
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer

    def route(self, req: Any, node: Any, path: str) -> tuple[Callable[..., Response], list[str]]:
        found: tuple[Callable[..., Response], list[str]] = node._route(path.split("/")[1:], req)
        return found

    def find_controller(self, state: Any) -> tuple[Callable[..., Response], list[Any], dict[str, Any]]:
        request = state.request
        path = request.pecan["routing_path"] = request.environ["PATH_INFO"]
        self.handle_hooks(self.hooks, "on_route", state)
        controller, names = self.route(request, self.root, path)
        arguments = [request, state.response, *names]
        state.controller = controller
        state.arguments = Arguments(arguments, None, None)
        self.handle_hooks(self.determine_hooks(controller), "before", state)
        return controller, arguments, {}

    def invoke_controller(
        self, controller: Callable[..., Response], args: list[Any], kwargs: dict[str, Any], state: Any
    ) -> None:
        state.response = PecanResponse(controller(*args, **kwargs))

    def _handle_empty_response_body(self, state: Any) -> None:
        """An empty 200 stays a 200."""


def application(broker: Broker) -> Application:
    """The API as a WSGI application."""
    pecan: Application = BrokerPecan(
        RootController(broker), request_cls=PecanRequest, response_cls=PecanResponse, force_canonical=False
    )
    return pecan
