from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.origin import Origin
from app.core.plugins import BUILT_IN, Plugin, PluginMap, load_map
from app.core.region import Region
from app.errors import ConfigurationError, PluginUnknown

REGION = Region("own", "reg")
OOM = {
    "openstack": {
        "vim_type": "openstack",
        "versions": {
            "pike": {"version": "pike", "extra_info_hint": "", "provider_plugin": "multicloud-pike"},
            "starlingx": {"version": "starlingx", "extra_info_hint": "", "provider_plugin": "multicloud-starlingx"},
            "hinted": {"version": "hinted", "extra_info_hint": "no plugin of its own"},
        },
        "provider_plugin": "multicloud-default",
    },
    "k8s": {"vim_type": "k8s", "versions": {"v1": {"provider_plugin": "multicloud-k8s"}}},
}


@pytest.mark.parametrize(
    ("cloud_type", "version", "name"),
    [
        ("openstack", "pike", "multicloud-pike"),
        ("openstack", "starlingx", "multicloud-starlingx"),
        ("openstack", "queens", "multicloud-default"),
        ("openstack", "hinted", "multicloud-default"),
        ("openstack", None, "multicloud-default"),
        ("k8s", "v1", "multicloud-k8s"),
    ],
)
def test_a_versions_plugin_else_the_types_own(cloud_type: str, version: str | None, name: str) -> None:
    assert PluginMap.parse(OOM).find(cloud_type, version, REGION).name == name


@pytest.mark.parametrize(
    ("cloud_type", "version", "named"),
    [
        ("azure", "1", "own_reg: its type azure is not in"),
        ("OpenStack", "pike", "own_reg: its type OpenStack is not in"),
        ("k8s", "v2", "own_reg: its version v2 of type k8s"),
        ("k8s", None, r"own_reg: its version \(none\) of type k8s"),
    ],
)
def test_a_region_that_no_plugin_serves_is_named(cloud_type: str, version: str | None, named: str) -> None:
    with pytest.raises(PluginUnknown, match=named):
        PluginMap.parse(OOM).find(cloud_type, version, REGION)


def test_vim_types_lists_types_and_the_keys_of_versions_in_order() -> None:
    assert PluginMap.parse({"z": {"vim_type": "other"}, **OOM}).vim_types() == [
        {"vim_type": "other", "versions": []},
        {"vim_type": "openstack", "versions": ["pike", "starlingx", "hinted"]},
        {"vim_type": "k8s", "versions": ["v1"]},
    ]


def test_a_type_without_a_name_has_its_keys() -> None:
    assert PluginMap.parse({"x": {}}).vim_types() == [{"vim_type": "x", "versions": []}]


def test_every_plugin_is_listed_once() -> None:
    again = {"more": {"versions": {"1": {"provider_plugin": "multicloud-k8s"}}, "provider_plugin": "multicloud-pike"}}
    assert [plugin.name for plugin in PluginMap.parse({**OOM, **again}).plugins()] == [
        "multicloud-pike", "multicloud-starlingx", "multicloud-default", "multicloud-k8s",
    ]  # fmt: skip


def test_an_endpoint_stands_beside_a_plugin_at_a_type_or_a_version() -> None:
    found = PluginMap.parse(
        {
            "x": {
                "versions": {"1": {"provider_plugin": "a", "endpoint": "http://h:1/b/", "strip_prefix": "/p/"}},
                "provider_plugin": "a",
                "endpoint": "https://h",
            }
        }
    )
    assert found.find("x", "1", REGION) == Plugin("a", (Origin("http", "h", 1), "/b"), "/p")
    assert found.find("x", "2", REGION) == Plugin("a", (Origin("https", "h", 443), ""))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the map is not an object"),
        ({"x": 1}, "x is not an object"),
        ({"x": {"versions": []}}, "x.versions is not an object"),
        ({"x": {"versions": {"1": None}}}, "x.versions.1 is not an object"),
        ({"x": {"vim_type": 1}}, "x.vim_type is not a text"),
        ({"x": {"provider_plugin": None}}, "x.provider_plugin is not a text"),
        ({"x": {"versions": {"1": {"endpoint": "http://h"}}}}, "x.versions.1 has an endpoint"),
        ({"x": {"strip_prefix": "/a"}}, "x has an endpoint or strip_prefix but no provider_plugin"),
        ({"x": {"provider_plugin": "a/b"}}, "x.provider_plugin 'a/b' is not made of"),
        ({"x": {"provider_plugin": "ä"}}, "x.provider_plugin 'ä' is not made of"),
        ({"x": {"provider_plugin": "a b"}}, "x.provider_plugin 'a b' is not made of"),
        ({"x": {"provider_plugin": ".."}}, "x.provider_plugin '..' is not made of"),
        ({"x": {"provider_plugin": "a", "strip_prefix": "b"}}, "x.strip_prefix 'b' does not begin with '/'"),
        ({"x": {"provider_plugin": "a", "endpoint": "h:1"}}, "x.endpoint 'h:1': it is not of the form"),
        (
            {"x": {"provider_plugin": "a", "endpoint": "http://h:99999"}},
            "x.endpoint 'http://h:99999': its host or its port",
        ),
        ({"x": {"provider_plugin": "a", "endpoint": "http://u:p@h/"}}, "x.endpoint 'http://***@h/': it holds more"),
        (
            {"x": {"provider_plugin": "a", "endpoint": "http://u:p/q@h/"}},
            "x.endpoint 'http://***@h/': its host or its port",
        ),
        (
            {"x": {"provider_plugin": "a", "endpoint": "http://[p]:q@h/"}},
            "x.endpoint 'http://***@h/': its host or its port",
        ),
    ],
)
def test_a_broken_map_is_refused_by_the_entrys_name(document: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PluginMap.parse(document)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is no JSON"), (b"\xff", "is no JSON"), (b"[]", "the map is not an object"), (b'{"x": 1}', "x is not")],
)
def test_a_broken_file_is_refused_in_one_line_with_its_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "map.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_map(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert len(caught.value.message.splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: No such file"):
        load_map(tmp_path / "none.json")


def test_a_map_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(json.dumps(OOM))
    assert load_map(tmp_path / "map.json").vim_types() == PluginMap.parse(OOM).vim_types()


def test_the_built_in_map_serves_the_well_known_region() -> None:
    assert load_map(BUILT_IN).find("vmware", "4.0", Region("vmware", "fake")).name == "multicloud-vio"


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    file.write_text('{"a": {"provider_plugin": "x"}, "a": {}}')
    with pytest.raises(ConfigurationError, match="the key 'a' is there twice"):
        load_map(file)
