"""Reading answers."""

from __future__ import annotations

import pytest

from app.volte import answers
from app.volte.answers import Answer, Failure


@pytest.mark.parametrize(
    ("status", "states", "meaning"),
    [
        ("", (), "ready"),
        ("", ("shutoff",), "ready"),
        ("active", (), "ready"),
        ("down", (), "ready"),
        ("available", (), "ready"),
        ("build", (), "pending"),
        ("queued", (), "pending"),
        ("creating", (), "pending"),
        ("error", (), "broken"),
        ("error_restoring", (), "broken"),
        ("killed", ("active",), "broken"),
        ("active", ("shutoff",), "pending"),
        ("shutoff", ("shutoff",), "ready"),
    ],
)
def test_what_a_status_means(status: str, states: tuple[str, ...], meaning: str) -> None:
    assert answers.readiness(status, states) == meaning


@pytest.mark.parametrize(
    ("document", "status"), [({}, ""), ({"status": None}, ""), ({"status": 3}, ""), ({"status": "BUILD"}, "build")]
)
def test_an_absent_status_is_empty(document: dict[str, object], status: str) -> None:
    assert answers.status_of(document) == status


@pytest.mark.parametrize(
    ("body", "in_use"), [(b'{"error": "PortInUse"}', True), (b"InUse", True), (b"conflict", False), (b"", False)]
)
def test_in_use_is_told_by_status_and_body(body: bytes, in_use: bool) -> None:
    assert Answer(409, body).in_use() is in_use
    assert not Answer(400, body).in_use()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_object_fails(body: bytes) -> None:
    with pytest.raises(Failure, match="answered 200 with"):
        Answer(200, body).document()


def test_an_empty_body_is_an_empty_document() -> None:
    assert Answer(204, b" ").document() == {}


@pytest.mark.parametrize("document", [{}, {"id": None}, {"id": ""}, {"id": True}, {"id": ["x"]}])
def test_an_id_is_needed(document: dict[str, object]) -> None:
    with pytest.raises(Failure, match="no id"):
        answers.identifier(document)


def test_an_id_may_be_a_number() -> None:
    assert answers.identifier({"id": 7}) == "7"
    assert answers.listed({"ports": [{"id": 7}]}, "ports", "7")


@pytest.mark.parametrize(
    ("code", "existed"),
    [({}, False), ({"returnCode": 1}, False), ({"returnCode": 0}, True), ({"returnCode": "0"}, True)],
)
def test_return_code_0_means_it_existed(code: dict[str, object], existed: bool) -> None:
    assert answers.existed(code) is existed


def test_what_is_shown_as_deleted_is_not_there() -> None:
    assert not answers.listed({"servers": [{"id": "s", "status": "DELETED"}, "odd"]}, "servers", "s")


def test_a_list_is_needed() -> None:
    with pytest.raises(Failure, match="no list of ports"):
        answers.items({"ports": {}}, "ports")


TENANTS = {"tenants": [{"id": "1", "name": "one"}, {"id": "2", "name": "two"}]}


@pytest.mark.parametrize(("wanted", "id_"), [("", "1"), ("two", "2"), ("2", "2")])
def test_the_tenant_is_the_named_one_or_the_first(wanted: str, id_: str) -> None:
    assert answers.pick_tenant(TENANTS, wanted) == id_


@pytest.mark.parametrize(("document", "wanted", "why"), [(TENANTS, "three", "three"), ({"tenants": []}, "", "has no")])
def test_without_the_tenant_it_fails(document: dict[str, object], wanted: str, why: str) -> None:
    with pytest.raises(Failure, match=why):
        answers.pick_tenant(document, wanted)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"message": "no such region"}}', ": no such region"),
        (b'{"error": "PortInUse"}', ": PortInUse"),
        (b'{"fault": 1}', ': {"fault": 1}'),
        (b"\x1b[31mred\nline", ": [31mred line"),
        (b"", ""),
    ],
)
def test_a_refusal_quotes_the_message_in_one_line(body: bytes, told: str) -> None:
    assert Answer(500, body).refusal({202, 200}) == f"answered 500, not 200 or 202{told}"
