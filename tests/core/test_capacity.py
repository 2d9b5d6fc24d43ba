from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.capacity import Vim, answer, parse, target, zones
from app.core.region import Region


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({}, {"vCPU": 0, "Memory": 0, "Storage": 0}),
        ({"vCPU": 2, "Memory": "4", "Storage": 1.5}, {"vCPU": 2, "Memory": "4", "Storage": 1.5}),
        ({"vCPU": "1.5 GB", "more": [1]}, {"vCPU": "1.5 GB", "Memory": 0, "Storage": 0}),
    ],
    ids=["missing is 0", "types stay", "nothing else goes on"],
)
def test_what_each_vim_is_sent(wanted: dict[str, object], sent: dict[str, object]) -> None:
    assert json.loads(parse("v0", {"VIMs": ["a_b"], **wanted}).body) == sent


@pytest.mark.parametrize(
    ("version", "named", "region"),
    [
        ("v0", "a_b_c", ("a", "b_c")),
        ("v0", "ab", None),
        ("v0", "", None),
        ("v0", "a_b/..", None),
        ("v1", {"cloud-owner": "a_b", "cloud-region-id": "c", "x": 1}, ("a_b", "c")),
        ("v1", {"cloud-owner": "a/b", "cloud-region-id": "c"}, None),
        ("v1", {"cloud-owner": "", "cloud-region-id": ""}, None),
    ],
)
def test_a_vim_is_a_region_or_nothing_but_never_an_error(
    version: str, named: object, region: tuple[str, str] | None
) -> None:
    assert parse(version, {"VIMs": [named]}).vims == [(named, region)]


def test_vims_stay_in_the_clients_order_repeated_ones_too() -> None:
    assert [vim.named for vim in parse("v0", {"VIMs": ["c_d", "x", "a_b", "c_d"]}).vims] == ["c_d", "x", "a_b", "c_d"]


@pytest.mark.parametrize(
    ("version", "path"),
    [("v0", b"/api/multicloud/v0/a_b_c/capacity_check"), ("v1", b"/api/multicloud/v1/a/b_c/capacity_check")],
)
def test_where_a_vim_is_asked(version: str, path: bytes) -> None:
    assert target(version, Region("a", "b_c")) == path


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b'{"result": true}', []),
        (200, b'{"result": true, "AZs": [{"n": 1}, "z"]}', [{"n": 1}, "z"]),
        (200, b'{"result": true, "AZs": null}', []),
        (200, b'{"result": false, "AZs": ["z"]}', None),
        (200, b'{"result": "true"}', None),
        (200, b'{"result": 1}', None),
        (200, b"{}", None),
        (200, b"[true]", None),
    ],
)
def test_only_a_200_with_a_true_result_is_room(status: int, body: bytes, found: list[object] | None) -> None:
    assert zones(status, body) == found


@pytest.mark.parametrize("status", [201, 204, 404, 500])
def test_another_status_is_told_apart(status: int) -> None:
    with pytest.raises(ValueError, match=f"status {status}"):
        zones(status, b'{"result": true}')


@pytest.mark.parametrize("depth", [31, 32, 33, 900])
def test_zones_are_nested_within_bounds(depth: int) -> None:
    body = b'{"result": true, "AZs": ' + b"[" * depth + b"]" * depth + b"}"
    if depth <= 32:
        assert zones(200, body) is not None
    else:
        with pytest.raises(ValueError, match="deeper than 32"):
            zones(200, body)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_is_not_passed_on(number: bytes) -> None:
    with pytest.raises(ValueError, match=number.decode()):
        zones(200, b'{"result": true, "AZs": [%b]}' % number)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"], ids=["empty", "html", "bytes"])
def test_an_answer_that_is_no_json_is_told_apart(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        zones(200, body)


VIMS = [Vim("a_b", Region("a", "b")), Vim("x", None), Vim("c_d", Region("c", "d"))]


def test_v0_answers_the_names_with_room_in_the_order_asked() -> None:
    assert answer("v0", VIMS, [["z"], None, []]) == {"VIMs": ["a_b", "c_d"]}


def test_v1_answers_the_clients_objects_with_their_zones() -> None:
    named = {"cloud-owner": "a", "cloud-region-id": "b", "extra": 1}
    found = answer("v1", [Vim(named, Region("a", "b")), Vim({}, None), Vim({"n": 2}, None)], [["z"], None, []])
    assert found == {"VIMs": [{**named, "AZs": ["z"]}, {"n": 2, "AZs": []}]}
    assert "AZs" not in named


@given(st.lists(st.booleans()))
def test_no_vim_with_room_is_lost_and_none_without_gets_in(room: list[bool]) -> None:
    vims = [Vim(f"o_{number}", None) for number in range(len(room))]
    expected = [vim.named for vim, has in zip(vims, room, strict=True) if has]
    assert answer("v0", vims, [[] if has else None for has in room]) == {"VIMs": expected}
