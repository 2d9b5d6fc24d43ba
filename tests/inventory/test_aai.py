from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from app.core.origin import Origin
from app.core.region import Region
from app.errors import (
    InventoryError,
    InventoryTimeout,
    RegionIncomplete,
    RegionNotFound,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from app.inventory.aai import Aai, AaiSettings
from app.inventory.model import Cloud

REGION = Region("own", "reg_1")
SETTINGS = AaiSettings(Origin("https", "aai", 8443), "v13", 1.5, 7.5)


class Answer(NamedTuple):
    status: int
    body: bytes = b""


class Server:
    """Answers with one answer, or fails with one error, and keeps what it was asked."""

    def __init__(self, outcome: Answer | UpstreamError) -> None:
        self.outcome = outcome
        self.asked: list[tuple[Any, ...]] = []

    def __call__(
        self, origin: Origin, method: str, target: bytes, headers: list[tuple[bytes, bytes]], **times: float
    ) -> Answer:
        self.asked.append((origin, method, target, dict(headers), times))
        if isinstance(self.outcome, UpstreamError):
            raise self.outcome
        return self.outcome


FOUND = Answer(200, json.dumps({"cloud-type": "openstack", "cloud-region-version": "pike"}).encode())


def aai(outcome: Answer | UpstreamError, user: str = "u", password: str = "pä:ss") -> tuple[Aai, Server]:
    server = Server(outcome)
    return Aai(SETTINGS, server, lambda: (user, password)), server


def test_a_region_is_asked_for_as_the_contract_says() -> None:
    inventory, server = aai(FOUND)
    assert inventory.find(REGION, "id-1") == Cloud("openstack", "pike")
    ((origin, method, target, headers, times),) = server.asked
    assert (origin, method) == (Origin("https", "aai", 8443), "GET")
    assert target == b"/aai/v13/cloud-infrastructure/cloud-regions/cloud-region/own/reg_1"
    assert headers == {
        b"Accept": b"application/json",
        b"X-FromAppId": b"MultiCloud",
        b"X-TransactionId": b"id-1",
        b"Authorization": b"Basic " + base64.b64encode("u:pä:ss".encode()),
    }
    assert times == {"connect_timeout": 1.5, "response_timeout": 7.5}


def test_without_a_user_no_login_is_sent() -> None:
    inventory, server = aai(FOUND, user="")
    inventory.find(REGION, "id")
    assert b"Authorization" not in server.asked[0][3]


def test_a_name_cannot_leave_its_segment() -> None:
    inventory, server = aai(FOUND)
    inventory.find(Region("a/../b", "c?d#e"), "id")
    assert server.asked[0][2].endswith(b"/cloud-region/a%2F..%2Fb/c%3Fd%23e")


def test_a_new_password_counts_from_the_next_request() -> None:
    server, passwords = Server(FOUND), iter(["old", "new"])
    inventory = Aai(SETTINGS, server, lambda: ("u", next(passwords)))
    inventory.find(REGION, "id")
    inventory.find(REGION, "id")
    sent = [base64.b64decode(asked[3][b"Authorization"][6:]) for asked in server.asked]
    assert sent == [b"u:old", b"u:new"]


def test_a_password_that_was_renewed_while_the_old_one_was_refused_is_tried_at_once() -> None:
    server, passwords = Server(FOUND), iter(["old", "new"])
    refused = iter([Answer(401), FOUND])
    inventory = Aai(
        SETTINGS, lambda *asked, **times: (server(*asked, **times), next(refused))[1], lambda: ("u", next(passwords))
    )
    assert inventory.find(REGION, "id") == Cloud("openstack", "pike")
    assert [base64.b64decode(asked[3][b"Authorization"][6:]) for asked in server.asked] == [b"u:old", b"u:new"]


def test_a_password_that_is_still_refused_is_not_tried_again() -> None:
    inventory, server = aai(Answer(401))
    with pytest.raises(InventoryError, match="401"):
        inventory.find(REGION, "id")
    assert len(server.asked) == 1


DEEP = b"[" * 100_000
NOT_FOUND = b'{"requestError": {"serviceException": {"messageId": "SVC3001"}}}'


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(404, NOT_FOUND), RegionNotFound, "own_reg_1"),
        (Answer(401), InventoryError, r"refused the broker's login \(401\)"),
        (Answer(403), InventoryError, r"refused the broker's login \(403\)"),
        (Answer(500), InventoryError, "answered 500 for region own_reg_1"),
        (Answer(503), InventoryError, "answered 503"),
        (Answer(400), InventoryError, "answered 400"),
        (Answer(302), InventoryError, "answered 302"),
        (Answer(204), InventoryError, "answered 204"),
        (Answer(200, b""), InventoryError, "own_reg_1 is no JSON"),
        (Answer(200, b"<html>"), InventoryError, "is no JSON"),
        (Answer(200, b"\xff"), InventoryError, "is no JSON"),
        (Answer(200, DEEP), InventoryError, "is no JSON"),
        (Answer(200, b"[]"), InventoryError, "is no cloud-region object"),
        (Answer(200, b"null"), InventoryError, "is no cloud-region object"),
        (Answer(200, b"{}"), RegionIncomplete, "own_reg_1 has no cloud-type in A&AI"),
    ],
    ids=lambda value: f"{value.status} {value.body[:9].decode('latin-1')}" if isinstance(value, Answer) else "",
)
def test_an_answer_of_aai_is_told_for_what_it_is(answer: Answer, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        aai(answer)[0].find(REGION, "id")


@pytest.mark.parametrize(
    ("failure", "error", "status"),
    [
        (UpstreamRefused("No."), InventoryError, 502),
        (UpstreamError("No."), InventoryError, 502),
        (UpstreamTimeout("No."), InventoryTimeout, 504),
    ],
)
def test_aai_that_is_not_there_says_nothing_of_the_region(
    failure: UpstreamError, error: type[UpstreamError], status: int
) -> None:
    with pytest.raises(error, match=r"A&AI at https://aai:8443 .*No\.") as caught:
        aai(failure)[0].find(REGION, "id")
    assert caught.value.status == status


@pytest.mark.parametrize("answer", [Answer(401), Answer(500), Answer(200, b"no"), Answer(404)])
def test_no_message_holds_the_password(answer: Answer) -> None:
    with pytest.raises((InventoryError, RegionNotFound)) as caught:
        aai(answer, password="hunter2")[0].find(REGION, "id")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("outcome", [FOUND, UpstreamTimeout("No.")], ids=["answered", "failed"])
def test_each_request_is_timed_once(outcome: Answer | UpstreamError) -> None:
    took: list[float] = []
    with suppress(InventoryTimeout):
        Aai(SETTINGS, Server(outcome), lambda: ("", ""), took.append).find(REGION, "id")
    assert len(took) == 1
    assert 0 <= took[0] < 60
