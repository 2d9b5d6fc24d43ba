from __future__ import annotations

import pytest

from app.conf import load
from app.conf.auth import ALGORITHMS, Algorithms, HttpUrl
from app.errors import ConfigurationError


@pytest.mark.parametrize(
    "url", ["http://h", "https://h:8443/a/b?x=y&z", "HTTPS://h/", "http://[::1]:80/x", "https://h/a%20b"]
)
def test_a_url_that_is_fetched_from(url: str) -> None:
    assert HttpUrl()(url) == url


@pytest.mark.parametrize(
    "url",
    ["h", "/keys", "ftp://h/", "file:///etc/passwd", "https://", "https:///x", "https://u@h/", "https://u:p@h/",
     "https://h/#f", "https://h/x#", "https://h:0/", "https://h:99999/", "https://h:x/", "https://h/a b", "https://[::1/x",
     "https://h/ä"],
)  # fmt: skip
def test_a_url_that_is_not(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        HttpUrl()(url)


def test_signatures_by_name() -> None:
    assert Algorithms()("ES256, RS256 ,EdDSA") == "ES256,RS256,EdDSA"


@pytest.mark.parametrize(
    "names", ["HS256", "none", "RS256,HS512", "rs256", "", "RS256,,ES256", "RS256;ES256", "ES256K"]
)
def test_none_that_is_unsafe_or_unknown(names: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Algorithms()(names)


def test_by_default_all_are_accepted_whose_keys_are_public_and_nobody_authenticates() -> None:
    options = load((), {}).auth
    assert options.jwt_algorithms.split(",") == list(ALGORITHMS)
    assert (options.basic_file, options.jwks_file, options.jwks_url) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("JWKS_URL", "ftp://h", "allowed is http(s)://host[:port][/path][?query], without userinfo and fragment"),
        ("JWT_ALGORITHMS", "HS256", "allowed is some of RS256, RS384"),
        ("REALM", 'a"b', "allowed is a text of ASCII without"),
        ("REALM", "a\\b", "allowed is a text of ASCII without"),
        ("JWT_NAME_CLAIM", 'a"b', "allowed is a text of visible ASCII without"),
        ("JWT_LEEWAY", "301", "allowed is a whole number from 0 to 300"),
        ("JWKS_REFRESH", "1", "allowed is a number from 10 to 86400"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load((), {f"BROKER_AUTH_{name}": value})
    assert caught.value.message.startswith(f"auth.{name.lower()} is {value!r} (BROKER_AUTH_{name}): {wanted}")
