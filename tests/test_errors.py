from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from app import errors
from app.errors import BrokerError, ClientGone, MethodNotAllowed, Unauthorized, Unavailable


def below(cls: type[BrokerError]) -> Iterator[type[BrokerError]]:
    for child in cls.__subclasses__():
        yield child
        yield from below(child)


EVERY = [BrokerError, *below(BrokerError)]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("BrokerError", 500),
        ("ConfigurationError", 500),
        ("BadRequest", 400),
        ("Unauthorized", 401),
        ("NotFound", 404),
        ("RegionNotFound", 404),
        ("MethodNotAllowed", 405),
        ("RequestTimeout", 408),
        ("ContentTooLarge", 413),
        ("TargetTooLong", 414),
        ("ExpectationFailed", 417),
        ("HeadersTooLarge", 431),
        ("NotImplementedMethod", 501),
        ("VersionNotSupported", 505),
        ("RegionIncomplete", 502),
        ("PluginUnknown", 502),
        ("UpstreamError", 502),
        ("UpstreamRefused", 502),
        ("UpstreamGarbled", 502),
        ("UpstreamTimeout", 504),
        ("InventoryError", 502),
        ("InventoryTimeout", 504),
        ("Unavailable", 503),
        ("CircuitOpen", 503),
        ("PluginBusy", 503),
    ],
)
def test_an_error_carries_its_status(name: str, status: int) -> None:
    assert getattr(errors, name).status == status


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_a_status_is_one_that_http_knows_and_a_reason_is_kebab_case(cls: type[BrokerError]) -> None:
    assert 400 <= HTTPStatus(cls.status) < 600
    assert all(word.isalpha() and (word.isupper() or word.istitle()) for word in cls.reason.split("-"))


def test_reasons_tell_errors_apart() -> None:
    reasons = [cls.reason for cls in EVERY]
    assert sorted(reasons) == sorted(set(reasons))


@pytest.mark.parametrize("text", ["Send a name.", 'Send "x".', "Größe\n\x00"])
def test_the_body_is_the_contracts_document_and_nothing_else(text: str) -> None:
    assert json.loads(errors.RegionNotFound(text).body("id-1")) == {
        "error": {"code": 404, "reason": "Region-Not-Found", "message": text, "request_id": "id-1"}
    }


def test_the_status_line_has_the_standard_phrase() -> None:
    assert errors.HeadersTooLarge("x").status_line == "431 Request Header Fields Too Large"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (BrokerError("x"), ()),
        (MethodNotAllowed("x", ("GET", "HEAD")), (("Allow", "GET, HEAD"),)),
        (Unauthorized("x", ("Basic", "Bearer")), (("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Bearer"))),
        (Unavailable("x"), (("Retry-After", "1"),)),
        (Unavailable("x", 30), (("Retry-After", "30"),)),
        (errors.CircuitOpen("x", 7), (("Retry-After", "7"),)),
        (errors.PluginBusy("x"), (("Retry-After", "1"),)),
    ],
    ids=["none", "allow", "challenges", "retry soon", "retry later", "open", "busy"],
)
def test_headers_that_go_with_an_error(error: BrokerError, headers: tuple[tuple[str, str], ...]) -> None:
    assert error.headers == headers


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (errors.RegionNotFound, errors.NotFound),
        (errors.UpstreamRefused, errors.UpstreamError),
        (errors.UpstreamGarbled, errors.UpstreamError),
        (errors.UpstreamTimeout, errors.UpstreamError),
        (errors.InventoryError, errors.UpstreamError),
        (errors.InventoryTimeout, errors.UpstreamTimeout),
    ],
)
def test_who_handles_the_wide_error_handles_the_narrow_one(narrow: type[Exception], wide: type[Exception]) -> None:
    assert issubclass(narrow, wide)


def test_no_framework_turns_a_client_that_is_gone_into_an_answer() -> None:
    assert not issubclass(ClientGone, Exception)
    assert ClientGone.status == 499
