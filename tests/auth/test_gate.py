from __future__ import annotations

from typing import Any

import pytest

from app.auth.credentials import Refused
from app.auth.gate import Gate
from app.core.message import Headers, Request
from app.errors import BadRequest, BrokerError, Unauthorized, Unavailable


class Scheme:
    """Knows one token, and is busy for another."""

    def __init__(self, name: str) -> None:
        self.name = name

    def challenge(self, refused: str) -> str:
        return f"{self.name} {refused}".strip()

    def caller(self, token: bytes, client: str) -> str:
        if token == b"busy":
            raise Unavailable("later")
        if token != b"good":
            raise Refused("It is bad.")
        return f"{self.name}@{client}"


def asked(*values: bytes, target: bytes = b"/x", schemes: tuple[str, ...] = ("Basic", "Bearer")) -> Any:
    headers: Headers = [(b"Authorization", value) for value in values]
    request = Request("GET", target, headers, object(), "id", "10.0.0.9")  # type: ignore[arg-type]
    gate = Gate({name.lower().encode(): Scheme(name) for name in schemes}, frozenset((b"/open",)))
    try:
        gate(request)
    except BrokerError as error:
        return error
    return request.user


@pytest.mark.parametrize(
    ("value", "user"),
    [
        (b"Basic good", "Basic@10.0.0.9"),
        (b"bearer good", "Bearer@10.0.0.9"),
        (b"BEARER   good", "Bearer@10.0.0.9"),
    ],
)
def test_the_scheme_that_the_client_uses_decides(value: bytes, user: str) -> None:
    assert asked(value) == user


BARE = ["Basic", "Bearer"]


@pytest.mark.parametrize(
    ("values", "challenges", "message"),
    [
        ((), BARE, "Send credentials by Basic or Bearer authentication."),
        ((b"Digest x",), BARE, "Send credentials by Basic or Bearer authentication."),
        ((b"",), BARE, "Send credentials by Basic or Bearer authentication."),
        ((b"Basic bad",), ["Basic It is bad.", "Bearer"], "It is bad."),
        ((b"Bearer bad",), ["Basic", "Bearer It is bad."], "It is bad."),
        ((b"Basic\tgood",), BARE, "Send credentials by Basic or Bearer authentication."),
        (
            (b"Bearer",),
            ["Basic", "Bearer Send credentials after the scheme."],
            "Send credentials after the scheme.",
        ),
    ],
)
def test_who_is_not_let_in_is_told_how(values: tuple[bytes, ...], challenges: list[str], message: str) -> None:
    error = asked(*values)
    assert (type(error), error.message) == (Unauthorized, message)
    assert error.headers == tuple(("WWW-Authenticate", challenge) for challenge in challenges)


def test_a_scheme_that_is_off_is_not_named() -> None:
    error = asked(b"Bearer good", schemes=("Basic",))
    assert (error.status, error.headers) == (401, (("WWW-Authenticate", "Basic"),))


def test_a_gate_that_is_busy_is_no_refusal() -> None:
    assert type(asked(b"Basic busy")) is Unavailable


def test_two_headers_are_a_bad_request() -> None:
    assert type(asked(b"Basic good", b"Basic good")) is BadRequest


@pytest.mark.parametrize(
    ("target", "open_"),
    [
        (b"/open", True),
        (b"/open?x", True),
        (b"/open/", False),
        (b"/Open", False),
        (b"//open", False),
        (b"/%6fpen", False),
        (b"/open/../x", False),
        (b"/x?/open", False),
    ],
)
def test_only_the_very_path_is_for_everybody(target: bytes, open_: bool) -> None:
    assert (asked(target=target) == "") == open_
