from __future__ import annotations

import base64

import pytest

from app.auth.credentials import Credentials, Refused, authorization, login
from app.core.message import Headers
from app.errors import BadRequest
from tests.auth.conftest import basic


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"Basic YTpi", (b"basic", b"YTpi")),
        (b"bAsIc   YTpi==", (b"basic", b"YTpi==")),
        (b"Bearer a.b_c-d~e+f/g=", (b"bearer", b"a.b_c-d~e+f/g=")),
        (b"Basic", (b"basic", b"")),
        (b"Basic\tYTpi", (b"", b"")),
        (b"Basic YTpi YTpi", (b"", b"")),
        (b"Basic YT=pi", (b"", b"")),
        (b"Bearer a,b", (b"", b"")),
        (b'Digest username="a"', (b"", b"")),
        (b"Basic \xff", (b"", b"")),
        (b"", (b"", b"")),
        (b"YTpi", (b"ytpi", b"")),
    ],
)
def test_a_scheme_and_its_token(value: bytes, found: tuple[bytes, bytes]) -> None:
    assert authorization([(b"X", b"y"), (b"aUTHORIZATION", value)]) == found


def test_none_is_none() -> None:
    assert authorization([(b"Proxy-Authorization", b"Basic YTpi"), (b"Authorization_", b"Basic YTpi")]) == Credentials()


@pytest.mark.parametrize("second", [b"Basic YTpi", b"", b"Bearer x"])
def test_two_headers_are_refused(second: bytes) -> None:
    headers: Headers = [(b"Authorization", b"Basic YTpi"), (b"authorization", second)]
    with pytest.raises(BadRequest):
        authorization(headers)


@pytest.mark.parametrize(
    ("user", "password"),
    [(b"alice", b"secret"), (b"a", b"p:a:s:s"), (b"", b""), (b"a", b""), ("Zoë".encode(), "пароль€".encode())],
)
def test_a_user_ends_at_the_first_colon(user: bytes, password: bytes) -> None:
    assert login(basic(user, password)) == (user.decode(), password)


@pytest.mark.parametrize(
    "token",
    [
        b"YTpi=",
        b"YTpiY",
        b"YTpi====",
        b"YT-_pi",
        b"YT.pi",
        b"=",
        base64.b64encode(b"no colon"),
        base64.b64encode(b"a:\xff"),
        base64.b64encode(b"\xc3:a"),
        base64.b64encode(b"a\x00:b"),
        base64.b64encode(b"a:b\x00c"),
        base64.b64encode(b"a:b\nc"),
        base64.b64encode(b"a:b\x7f"),
        base64.b64encode("a:\ud800".encode("utf-8", "surrogatepass")),
    ],
)
def test_what_is_no_login_is_refused_without_showing_it(token: bytes) -> None:
    with pytest.raises(Refused) as caught:
        login(token)
    assert token.decode() not in str(caught.value)
