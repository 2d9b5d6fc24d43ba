"""The table of routes as Swagger 2.0 documents, one a version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from app import VERSION
from app.core.region import NAME, VIM_ID
from app.web import schemas
from app.web.api import Operation, Route, RouteTable
from app.web.schemas import Schema

PARAMETER = re.compile(r"\{(\w+)\}")
PATTERNS: Mapping[str, str] = {
    "vim_id": f"^{VIM_ID.pattern}$",
    "cloud_owner": f"^{NAME.pattern}$",
    "cloud_region_id": f"^{NAME.pattern}$",
}
"""Of the parameters that the broker reads itself; all others are the plugin's."""

OWN_ERROR: Mapping[str, object] = {
    "description": "An error of the broker's own",
    "schema": {"$ref": "#/definitions/Error"},
}
ANY_ERROR: Mapping[str, object] = {
    "description": "An error: the plugin's as it sent it, or the broker's own, which is as `#/definitions/Error` says",
    "schema": schemas.ANYTHING,
}
"""Swagger 2.0 cannot say `either`, and a plugin's error may be anything."""

PHRASES: Mapping[int, str] = {200: "OK", 201: "Created", 202: "Accepted", 204: "No content", 404: "Not found"}


def document(table: RouteTable, version: str) -> dict[str, object]:
    """What the broker serves at `/api/multicloud/{version}`."""
    routes = [route for route in table.routes if route.version == version]
    return {
        "swagger": "2.0",
        "info": {
            "title": "ONAP MultiCloud",
            "version": VERSION,
            "description": "One API in front of every cloud: own endpoints (tag broker), all else forwarded unchanged "
            "to the plugin of the region. `{rest}` stands for any path and every method.",
        },
        "basePath": f"/api/multicloud/{version}",
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "tags": [{"name": tag} for tag in sorted({route.tag for route in routes})],
        "paths": {route.path: _path(route) for route in routes},
        "definitions": {"Error": _plain(schemas.ERROR)},
    }


def _path(route: Route) -> dict[str, object]:
    item: dict[str, object] = {name.lower(): _operation(route, name, what) for name, what in route.operations.items()}
    if route.own and "GET" in route.operations:
        item["head"] = _operation(route, "HEAD", replace(route.operations["GET"], answers={200: None}))
    names = PARAMETER.findall(route.path)
    if names:
        item["parameters"] = [_in_path(name) for name in names]
    return item


def _in_path(name: str) -> dict[str, object]:
    parameter: dict[str, object] = {"name": name, "in": "path", "required": True, "type": "string"}
    return parameter | ({"pattern": PATTERNS[name]} if name in PATTERNS else {})


def _operation(route: Route, method: str, operation: Operation) -> dict[str, object]:
    described: dict[str, object] = {
        "operationId": _operation_id(route, method),
        "summary": operation.summary,
        "tags": [route.tag],
        "responses": _responses(route, operation),
    }
    if operation.description:
        described["description"] = operation.description
    parameters = _parameters(operation)
    if parameters:
        described["parameters"] = parameters
    return described


def _operation_id(route: Route, method: str) -> str:
    return "_".join(re.findall(r"[A-Za-z0-9]+", f"{method.lower()} {route.version} {route.path}"))


def _parameters(operation: Operation) -> list[dict[str, object]]:
    """A body is required where it must hold something: an empty one cannot."""
    parameters: list[dict[str, object]] = [{"name": name, "in": "query", "type": "string"} for name in operation.query]
    if operation.body is not None:
        required = "required" in operation.body
        parameters.append({"name": "body", "in": "body", "required": required, "schema": _plain(operation.body)})
    return parameters


def _responses(route: Route, operation: Operation) -> dict[str, object]:
    responses: dict[str, object] = {
        str(status): {"description": PHRASES[status]} | ({"schema": _plain(body)} if body is not None else {})
        for status, body in operation.answers.items()
    }
    responses["default"] = OWN_ERROR if route.own else ANY_ERROR
    return responses


def _plain(schema: Schema) -> dict[str, object]:
    """JSON Schema less what Swagger 2.0 does not know: a list of types means any, and becomes the description."""
    plain: dict[str, object] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            plain["description"] = f"A {' or a '.join(value)}"
        elif key == "properties" and isinstance(value, Mapping):
            plain[key] = {name: _plain(part) for name, part in value.items()}
        elif isinstance(value, Mapping):
            plain[key] = _plain(value)
        else:
            plain[key] = value
    return plain
