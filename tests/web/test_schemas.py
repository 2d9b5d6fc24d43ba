from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from app.web import schemas
from app.web.schemas import Schema


def fits(schema: Schema, document: object) -> bool:
    return jsonschema.Draft202012Validator(dict(schema)).is_valid(document)


@pytest.mark.parametrize(
    "schema",
    [*schemas.CREATE.values(), *schemas.CHECK_CAPACITY.values(), *schemas.WITH_ROOM.values(), schemas.VIM_TYPES,
     schemas.ROOM, schemas.ERROR, schemas.ACTION, schemas.WORKLOAD, schemas.TENANTS, schemas.TOKEN],
)  # fmt: skip
def test_a_schema_is_one(schema: Schema) -> None:
    jsonschema.Draft202012Validator.check_schema(dict(schema))


NEEDED: dict[str, dict[str, object]] = {
    "images": {"name": "i", "imageType": "qcow2", "imagePath": "http://x", "containerFormat": "bare"},
    "networks": {"name": "n", "networkType": "vlan", "shared": False},
    "subnets": {"networkId": "1", "name": "s", "cidr": "10.0.0.0/24", "ipVersion": 4},
    "ports": {"networkId": "1", "name": "p"},
    "flavors": {"name": "f", "vcpu": 1, "memory": 2, "disk": 3},
    "servers": {"name": "s", "boot": {"type": 1, "volumeId": "v"}, "flavorId": "f"},
    "volumes": {"name": "v", "volumeSize": 1},
}
FIELDS = [(plural, name) for plural, needed in NEEDED.items() for name in needed]


def test_every_resource_of_volte_can_be_created() -> None:
    assert set(schemas.CREATE) == set(NEEDED)


@pytest.mark.parametrize("plural", NEEDED)
def test_what_the_contract_needs_is_enough_and_more_is_allowed(plural: str) -> None:
    assert fits(schemas.CREATE[plural], NEEDED[plural])
    assert fits(schemas.CREATE[plural], {**NEEDED[plural], "pluginsOwn": [1]})


@pytest.mark.parametrize(("plural", "name"), FIELDS)
def test_nothing_that_the_contract_needs_may_be_missing(plural: str, name: str) -> None:
    rest = {key: value for key, value in NEEDED[plural].items() if key != name}
    assert not fits(schemas.CREATE[plural], rest)


@pytest.mark.parametrize(("plural", "name"), FIELDS)
def test_nothing_that_the_contract_needs_may_be_null(plural: str, name: str) -> None:
    assert not fits(schemas.CREATE[plural], {**NEEDED[plural], name: None})


@pytest.mark.parametrize(
    ("more", "fitting"),
    [
        ({"boot": {"type": 2, "imageId": "i"}, "nicArray": [{"portId": "p"}]}, True),
        ({"boot": {"type": 3}}, False),
        ({"boot": {}}, False),
        ({"nicArray": [{}]}, False),
    ],
)
def test_what_a_server_boots_from_and_its_ports(more: dict[str, object], fitting: bool) -> None:
    assert fits(schemas.CREATE["servers"], {**NEEDED["servers"], **more}) == fitting


@pytest.mark.parametrize(
    ("action", "fitting"),
    [({"os-stop": None}, True), ({"os-start": None}, True), ({"reboot": {"type": "SOFT"}}, True),
     ({"reboot": {"type": "NONE"}}, False)],
)  # fmt: skip
def test_an_action_on_a_server(action: dict[str, object], fitting: bool) -> None:
    assert fits(schemas.ACTION, action) == fitting


@pytest.mark.parametrize("plural", NEEDED)
def test_an_answer_has_what_was_asked_and_what_every_object_has(plural: str) -> None:
    properties: Any = schemas.one(plural)["properties"]
    assert {*NEEDED[plural], "id", "vimId", "vimName", "tenantId", "returnCode"} <= set(properties)
    assert not fits(schemas.one(plural), {"returnCode": "1"})


def test_a_list_holds_its_items_under_the_plural() -> None:
    schema = schemas.many("images", schemas.one("images"))
    assert fits(schema, {"vimId": "a_b", "images": [{"id": "1"}]})
    assert not fits(schema, {"images": [{"id": 1}]})


def test_tenants_have_no_tenant() -> None:
    properties: Any = schemas.TENANTS["properties"]
    assert set(properties) == {"vimId", "vimName", "tenants"}
