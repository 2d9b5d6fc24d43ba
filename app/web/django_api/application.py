"""Django's WSGI handler, with what it does per request cut down to what this API needs.

No middleware is configured (one that is runs), no database, no signals; the URLconf is this
application's own. `tests/web/test_django_api.py` fails when Django's next version calls otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.urls import Resolver404, URLPattern, URLResolver
from django.urls.resolvers import RegexPattern

from app.web.broker import Broker
from app.web.django_api.http import BrokerRequest, BrokerResponse
from app.web.django_api.urls import View, urlpatterns
from app.web.edge import Application


class BrokerHandler(WSGIHandler):  # type: ignore[misc]  # Django has no types
    """Resolves by its own URLconf and returns what the views return."""

    def __init__(self, broker: Broker) -> None:
        self._resolver = URLResolver(RegexPattern(r"^/?"), urlpatterns(broker))
        self._views = [(_matching(pattern), pattern.callback) for pattern in self._resolver.url_patterns]
        super().__init__()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        response = self._middleware_chain(BrokerRequest(environ))
        if not isinstance(response, BrokerResponse):
            raise TypeError("a middleware replaced the response")
        start_response(response.response.status_line, response.items())
        return response.body

    def _get_response(self, request: BrokerRequest) -> BrokerResponse:
        """Django's own looks for view middleware, a transaction and a template at each request; here are none."""
        if not settings.MIDDLEWARE:
            view, arguments = self._find(request.path_info)
        else:  # which may look at it
            match = request.resolver_match = self._resolver.resolve(request.path_info)
            view, arguments = match.func, match.args
        response: BrokerResponse = view(request, *arguments)
        return response

    def _find(self, path: str) -> tuple[View, tuple[str, ...]]:
        """As the resolver, less the record of what it tried and under which names, of which nobody asks."""
        rest = path.removeprefix("/")
        for matching, view in self._views:
            found = matching(rest)
            if found:
                return view, found.groups()
        raise Resolver404({"path": path})


def _matching(pattern: URLPattern) -> Callable[[str], re.Match[str] | None]:
    """As `RegexPattern.match` does it."""
    regex: re.Pattern[str] = pattern.pattern.regex
    return regex.fullmatch if regex.pattern.endswith("$") else regex.search


def application(broker: Broker) -> Application:
    """The API as a WSGI application."""
    if not settings.configured:
        # an error goes on to `app.web.edge`; Django wants the name of a URLconf for that, and does not open it
        settings.configure(DEBUG_PROPAGATE_EXCEPTIONS=True, ROOT_URLCONF=__name__, LOGGING_CONFIG=None, USE_I18N=False)
    handler: Application = BrokerHandler(broker)
    return handler
