"""Checks the bodies of the broker's own endpoints by what the table of routes declares."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

import fastjsonschema

from app.errors import BadRequest
from app.web.api import VERSIONS, Route, RouteTable


class Validation:
    """The compiled schemas of a table's own endpoints. Forwarded bodies are never looked at."""

    def __init__(self, table: RouteTable) -> None:
        self._checks: dict[tuple[str, str], Callable[[Any], Any]] = {
            (route.template, method): fastjsonschema.compile(dict(operation.body))
            for version in VERSIONS
            for route in table.own_routes(version)
            for method, operation in route.operations.items()
            if operation.body is not None
        }

    def read(self, route: Route, method: str, body: bytes) -> Any:
        """The body's JSON document; raises `BadRequest` that names what is wrong with it."""
        try:
            document = json.loads(body, parse_constant=_no_json, parse_float=_finite)
        except (ValueError, RecursionError):
            raise BadRequest("Send the body as JSON.") from None
        try:
            self._checks[route.template, method](document)
        except fastjsonschema.JsonSchemaValueException as error:
            raise BadRequest(f"Send a body as declared in swagger.json: {error.message}.") from None
        return document


def _finite(text: str) -> float:
    """1e999 would be sent on as Infinity."""
    value = float(text)
    return value if math.isfinite(value) else _no_json(text)


def _no_json(constant: str) -> NoReturn:
    """Python's parser takes NaN and Infinity, which are no JSON (RFC 8259, 6)."""
    raise ValueError(constant)
