from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.web.api import Operation, Route, RouteTable, builtin
from app.web.swagger import document

METHODS = {"get", "put", "post", "delete", "options", "head", "patch"}
BOTH = pytest.mark.parametrize("version", ["v0", "v1"])


def made(version: str) -> dict[str, Any]:
    """The document as a client reads it."""
    found: dict[str, Any] = json.loads(json.dumps(document(builtin(), version)))
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in found["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a document."""
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from parts(child)


@BOTH
def test_it_is_a_swagger_document_of_its_version(version: str) -> None:
    found = made(version)
    assert found["swagger"] == "2.0"
    assert found["basePath"] == f"/api/multicloud/{version}"
    assert {"title", "version"} <= set(found["info"])


@BOTH
def test_every_route_of_the_version_is_in_it_and_no_other(version: str) -> None:
    expected = {(r.path, m.lower()) for r in builtin().routes if r.version == version for m in r.operations}
    expected |= {("/vim_types", "head"), ("/swagger.json", "head")}
    assert {(path, method) for path, method, _ in operations(made(version))} == expected


def test_operation_ids_tell_operations_apart_in_both_documents() -> None:
    ids = [operation["operationId"] for version in ("v0", "v1") for _, _, operation in operations(made(version))]
    assert len(ids) == len(set(ids))


@BOTH
def test_every_parameter_of_a_path_is_declared(version: str) -> None:
    for path, item in made(version)["paths"].items():
        declared = [p["name"] for p in item.get("parameters", []) if p["in"] == "path" and p["required"] is True]
        assert declared == re.findall(r"\{(\w+)\}", path)


@BOTH
def test_an_operation_has_answers_at_most_one_body_and_a_known_tag(version: str) -> None:
    found = made(version)
    tags = {tag["name"] for tag in found["tags"]}
    for _, _, operation in operations(found):
        assert all(answer["description"] for answer in operation["responses"].values())
        assert [p["in"] for p in operation.get("parameters", [])].count("body") <= 1
        assert set(operation["tags"]) <= tags


@BOTH
def test_no_schema_says_what_swagger_does_not_know(version: str) -> None:
    for part in parts(made(version)):
        assert not isinstance(part.get("type"), list)
        assert part.get("$ref", "#/definitions/Error") == "#/definitions/Error"


def test_an_own_endpoint_fails_with_the_brokers_error_and_a_plugin_as_it_likes() -> None:
    found = made("v0")
    assert found["definitions"]["Error"]["required"] == ["error"]
    for _, _, operation in operations(found):
        error = operation["responses"]["default"]
        own = operation["tags"] == ["broker"]
        assert error["schema"] == ({"$ref": "#/definitions/Error"} if own else {})
        assert own or "#/definitions/Error" in error["description"]


def test_what_the_broker_reads_of_a_path_has_its_pattern() -> None:
    (vim_id,) = made("v0")["paths"]["/{vim_id}"]["parameters"]
    assert re.fullmatch(vim_id["pattern"], "owner-1_region_2")
    assert not re.search(vim_id["pattern"], "no-region")
    owner, _, rest = made("v1")["paths"]["/{cloud_owner}/{cloud_region_id}/{rest}"]["parameters"]
    assert re.fullmatch(owner["pattern"], "an_owner")
    assert not re.search(owner["pattern"], "a/b")
    assert "pattern" not in rest


def test_the_head_of_a_document_has_none() -> None:
    item = made("v0")["paths"]["/swagger.json"]
    assert "schema" in item["get"]["responses"]["200"]
    assert item["head"]["responses"]["200"] == {"description": "OK"}


def test_a_body_is_required_where_an_empty_one_cannot_do() -> None:
    paths = made("v0")["paths"]
    required = {
        path: paths[path]["post"]["parameters"][0]["required"]
        for path in ("/check_vim_capacity", "/{vim_id}/{tenant_id}/networks", "/{vim_id}/registry")
    }
    assert list(required.values()) == [True, True, False]


def test_a_workload_may_be_multipart() -> None:
    """Beside a body parameter Swagger 2.0 has no other type of content than the body's: the text says it."""
    item = made("v1")["paths"]["/{cloud_owner}/{cloud_region_id}/infra_workload"]
    assert "consumes" not in item["post"]
    assert "multipart/form-data" in item["post"]["description"]
    assert item["post"]["responses"].keys() == {"201", "default"}
    assert item["get"]["parameters"] == [{"name": "name", "in": "query", "type": "string"}]


def test_a_body_is_described_less_the_types_that_swagger_cannot_say() -> None:
    (parameter,) = made("v0")["paths"]["/check_vim_capacity"]["post"]["parameters"]
    assert parameter["in"] == "body"
    assert parameter["schema"]["properties"]["Memory"] == {"description": "A number or a string"}
    assert parameter["schema"]["properties"]["VIMs"] == {"type": "array", "items": {"type": "string"}}
    assert parameter["schema"]["required"] == ["VIMs"]


def test_a_property_called_type_is_no_type() -> None:
    body = {"type": "object", "properties": {"type": {"type": ["string", "null"]}}}
    table = RouteTable((Route("v0", "/x", {"PUT": Operation("X", {200: body})}, "x"),))
    paths: Any = document(table, "v0")["paths"]
    assert paths["/x"]["put"]["responses"]["200"]["schema"] == {
        "type": "object",
        "properties": {"type": {"description": "A string or a null"}},
    }
