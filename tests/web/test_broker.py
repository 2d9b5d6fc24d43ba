from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from app.core.address import Destination
from app.core.message import Request, Response
from app.core.origin import Origin
from app.core.plugins import PluginMap
from app.core.region import Region
from app.errors import (
    BadRequest,
    BrokerError,
    CircuitOpen,
    ContentTooLarge,
    InventoryTimeout,
    MethodNotAllowed,
    NotFound,
    PluginUnknown,
    RegionNotFound,
    UpstreamError,
    UpstreamTimeout,
)
from app.inventory.model import Cloud
from app.web.api import Route, builtin
from app.web.broker import CAPACITY_BODY, Broker, no_such_path
from app.web.capacity import CapacitySettings

MSB = Origin("http", "msb", 80)
MAP = {
    "openstack": {"versions": {"pike": {"provider_plugin": "pike"}}, "provider_plugin": "other"},
    "bare": {"versions": {"1": {"provider_plugin": "bare"}}},
}
DEEP = b"[" * 100_000


class Body:
    """A request's body, in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.length: int | None = None
        self.present = True

    def piece(self, size: int = 65536) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


class Inventory:
    """Regions by their vim_id: a cloud, or the error that finding it raises."""

    def __init__(self) -> None:
        self.clouds: dict[str, Cloud | BrokerError] = {}
        self.events: list[str] = []

    def find(self, region: Region, request_id: str) -> Cloud:
        self.events.append(f"find {region.vim_id} for {request_id}")
        cloud = self.clouds.get(region.vim_id, Cloud("openstack", "pike"))
        if isinstance(cloud, BrokerError):
            raise cloud
        return cloud

    def forget(self, region: Region) -> None:
        self.events.append(f"forget {region.vim_id}")


class Forwarder:
    """Keeps where requests went."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.sent: list[Destination] = []
        self.error: BrokerError | None = None
        self.open: BrokerError | None = None

    def check(self, destination: Destination) -> None:
        if self.open is not None:
            raise self.open

    def forward(self, request: Request, destination: Destination) -> Response:
        self.events.append("forward")
        self.sent.append(destination)
        if self.error is not None:
            raise self.error
        return Response(200, "OK", [], [b"forwarded"])


class Answer(NamedTuple):
    status: int
    body: bytes = b""


class Client:
    """Plugins by the path that is asked: an answer, or the error that asking raises."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | BrokerError] = {}
        self.asked: list[tuple[Any, ...]] = []

    def fetch(
        self,
        origin: Origin,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        **times: float,
    ) -> Answer:
        self.asked.append((origin, method, target.decode(), dict(headers), json.loads(body), times))
        answer = self.answers[target.decode()]
        if isinstance(answer, BrokerError):
            raise answer
        return answer


class Story:
    """A broker with its surroundings."""

    def __init__(self, msb: Origin | None = MSB) -> None:
        self.inventory = Inventory()
        self.forwarder = Forwarder(self.inventory.events)
        self.client = Client()
        self.at_once: list[int] = []
        parts: Any = (self.forwarder, self.client)
        settings = CapacitySettings(concurrency=7, connect_timeout=2.0, timeout=9.0)
        self.broker = Broker(builtin(), PluginMap.parse(MAP), self.inventory, *parts, self._gather, settings, msb)

    def _gather(self, functions: Sequence[Callable[[], Any]], at_once: int, seconds: float) -> list[Any]:
        self.at_once.append(at_once)
        return [function() for function in functions]

    def own(self, version: str, name: str, request: Request) -> Response:
        return self.broker.own(route(version, name), request)

    def check(self, version: str, document: object) -> Any:
        request = asking("POST", "", Body(json.dumps(document).encode()))
        return read(self.own(version, "check_vim_capacity", request))


def route(version: str, handler: str) -> Route:
    return next(route for route in builtin().own_routes(version) if route.handler == handler)


def asking(method: str, path: str, body: Body | None = None) -> Request:
    return Request(method, b"/api/multicloud/" + path.encode(), [], body or Body(), "id-1", "10.0.0.9")


def read(response: Response) -> Any:
    return json.loads(b"".join(response.body))


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture(autouse=True)
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING):
        yield caplog


# Its own endpoints.


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_vim_types_are_those_of_the_map(story: Story, version: str) -> None:
    request = asking("GET", f"{version}/vim_types")
    assert read(story.own(version, "vim_types", request)) == [
        {"vim_type": "openstack", "versions": ["pike"]},
        {"vim_type": "bare", "versions": ["1"]},
    ]
    assert request.route == f"/{version}/vim_types"


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_swagger_is_of_the_version_and_needs_no_inventory(story: Story, version: str) -> None:
    document = read(story.own(version, "swagger", asking("HEAD", f"{version}/swagger.json")))
    assert document["basePath"] == f"/api/multicloud/{version}"
    assert story.inventory.events == []


@pytest.mark.parametrize("name", ["vim_types", "swagger"])
def test_what_is_added_to_one_answer_is_not_in_the_next(story: Story, name: str) -> None:
    first = story.own("v0", name, asking("GET", ""))
    count = len(first.headers)
    first.headers.append(("X-ONAP-RequestID", "1"))
    assert len(story.own("v0", name, asking("GET", "")).headers) == count


@pytest.mark.parametrize(
    ("name", "method", "allow"),
    [
        ("vim_types", "POST", "GET, HEAD"),
        ("swagger", "DELETE", "GET, HEAD"),
        ("check_vim_capacity", "GET", "POST"),
        ("check_vim_capacity", "HEAD", "POST"),
        ("check_vim_capacity", "PROPFIND", "POST"),
    ],
)
def test_another_method_is_refused_with_those_allowed(story: Story, name: str, method: str, allow: str) -> None:
    request = asking(method, "")
    with pytest.raises(MethodNotAllowed) as caught:
        story.own("v0", name, request)
    assert caught.value.headers == (("Allow", allow),)
    assert request.route == route("v0", name).template


# Capacity.


def test_only_vims_with_room_are_answered_in_the_order_asked(story: Story) -> None:
    story.client.answers = {
        "/api/pike/v0/o_a/capacity_check": Answer(200, b'{"result": true}'),
        "/api/pike/v0/o_b/capacity_check": Answer(200, b'{"result": false}'),
        "/api/pike/v0/o_c/capacity_check": Answer(200, b'{"result": true}'),
    }
    assert story.check("v0", {"VIMs": ["o_c", "o_b", "o_a"]}) == {"VIMs": ["o_c", "o_a"]}
    assert story.at_once == [7]


def test_v1_answers_pairs_with_their_zones(story: Story) -> None:
    story.client.answers = {"/api/pike/v1/o/a/capacity_check": Answer(200, b'{"result": true, "AZs": ["z"]}')}
    pair = {"cloud-owner": "o", "cloud-region-id": "a"}
    assert story.check("v1", {"VIMs": [pair]}) == {"VIMs": [{**pair, "AZs": ["z"]}]}


def test_what_each_plugin_is_asked(story: Story) -> None:
    story.client.answers = {"/api/pike/v0/o_a/capacity_check": Answer(404)}
    story.check("v0", {"VIMs": ["o_a"], "vCPU": 2, "Memory": "4"})
    ((origin, method, _, headers, body, times),) = story.client.asked
    assert (origin, method) == (MSB, "POST")
    assert headers == {b"Content-Type": b"application/json", b"X-ONAP-RequestID": b"id-1"}
    assert body == {"vCPU": 2, "Memory": "4", "Storage": 0}
    assert times["connect_timeout"] == 2.0
    assert 8 < times["response_timeout"] <= 9


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (UpstreamTimeout("Too slow."), "Too slow."),
        (UpstreamError("Garbled."), "Garbled."),
        (Answer(200, b"<html>"), "of no use"),
        (Answer(200, b"\xff"), "of no use"),
        (Answer(200, DEEP), "of no use"),
    ],
    ids=["slow", "failed", "html", "bytes", "deep"],
)
def test_a_vim_that_fails_drops_out_alone_and_is_logged(
    story: Story, warnings: pytest.LogCaptureFixture, answer: Answer | BrokerError, logged: str
) -> None:
    story.client.answers = {
        "/api/pike/v0/o_a/capacity_check": answer,
        "/api/pike/v0/o_b/capacity_check": Answer(200, b'{"result": true}'),
    }
    assert story.check("v0", {"VIMs": ["o_a", "o_b"]}) == {"VIMs": ["o_b"]}
    (record,) = warnings.records
    assert all(part in record.getMessage() for part in ("id-1", "o_a", logged))


@pytest.mark.parametrize(
    "cloud",
    [RegionNotFound("None."), InventoryTimeout("Slow."), Cloud("azure", "1"), Cloud("bare", None)],
    ids=["unknown", "A&AI slow", "no such type", "no default"],
)
def test_a_vim_without_a_plugin_drops_out_and_is_logged(
    story: Story, warnings: pytest.LogCaptureFixture, cloud: Cloud | BrokerError
) -> None:
    story.inventory.clouds["o_a"] = cloud
    assert story.check("v0", {"VIMs": ["o_a"]}) == {"VIMs": []}
    assert ["o_a" in record.getMessage() for record in warnings.records] == [True]
    assert story.client.asked == []


def test_a_vim_whose_plugin_is_left_alone_drops_out_unasked(story: Story, warnings: pytest.LogCaptureFixture) -> None:
    story.forwarder.open = CircuitOpen("pike is left alone.", 9)
    assert story.check("v0", {"VIMs": ["o_a"]}) == {"VIMs": []}
    assert ["pike is left alone." in record.getMessage() for record in warnings.records] == [True]
    assert story.client.asked == []


def test_a_name_that_is_no_regions_drops_out_and_is_logged(story: Story, warnings: pytest.LogCaptureFixture) -> None:
    assert story.check("v0", {"VIMs": ["x" * 5000]}) == {"VIMs": []}
    (record,) = warnings.records
    assert len(record.getMessage()) < 400


def test_a_broken_question_is_the_clients_error(story: Story) -> None:
    with pytest.raises(BadRequest):
        story.check("v0", {"VIMs": "o_a"})


def test_a_question_may_come_in_pieces_up_to_a_limit(story: Story) -> None:
    whole = b'{"VIMs": []}'.ljust(CAPACITY_BODY)
    request = asking("POST", "", Body(whole[:100], whole[100:]))
    assert read(story.own("v0", "check_vim_capacity", request)) == {"VIMs": []}
    with pytest.raises(ContentTooLarge, match=str(CAPACITY_BODY)):
        story.own("v0", "check_vim_capacity", asking("POST", "", Body(whole, b" ")))


# Forwarding.


@pytest.mark.parametrize(
    ("version", "names", "path", "sent"),
    [
        ("v0", ["o_a"], "v0/o_a/x?name=multicloud", "/api/pike/v0/o_a/x?name=multicloud"),
        ("v1", ["o", "a"], "v1/o/a/%2F//%FF", "/api/pike/v1/o/a/%2F//%FF"),
    ],
)
def test_a_request_goes_to_the_regions_plugin(
    story: Story, version: str, names: list[str], path: str, sent: str
) -> None:
    request = asking("GET", path)
    assert list(story.broker.forward(version, names, request).body) == [b"forwarded"]
    assert story.forwarder.sent == [(MSB, sent.encode(), "pike")]
    assert (request.plugin, request.route) == ("pike", builtin().region_template(version))
    assert story.inventory.events == ["find o_a for id-1", "forward"]


def test_another_version_goes_to_the_types_own_plugin(story: Story) -> None:
    story.inventory.clouds["o_a"] = Cloud("openstack", None)
    story.broker.forward("v0", ["o_a"], asking("GET", "v0/o_a"))
    assert story.forwarder.sent[0].plugin == "other"


@pytest.mark.parametrize(
    ("version", "names", "path"),
    [
        ("v0", ["oa"], "v0/oa/x"),
        ("v1", ["o", "a.b"], "v1/o/a.b"),
        ("v0", ["o_a"], "v0/o_a/../x"),
        ("v0", ["o_a"], "v0/o_a/%2e"),
    ],
    ids=["no vim_id", "no pair", "dots", "encoded dot"],
)
def test_what_is_malformed_is_refused_before_anything_is_asked(
    story: Story, version: str, names: list[str], path: str
) -> None:
    request = asking("POST", path)
    with pytest.raises(BadRequest):
        story.broker.forward(version, names, request)
    assert story.inventory.events == []
    assert request.route == builtin().region_template(version)


@pytest.mark.parametrize(
    ("cloud", "error"),
    [
        (RegionNotFound("x"), RegionNotFound),
        (InventoryTimeout("x"), InventoryTimeout),
        (Cloud("x", "1"), PluginUnknown),
    ],
)
def test_a_region_without_a_plugin_is_an_error(
    story: Story, cloud: Cloud | BrokerError, error: type[BrokerError]
) -> None:
    story.inventory.clouds["o_a"] = cloud
    with pytest.raises(error):
        story.broker.forward("v0", ["o_a"], asking("GET", "v0/o_a"))
    assert story.forwarder.sent == []


def test_without_msb_a_plugin_needs_an_address() -> None:
    with pytest.raises(PluginUnknown, match="pike has no address"):
        Story(msb=None).broker.forward("v0", ["o_a"], asking("GET", "v0/o_a"))


CHANGES = [
    ("v0", "POST", "v0/o_a/registry"),
    ("v0", "POST", "v0/o_a/registry/?x=1"),
    ("v0", "DELETE", "v0/o_a"),
    ("v0", "DELETE", "v0/o_a/"),
    ("v1", "POST", "v1/o/a/registry"),
    ("v1", "DELETE", "v1/o/a?x=/y"),
]
KEEPS = [
    ("v0", "GET", "v0/o_a/registry"),
    ("v0", "GET", "v0/o_a"),
    ("v0", "POST", "v0/o_a"),
    ("v0", "POST", "v0/o_a/registry/x"),
    ("v0", "POST", "v0/o_a/x/registry"),
    ("v0", "DELETE", "v0/o_a/registry"),
    ("v0", "DELETE", "v0/o_a/tenant/servers/1"),
    ("v0", "POST", "v0/o_a/x?/registry"),
    ("v1", "DELETE", "v1/o/a/infra_workload/1"),
]
NAMES = {"v0": ["o_a"], "v1": ["o", "a"]}


@pytest.mark.parametrize(("version", "method", "path"), CHANGES)
def test_a_registration_drops_what_is_remembered_before_and_after(
    story: Story, version: str, method: str, path: str
) -> None:
    story.broker.forward(version, NAMES[version], asking(method, path))
    assert story.inventory.events == ["forget o_a", "find o_a for id-1", "forward", "forget o_a"]


@pytest.mark.parametrize(("version", "method", "path"), KEEPS)
def test_nothing_else_drops_it(story: Story, version: str, method: str, path: str) -> None:
    story.broker.forward(version, NAMES[version], asking(method, path))
    assert "forget o_a" not in story.inventory.events


def test_a_registration_that_fails_drops_it_too(story: Story) -> None:
    story.forwarder.error = UpstreamTimeout("x")
    with pytest.raises(UpstreamTimeout):
        story.broker.forward("v0", ["o_a"], asking("POST", "v0/o_a/registry"))
    assert story.inventory.events[-1] == "forget o_a"


def test_a_path_that_no_route_takes_is_told_where_the_routes_are() -> None:
    assert isinstance(no_such_path(), NotFound)
    assert "swagger.json" in no_such_path().message
