from __future__ import annotations

import pytest

from app.core.region import Region
from app.errors import RegionIncomplete
from app.inventory.model import Cloud, cloud_of

REGION = Region("own", "reg")


@pytest.mark.parametrize(
    ("entry", "cloud"),
    [
        ({"cloud-type": "openstack", "cloud-region-version": "pike"}, Cloud("openstack", "pike")),
        ({"cloud-type": "k8s", "more": 1}, Cloud("k8s", None)),
        ({"cloud-type": "k8s", "cloud-region-version": ""}, Cloud("k8s", None)),
        ({"cloud-type": "k8s", "cloud-region-version": None}, Cloud("k8s", None)),
    ],
    ids=["whole", "no version", "empty version", "null version"],
)
def test_a_cloud(entry: dict[str, object], cloud: Cloud) -> None:
    assert cloud_of(REGION, entry, "A&AI") == cloud


@pytest.mark.parametrize("entry", [{}, {"cloud-type": ""}, {"cloud-type": None}, {"cloud-type": ["x"]}])
def test_a_region_without_a_type_is_named_with_the_missing_field_and_the_source(entry: dict[str, object]) -> None:
    with pytest.raises(RegionIncomplete, match=r"own_reg has no cloud-type in /etc/regions"):
        cloud_of(REGION, {**entry, "cloud-region-version": "1"}, "/etc/regions")
