"""Django's request and response, with bodies and headers left as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponseBase

from app.core.message import Response


class BrokerRequest(WSGIRequest):  # type: ignore[misc]  # Django has no types
    """Django's own __init__ decodes the path and parses the content type; here the path is raw and the body is
    nobody's but the handler's (Django would refuse it above 2.5 MB)."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ
        self.method = environ["REQUEST_METHOD"]
        self.path = self.path_info = environ["PATH_INFO"]
        self.resolver_match = None


class BrokerResponse(HttpResponseBase):  # type: ignore[misc]
    """Holds the header list as it came: Django's own keeps one value a name and adds a type to a 304."""

    streaming = True

    def __init__(self, response: Response) -> None:
        self.response = response
        self.status_code = response.status
        self._resource_closers: list[Any] = []

    def items(self) -> list[tuple[str, str]]:
        return self.response.headers

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.response.body)

    @property
    def body(self) -> Iterable[bytes]:
        return self.response.body
