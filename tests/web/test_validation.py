from __future__ import annotations

import json

import pytest

from app.errors import BadRequest
from app.web.api import Operation, Route, RouteTable, builtin
from app.web.schemas import TEXT, obj
from app.web.validation import Validation

TABLE = builtin()
CHECK = {
    version: next(route for route in TABLE.own_routes(version) if route.handler == "check_vim_capacity")
    for version in ("v0", "v1")
}
PAIR = {"cloud-owner": "a", "cloud-region-id": "b"}


def read(version: str, body: bytes) -> object:
    return Validation(TABLE).read(CHECK[version], "POST", body)


@pytest.mark.parametrize(
    ("version", "document"),
    [
        ("v0", {"VIMs": []}),
        ("v0", {"VIMs": ["a_b", "no region"], "vCPU": 1, "Memory": "4", "Storage": 1.5, "more": None}),
        ("v1", {"VIMs": [PAIR, {**PAIR, "more": 1}]}),
    ],
)
def test_a_body_of_the_declared_shape_is_read_as_it_is(version: str, document: object) -> None:
    assert read(version, json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"{'VIMs': []}", b"[" * 100_000, b'{"VIMs": [], "vCPU": NaN}',
     b'{"VIMs": [], "vCPU": -Infinity}'],
    ids=lambda body: body[:30].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_json_is_the_clients_error(body: bytes) -> None:
    with pytest.raises(BadRequest, match="Send the body as JSON"):
        read("v0", body)


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("v0", b"1"),
        ("v0", b"null"),
        ("v0", b"[]"),
        ("v0", b"{}"),
        ("v0", b'{"VIMs": null}'),
        ("v0", b'{"VIMs": "a_b"}'),
        ("v0", b'{"VIMs": [1]}'),
        ("v0", b'{"VIMs": [{"cloud-owner": "a", "cloud-region-id": "b"}]}'),
        ("v0", b'{"VIMs": [], "vCPU": null}'),
        ("v0", b'{"VIMs": [], "Memory": true}'),
        ("v0", b'{"VIMs": [], "Storage": [1]}'),
        ("v0", b'{"VIMs": [], "Storage": {}}'),
        ("v1", b'{"VIMs": ["a_b"]}'),
        ("v1", b'{"VIMs": [null]}'),
        ("v1", b'{"VIMs": [{"cloud-owner": "a"}]}'),
        ("v1", b'{"VIMs": [{"cloud-owner": 1, "cloud-region-id": "b"}]}'),
    ],
)
def test_another_shape_is_refused_with_where_it_is_declared(version: str, body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"declared in swagger\.json"):
        read(version, body)


def test_a_number_that_json_cannot_hold_is_not_sent_on() -> None:
    with pytest.raises(BadRequest):
        read("v0", b'{"VIMs": [], "vCPU": 1e999}')


def test_an_operators_own_route_is_checked_by_its_own_schema() -> None:
    route = Route("v0", "/mine", {"PUT": Operation("Mine", {}, obj({"name": TEXT}, "name"))}, "mine")
    validation = Validation(RouteTable((route,)))
    assert validation.read(route, "PUT", b'{"name": "x"}') == {"name": "x"}
    with pytest.raises(BadRequest, match="name"):
        validation.read(route, "PUT", b"{}")
