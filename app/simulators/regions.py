"""The regions and plugins of the demonstration: one region of each kind, and two that go wrong."""

from __future__ import annotations

Entry = dict[str, str]


def _region(owner: str, region_id: str, cloud_type: str | None = None, version: str | None = None) -> Entry:
    entry = {"cloud-owner": owner, "cloud-region-id": region_id, "resource-version": "1527637758480"}
    if cloud_type is not None:
        entry["cloud-type"] = cloud_type
    if version is not None:
        entry["cloud-region-version"] = version
    return entry


REGIONS: tuple[Entry, ...] = (
    _region("vmware", "fake", "vmware", "4.0"),
    _region("CloudOwner", "RegionOne", "openstack", "pike"),
    _region("CloudOwner", "Region_Two", "openstack", "ocata"),
    _region("CloudOwner", "Titanium", "openstack", "titanium_cloud"),
    _region("CloudOwner", "StarlingX", "openstack", "starlingx"),
    _region("CloudOwner", "Newest", "openstack", "bobcat"),
    _region("k8s", "cluster-1", "k8s", "v1"),
    _region("CloudOwner", "Typeless"),
    _region("CloudOwner", "Unserved", "abacus", "1"),
)
"""As A&AI answers for them. `Newest` has a version that no plugin lists: the type's default serves it."""


def provider_plugins(endpoint: str) -> dict[str, object]:
    """A provider-plugin map in which one plugin simulator serves every plugin."""

    def plugin(name: str) -> dict[str, str]:
        return {"provider_plugin": name, "endpoint": endpoint}

    def version(key: str, name: str) -> dict[str, str]:
        return {"version": key, "extra_info_hint": "", **plugin(name)}

    openstack = {
        "titanium_cloud": version("titanium_cloud", "multicloud-titaniumcloud"),
        "starlingx": version("starlingx", "multicloud-starlingx"),
        "ocata": version("ocata", "multicloud-pike"),
        "pike": version("pike", "multicloud-pike"),
    }
    k8s = {**version("v1", "multicloud-k8s"), "strip_prefix": "/api/multicloud-k8s/v1"}
    return {
        "openstack": {"vim_type": "openstack", "versions": openstack, **plugin("multicloud-pike")},
        "vmware": {
            "vim_type": "vmware",
            "versions": {"4.0": version("4.0", "multicloud-vio")},
            **plugin("multicloud-vio"),
        },
        "k8s": {"vim_type": "k8s", "versions": {"v1": k8s}},
    }
