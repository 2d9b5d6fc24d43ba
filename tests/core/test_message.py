from __future__ import annotations

import json

import pytest

from app.core.message import Response


@pytest.mark.parametrize("document", [[], {}, {"ä": "\n"}, [1, None, True]])
def test_a_json_response_is_whole_and_of_known_length(document: object) -> None:
    response = Response.json(200, document)
    (body,) = response.body
    assert json.loads(body) == document
    assert response.headers == [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]


@pytest.mark.parametrize(("status", "line"), [(200, "200 OK"), (404, "404 Not Found")])
def test_the_status_line_is_of_code_and_phrase(status: int, line: str) -> None:
    assert Response.json(status, {}).status_line == line


def test_a_plugins_own_reason_stays() -> None:
    assert Response(409, "InUse", [], []).status_line == "409 InUse"


def test_headers_added_to_a_copy_are_not_in_the_next_one() -> None:
    response = Response.json(200, {})
    response.again().headers.append(("X-ONAP-RequestID", "1"))
    again = response.again()
    assert (again.status, again.reason, again.headers, again.body) == (200, "OK", response.headers, response.body)
    assert len(again.headers) == 3
