"""Of app.server.limits."""

from __future__ import annotations

import dataclasses

import pytest

from app.conf import load
from app.server.limits import Limits

OPTIONS = {
    "request_line": "request_line_limit",
    "header": "header_limit",
    "header_count": "header_count",
    "header_timeout": "header_timeout",
    "idle_timeout": "idle_timeout",
    "body_timeout": "body_timeout",
    "body_rate": "body_rate",
    "body_grace": "body_grace",
    "drain": "drain_limit",
    "connections": "connections_max",
    "requests": "requests_max",
    "uploads": "uploads_max",
    "downloads": "downloads_max",
    "grace_period": "grace_period",
    "drain_pause": "drain_pause",
}


def test_every_limit_is_an_option() -> None:
    assert {field.name for field in dataclasses.fields(Limits)} == set(OPTIONS)


@pytest.mark.parametrize(("name", "option"), OPTIONS.items())
def test_a_limit_and_its_option_have_the_same_default(name: str, option: str) -> None:
    assert getattr(Limits(), name) == load((), {}).server[option]
