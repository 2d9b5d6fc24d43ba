from __future__ import annotations

from pathlib import Path

import pytest

from app.core.region import Region
from app.errors import ConfigurationError, RegionIncomplete, RegionNotFound
from app.inventory.file import BUILT_IN, FileInventory, load_regions
from app.inventory.model import Cloud

YAML = """
- cloud-owner: own
  cloud-region-id: reg
  cloud-type: openstack
  cloud-region-version: "4.0"
- {cloud-owner: own, cloud-region-id: bare}
"""
JSON = '{"cloud-region": [{"cloud-owner": "own", "cloud-region-id": "reg", "cloud-type": "openstack"}]}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "regions.yaml"


def loaded(path: Path, text: str) -> FileInventory:
    path.write_text(text)
    return load_regions(path)


@pytest.mark.parametrize(("text", "version"), [(YAML, "4.0"), (JSON, None)], ids=["a YAML list", "A&AI's JSON"])
def test_a_listed_region_is_found(path: Path, text: str, version: str | None) -> None:
    assert loaded(path, text).find(Region("own", "reg"), "id") == Cloud("openstack", version)


def test_a_region_that_is_not_listed_is_named_with_the_file(path: Path) -> None:
    with pytest.raises(RegionNotFound, match=rf"own_other in {path}"):
        loaded(path, YAML).find(Region("own", "other"), "id")


def test_a_region_without_a_type_is_incomplete_only_when_it_is_asked_for(path: Path) -> None:
    with pytest.raises(RegionIncomplete, match=rf"own_bare has no cloud-type in {path}"):
        loaded(path, YAML).find(Region("own", "bare"), "id")


def test_to_forget_a_region_leaves_the_file_what_it_is(path: Path) -> None:
    inventory = loaded(path, YAML)
    inventory.forget(Region("own", "reg"))
    assert inventory.find(Region("own", "reg"), "id").cloud_type == "openstack"


def test_an_empty_list_knows_no_region(path: Path) -> None:
    with pytest.raises(RegionNotFound):
        loaded(path, "[]").find(Region("own", "reg"), "id")


ONE = '{"cloud-owner": "o", "cloud-region-id": "r"}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no list"),
        ("a: 1", "holds no list"),
        ('{"cloud-region": {}}', "holds no list"),
        ("text", "holds no list"),
        ("a: [", "is no YAML or JSON"),
        ("\t- a", "is no YAML or JSON"),
        ("!!python/object:os.system {}", "is no YAML or JSON"),
        (f"[{ONE}, 1]", "entry 2 is no object"),
        ("[{cloud-owner: o}]", "entry 1: cloud-region-id is not a text"),
        ("[{cloud-region-id: r}]", "entry 1: cloud-owner is not a text"),
        ('[{cloud-owner: "", cloud-region-id: r}]', "entry 1: cloud-owner is not a text"),
        ("[{cloud-owner: o, cloud-region-id: 1}]", "entry 1: cloud-region-id is not a text"),
        (f"[{ONE}, {ONE}]", "entry 2: o_r is there twice"),
    ],
)
def test_a_broken_file_is_refused_in_one_line_that_names_it(path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(path, text)
    assert caught.value.message.startswith(f"the regions file {path}")
    assert message in caught.value.message
    assert len(caught.value.message.splitlines()) == 1


def test_a_file_of_other_bytes_than_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is no YAML or JSON"):
        load_regions(path)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"cannot read the regions file {path}: No such file"):
        load_regions(path)


def test_the_well_known_region_is_built_in() -> None:
    assert load_regions(BUILT_IN).find(Region("vmware", "fake"), "id") == Cloud("vmware", "4.0")


@pytest.mark.parametrize("key", ["cloud-type", "cloud-region-version"])
def test_a_number_is_to_be_quoted(tmp_path: Path, key: str) -> None:
    file = tmp_path / "regions.yaml"
    file.write_text(f"- {{cloud-owner: o, cloud-region-id: r, {key}: 4.10}}\n")
    with pytest.raises(ConfigurationError, match=f"entry 1: {key} is not a text; write it in quotes"):
        load_regions(file)


def test_names_that_no_route_can_hold_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "regions.yaml"
    file.write_text('- {cloud-owner: "a b", cloud-region-id: r}\n')
    with pytest.raises(ConfigurationError, match="entry 1: cloud-owner and cloud-region-id are made of"):
        load_regions(file)


@pytest.mark.parametrize(
    "text",
    [
        "- {password: hidden: : {",
        "- password: *hidden",
        "- password: !hidden x",
        "- password: %hidden",
        "- {password: hidden",
    ],
)
def test_a_file_that_is_no_yaml_is_told_by_its_place_alone(path: Path, text: str) -> None:
    """A&AI's cloud-region may hold the password of its cloud."""
    with pytest.raises(ConfigurationError, match=r"is no YAML or JSON: see line \d+, column \d+") as caught:
        loaded(path, text)
    assert "hidden" not in caught.value.message
