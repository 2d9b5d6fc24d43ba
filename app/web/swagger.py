"""The table of routes as Swagger 2.0 documents, one a version."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app import VERSION
from app.web import schemas
from app.web.api import Operation, Route, RouteTable
from app.web.schemas import Schema

PARAMETER = re.compile(r"\{(\w+)\}")
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
    item: dict[str, object] = {method.lower(): _operation(route, method) for method in route.operations}
    if route.own and "GET" in route.operations:
        item["head"] = {**_operation(route, "GET"), "operationId": _operation_id(route, "HEAD")}
    names = PARAMETER.findall(route.path)
    if names:
        item["parameters"] = [{"name": name, "in": "path", "required": True, "type": "string"} for name in names]
    return item


def _operation(route: Route, method: str) -> dict[str, object]:
    operation = route.operations[method]
    described: dict[str, object] = {
        "operationId": _operation_id(route, method),
        "summary": operation.summary,
        "tags": [route.tag],
        "responses": _responses(operation),
    }
    parameters = _parameters(operation, required=route.own)
    if parameters:
        described["parameters"] = parameters
    if operation.consumes != ("application/json",):
        described["consumes"] = list(operation.consumes)
    return described


def _operation_id(route: Route, method: str) -> str:
    return "_".join(re.findall(r"[A-Za-z0-9]+", f"{method.lower()} {route.version} {route.path}"))


def _parameters(operation: Operation, *, required: bool) -> list[dict[str, object]]:
    """`required`: only of the broker's own endpoints does it know that they need their body."""
    parameters: list[dict[str, object]] = [{"name": name, "in": "query", "type": "string"} for name in operation.query]
    if operation.body is not None:
        parameters.append({"name": "body", "in": "body", "required": required, "schema": _plain(operation.body)})
    return parameters


def _responses(operation: Operation) -> dict[str, object]:
    responses: dict[str, object] = {
        str(status): {"description": PHRASES[status]} | ({"schema": _plain(body)} if body is not None else {})
        for status, body in operation.answers.items()
    }
    responses["default"] = {"description": "An error of the broker's own", "schema": {"$ref": "#/definitions/Error"}}
    return responses


def _plain(schema: Schema) -> dict[str, object]:
    """JSON Schema less what Swagger 2.0 does not know: a list of types means any."""
    plain: dict[str, object] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            continue
        if key == "properties" and isinstance(value, Mapping):
            plain[key] = {name: _plain(part) for name, part in value.items()}
        elif isinstance(value, Mapping):
            plain[key] = _plain(value)
        else:
            plain[key] = value
    return plain
