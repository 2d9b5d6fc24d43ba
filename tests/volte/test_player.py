"""Whole runs against the counterpart."""

from __future__ import annotations

import pytest

from app.volte.answers import Answer
from app.volte.client import Base, Client, Unreachable
from app.volte.player import Player
from app.volte.steps import KINDS, plan
from tests.volte.conftest import Clock, Cloud, Notes, Play


@pytest.mark.parametrize("created", [200, 201, 202])
def test_everything_works_and_nothing_remains(cloud: Cloud, play: Play, created: int) -> None:
    cloud.created = created
    run = play()
    assert run.states("failed", "skipped", "left") == {}
    assert len(run.states("ok")) == len(plan()) == len(run.notes.begun)
    assert cloud.left() == []
    assert not cloud.registered
    assert run.clock.pauses == []
    assert run.player.left_behind == {}


def test_what_is_sent(cloud: Cloud, play: Play) -> None:
    play(tenant="two")
    bodies = {route: request.body for route, request in zip(cloud.routes(), cloud.requests, strict=True)}
    assert bodies["POST registry"] == {"defaultTenant": "two"}
    assert bodies["POST subnets"]["networkId"] == "networks-2"
    assert bodies["POST servers"]["boot"] == {"type": 1, "volumeId": "volumes-6"}
    assert bodies["POST servers"]["nicArray"] == [{"portId": "ports-4"}]
    assert [request.body for request in cloud.requests if request.path.endswith("/action")] == [
        {"os-stop": None},
        {"os-start": None},
    ]
    ids = [request.headers["X-ONAP-RequestID"] for request in cloud.requests]
    assert len(set(ids)) == len(ids)
    assert cloud.requests[1].path == "/api/multicloud/v0/vmware_fake/tenants?name=two"
    assert cloud.requests[2].path == "/api/multicloud/v0/vmware_fake/t2/images"


def test_v1_has_paths_of_its_own(cloud: Cloud, play: Play) -> None:
    run = play(region="/api/multicloud/v1/vmware/fake")
    assert run.states("failed", "skipped") == {}
    assert all(request.path.startswith("/api/multicloud/v1/vmware/fake") for request in cloud.requests)
    assert run["unregister"].path == "/api/multicloud/v1/vmware/fake"


def test_a_failing_step_skips_what_needs_it_and_the_rest_is_cleaned_up(cloud: Cloud, play: Play) -> None:
    cloud.fails["POST ports"] = (500, {"error": {"message": "no ports today"}})
    run = play()
    assert run.states("failed") == {"port": "answered 500, not 200 or 201 or 202: no ports today"}
    assert run["port"].request_id == cloud.requests[cloud.routes().index("POST ports")].headers["X-ONAP-RequestID"]
    assert run.states("skipped") == {
        "server": "needs port",
        "list ports": "needs port",
        "list servers": "needs server",
        "stop server": "needs server",
        "start server": "needs stop server",
        "delete server": "needs server",
        "delete port": "needs port",
        "server gone": "needs delete server",
        "port gone": "needs delete port",
    }
    assert cloud.left() == []
    assert not cloud.registered


def test_without_registration_nothing_is_played(cloud: Cloud, play: Play) -> None:
    cloud.fails["POST registry"] = (404, None)
    run = play()
    assert run["register"].detail == "answered 404, not 202"
    assert len(cloud.requests) == 1
    assert run["unregister"].detail == "needs register"


def test_a_delete_that_is_in_use_is_tried_again_with_pauses(cloud: Cloud, play: Play) -> None:
    cloud.in_use = {"ports": 2, "networks": 1}
    run = play()
    assert run.states("failed", "skipped") == {}
    assert cloud.routes().count("DELETE ports") == 3
    assert run.clock.pauses == [0.1, 0.2, 0.1]
    assert run.notes.noted.count("409 InUse, trying again") == 3
    assert cloud.left() == []


def test_a_delete_that_stays_in_use_fails_at_the_limit(cloud: Cloud, play: Play) -> None:
    cloud.in_use = {"ports": 1000}
    run = play()
    assert run["delete port"].status == 409
    assert "portsInUse" in run["delete port"].detail
    assert sum(run.clock.pauses) == pytest.approx(10)
    assert run.player.left_behind == {"port": "ports-4"}
    assert run["port gone"].detail == "needs delete port"


def test_another_409_is_not_tried_again(cloud: Cloud, play: Play) -> None:
    cloud.fails["DELETE ports"] = (409, {"error": "locked"})
    run = play()
    assert run["delete port"].state == "failed"
    assert cloud.routes().count("DELETE ports") == 1


def test_what_existed_before_is_left_alone(cloud: Cloud, play: Play) -> None:
    cloud.existing = {"networks", "servers"}
    run = play()
    assert set(run.states("left")) == {
        "stop server", "start server", "delete network", "delete server", "network gone", "server gone"}  # fmt: skip
    assert run["network"].detail == "it existed before this run"
    assert run.states("failed", "skipped") == {}
    assert cloud.left() == ["networks", "servers"]
    assert run.player.left_behind == {}
    assert not {"DELETE networks", "DELETE servers", "POST servers/action"} & set(cloud.routes())


def test_waits_while_the_status_says_so(cloud: Cloud, play: Play) -> None:
    cloud.statuses = {"images": ["queued", "queued", "active"], "servers": ["BUILD", "ACTIVE"]}
    run = play()
    assert run.states("failed", "skipped") == {}
    assert run.notes.noted == ["waiting: queued", "waiting: queued", "waiting: build"]
    assert run.clock.pauses == [0.1, 0.2, 0.1]


def test_what_never_gets_ready_fails_at_the_limit_and_is_deleted(cloud: Cloud, play: Play) -> None:
    cloud.statuses = {"servers": ["BUILD"]}
    run = play()
    assert run["server"].detail == "its status is still build after 10 s"
    assert run["server"].status == 200
    assert run["delete server"].state == "ok"
    assert cloud.left() == []


def test_what_ends_in_error_is_deleted(cloud: Cloud, play: Play) -> None:
    cloud.statuses = {"volumes": ["creating", "error"]}
    run = play()
    assert run["volume"].detail == "its status is error"
    assert run["server"].detail == "needs volume"
    assert cloud.left() == []


def test_a_server_that_does_not_stop(cloud: Cloud, play: Play) -> None:
    cloud.statuses = {"servers": ["ACTIVE"]}
    cloud.fails["POST servers/action"] = (202, None)
    run = play()
    assert run["stop server"].detail == "its status is still active after 10 s"
    assert cloud.left() == []


def test_a_creation_whose_answer_was_lost_is_found_by_name_and_deleted(cloud: Cloud, play: Play) -> None:
    cloud.loses = {"POST networks"}
    run = play()
    assert run["network"].detail == "answered 504, not 200 or 201 or 202: too late"
    assert run["subnet"].detail == "needs network"
    assert run["delete network"].state == "ok"
    assert cloud.left() == []


def test_a_creation_without_an_id_is_found_too(cloud: Cloud, play: Play) -> None:
    cloud.fails["POST flavors"] = (202, None)
    cloud.resources["flavors"] = {"f": {"id": "f", "name": "volte-flavor-abc"}, "g": {"id": "g", "name": "other"}}
    run = play()
    assert run["flavor"].detail == "the answer has no id"
    assert cloud.resources["flavors"].keys() == {"g"}


def test_where_nobody_can_tell_the_name_is_reported(cloud: Cloud, play: Play) -> None:
    cloud.fails |= {"POST flavors": (502, None), "GET flavors": (503, None)}
    run = play()
    assert run["delete flavor"].state == "failed"
    assert run.player.left_behind == {"flavor": "perhaps, named volte-flavor-abc"}


def test_what_is_slow_to_go_is_waited_for(cloud: Cloud, play: Play) -> None:
    cloud.lingers = {"servers": 2}
    run = play()
    assert run.states("failed", "skipped") == {}
    assert run.clock.pauses == [0.1, 0.2]


def test_what_does_not_go_fails(cloud: Cloud, play: Play) -> None:
    cloud.lingers = {"images": 1000}
    run = play()
    assert "is still listed 10 s after" in run["image gone"].detail
    assert run.player.left_behind == {"image": "images-1"}


def test_what_is_made_has_to_be_listed(cloud: Cloud, play: Play) -> None:
    cloud.fails["GET volumes"] = (200, {"volumes": []})
    assert play().states("failed") == {"list volumes": "the volume volumes-6 is not in the list"}


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, {"images": 1}), (200, [1])])
def test_odd_answers_are_failures_not_ends(cloud: Cloud, play: Play, answer: tuple[int, object]) -> None:
    cloud.fails["GET images"] = answer
    run = play()
    assert set(run.states("failed")) == {"list images", "image gone"}
    assert cloud.left() == []


def test_an_unforeseen_error_does_not_keep_from_cleaning_up(cloud: Cloud) -> None:
    real = Client(Base.parse(cloud.url), 10)

    class Odd:
        def ask(self, method: str, path: str, body: object, request_id: str) -> Answer:
            if method == "POST" and path.endswith("/servers"):
                raise RuntimeError("odd")
            return real.ask(method, path, body, request_id)

    player = _player(Odd())
    player.play()
    assert [one.detail for one in player.outcomes if one.state == "failed"] == ["unexpected RuntimeError: odd"]
    assert cloud.left() == []


def test_unreachable_at_first_is_no_run() -> None:
    player = _player(Failing(0))
    with pytest.raises(Unreachable):
        player.play()
    assert player.outcomes == []


def test_unreachable_later_is_a_failure_and_leaves_what_was_made() -> None:
    player = _player(Failing(3))
    player.play()
    failed = {one.step for one in player.outcomes if one.state == "failed"}
    assert failed == {"network", "flavor", "volume", "list images", "delete image", "unregister"}
    assert player.left_behind == {"image": "i"}


class Failing:
    """Serves so many requests, and then is gone."""

    def __init__(self, served: int) -> None:
        self._answers = [Answer(202), Answer(200, b'{"tenants": [{"id": "t"}]}'), Answer(200, b'{"id": "i"}')][:served]

    def ask(self, method: str, path: str, body: object, request_id: str) -> Answer:
        if not self._answers:
            raise Unreachable("gone")
        return self._answers.pop(0)


def _player(client: Failing | object) -> Player:
    given = {"run": "abc", "tenant_name": ""}
    assert hasattr(client, "ask")
    return Player(client, "/api/multicloud/v0/vmware_fake", plan(), given, Clock().patience(), Notes())


@pytest.mark.parametrize("kind", [kind.plural for kind in KINDS])
def test_a_stop_while_creating_cleans_up(cloud: Cloud, play: Play, kind: str) -> None:
    stops: list[str] = []
    cloud.on[f"POST {kind}"] = lambda: stops.append(kind)
    run = play(stopped=lambda: bool(stops))
    assert cloud.routes()[cloud.routes().index(f"POST {kind}") + 1].startswith("DELETE")
    assert cloud.left() == []
    assert not cloud.registered
    assert run["stop server"].detail == "interrupted"
    assert run["unregister"].state == "ok"


def test_a_stop_ends_a_wait(cloud: Cloud, play: Play) -> None:
    cloud.statuses = {"servers": ["BUILD"]}
    stops: list[int] = []
    cloud.on["GET servers"] = lambda: stops.append(1)
    run = play(stopped=lambda: bool(stops))
    assert run["server"].detail == "interrupted while its status was build"
    assert run.clock.pauses == [0.1]
    assert cloud.left() == []
