from __future__ import annotations

import pytest

from app.simulators.resources import Cloud, InUse, Invalid, Missing, Resource, tenants
from app.web.schemas import CREATE

REGION, TENANT = "o_r", "t"


def key(kind: str) -> tuple[str, str, str]:
    return (REGION, TENANT, kind)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def network(cloud: Cloud, name: str = "n") -> Resource:
    return cloud.create(key("networks"), {"name": name, "networkType": "vlan", "shared": False})


def test_what_is_made_can_be_listed_read_and_deleted(cloud: Cloud) -> None:
    made = network(cloud)
    assert (made["returnCode"], made["status"]) == (1, "ACTIVE")
    assert cloud.get(key("networks"), made["id"])["name"] == "n"
    assert [one["id"] for one in cloud.list(key("networks"), "n")] == [made["id"]]
    cloud.delete(key("networks"), made["id"])
    assert cloud.list(key("networks")) == []
    with pytest.raises(Missing):
        cloud.get(key("networks"), made["id"])


def test_the_same_name_again_is_the_same_with_return_code_0(cloud: Cloud) -> None:
    assert network(cloud)["id"] == network(cloud)["id"]
    assert network(cloud)["returnCode"] == 0


@pytest.mark.parametrize("kind", CREATE)
def test_what_the_contract_needs_is_needed(cloud: Cloud, kind: str) -> None:
    with pytest.raises(Invalid, match="missing"):
        cloud.create(key(kind), {"other": 1})


def test_what_is_no_text_is_no_name(cloud: Cloud) -> None:
    with pytest.raises(Invalid, match="name must be string"):
        cloud.create(key("volumes"), {"name": ["v"], "volumeSize": 1})


def test_what_is_named_has_to_exist(cloud: Cloud) -> None:
    with pytest.raises(Invalid, match="network nowhere does not exist"):
        cloud.create(key("ports"), {"name": "p", "networkId": "nowhere"})


def test_what_is_used_is_kept(cloud: Cloud) -> None:
    made = network(cloud)
    port = cloud.create(key("ports"), {"name": "p", "networkId": made["id"]})
    with pytest.raises(InUse, match="NetworkInUse"):
        cloud.delete(key("networks"), made["id"])
    cloud.delete(key("ports"), port["id"])
    cloud.delete(key("networks"), made["id"])


def test_a_region_s_and_a_tenant_s_resources_are_its_own(cloud: Cloud) -> None:
    network(cloud)
    assert cloud.list((REGION, "other", "networks")) == cloud.list(("other", TENANT, "networks")) == []
    assert tenants("a_b") == tenants("a_b") != tenants("a_c")


def test_until_it_has_settled_it_is_not_ready() -> None:
    cloud = Cloud(settle=1000)
    made = cloud.create(key("volumes"), {"name": "v", "volumeSize": 1})
    assert made["status"] == "creating"
    flavor = cloud.create(key("flavors"), {"name": "f", "vcpu": 1, "memory": 1, "disk": 1})
    assert "status" not in flavor
    server = {"name": "s", "boot": {"type": 1, "volumeId": made["id"]}, "flavorId": flavor["id"]}
    one = cloud.create(key("servers"), server)
    cloud.delete(key("servers"), one["id"])
    with pytest.raises(InUse):  # a server on its way out still holds its volume
        cloud.delete(key("volumes"), made["id"])
