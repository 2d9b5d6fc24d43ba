"""The table of steps: its order, what needs what, and how it is filled in."""

from __future__ import annotations

import pytest

from app.volte.steps import GIVEN, KINDS, fill, fill_path, placeholders, plan

ORDER = ["image", "network", "subnet", "port", "flavor", "volume", "server"]


def test_the_order_is_the_use_cases() -> None:
    assert [step.name for step in plan()] == [
        "register",
        "tenants",
        *ORDER,
        *(f"list {kind}s" for kind in ORDER),
        "stop server",
        "start server",
        *(f"delete {kind}" for kind in reversed(ORDER)),
        *(f"{kind} gone" for kind in reversed(ORDER)),
        "unregister",
    ]


def test_every_need_is_met_by_an_earlier_step() -> None:
    seen: set[str] = set()
    for step in plan():
        assert set(step.needs) <= seen, step.name
        seen.add(step.name)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("tenants", ("register",)),
        ("image", ("tenants",)),
        ("port", ("tenants", "network", "subnet")),
        ("server", ("tenants", "volume", "flavor", "port")),
        ("list images", ("image", "tenants")),
        ("start server", ("stop server", "tenants", "server")),
        ("delete server", ("tenants", "server")),
        ("server gone", ("delete server", "tenants")),
        ("unregister", ("register",)),
    ],
)
def test_needs_follow_from_the_placeholders(name: str, needs: tuple[str, ...]) -> None:
    assert next(step for step in plan() if step.name == name).needs == needs


def test_all_that_undoes_comes_last() -> None:
    flags = [step.clean for step in plan()]
    assert flags == sorted(flags)
    assert [step.name for step in plan() if step.clean and step.method == "DELETE"] == [
        *(f"delete {kind}" for kind in reversed(ORDER)),
        "unregister",
    ]


def test_a_region_in_use_may_stay_registered() -> None:
    assert [step.name for step in plan()][:-1] == [step.name for step in plan(unregister=False)]


def test_every_name_carries_the_runs_suffix() -> None:
    assert all("{run}" in str(kind.body["name"]) for kind in KINDS)


def test_a_tenants_name_is_encoded() -> None:
    assert plan("a b/{c}")[1].path == "/tenants?name=a%20b%2F%7Bc%7D"
    assert set(placeholders(plan("{c}")[1].path)) <= GIVEN


def test_bodies_are_filled_all_the_way_down() -> None:
    body = {"boot": {"type": 1, "volumeId": "{volume}"}, "nicArray": [{"portId": "{port}"}], "os-stop": None}
    assert list(placeholders(body)) == ["volume", "port"]
    assert fill(body, {"volume": "v", "port": "p"}) == {
        "boot": {"type": 1, "volumeId": "v"},
        "nicArray": [{"portId": "p"}],
        "os-stop": None,
    }


def test_an_id_is_one_segment_of_a_path() -> None:
    assert fill_path("/{tenants}/x", {"tenants": "a/b?c"}) == "/a%2Fb%3Fc/x"
