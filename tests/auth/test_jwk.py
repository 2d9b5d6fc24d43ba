from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from app.auth.jwk import MOST, load_keys, parse_keys
from app.errors import ConfigurationError
from tests.auth.conftest import Issuer

RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


@pytest.mark.parametrize(
    ("kid", "algorithms"),
    [
        ("rsa", RSA),
        ("p256", {"ES256"}),
        ("p384", {"ES384"}),
        ("p521", {"ES512"}),
        ("ed25519", {"EdDSA"}),
        ("ed448", {"EdDSA"}),
    ],
)
def test_each_kind_of_key_verifies_its_algorithms(issuer: Issuer, kid: str, algorithms: set[str]) -> None:
    (key,) = parse_keys(issuer.jwks(kid)).keys
    assert (key.id, key.algorithms) == (kid, algorithms)
    for algorithm in algorithms:
        assert jwt.decode(jwt.encode({}, issuer.keys[kid], algorithm), key.material, [algorithm]) == {}


@pytest.mark.parametrize(
    ("members", "algorithms"),
    [
        ({"alg": "RS512"}, {"RS512"}),
        ({"use": None}, RSA),
        ({"key_ops": ["verify"], "use": None}, RSA),
        ({"x5c": ["garbage"], "x5t": "y", "own": 1}, RSA),
        ({"kid": None}, RSA),
        ({"d": "not a number", "p": 1}, RSA),
    ],
)
def test_what_a_key_says_of_itself(issuer: Issuer, members: dict[str, object], algorithms: set[str]) -> None:
    (key,) = parse_keys(issuer.jwks("rsa", **members)).keys
    assert (key.id, key.algorithms) == (members.get("kid", "rsa"), algorithms)


UNUSABLE: list[tuple[str, dict[str, object]]] = [
    ("rsa", {"use": "enc"}),
    ("rsa", {"key_ops": ["sign"]}),
    ("rsa", {"key_ops": "verify"}),
    ("rsa", {"alg": "HS256"}),
    ("rsa", {"alg": "ES256"}),
    ("rsa", {"alg": "RSA-OAEP"}),
    ("rsa", {"alg": ["RS256"]}),
    ("rsa", {"kid": 1}),
    ("rsa", {"kty": "EC"}),
    ("rsa", {"kty": "rsa"}),
    ("rsa", {"kty": ["RSA"]}),
    ("rsa", {"n": None}),
    ("rsa", {"n": 12345}),
    ("rsa", {"e": ""}),
    ("rsa", {"e": "AQ"}),
    ("rsa", {"n": "€"}),
    ("weak", {}),
    ("p256", {"crv": "P-384"}),
    ("p256", {"crv": "secp256k1"}),
    ("p521", {"alg": "ES256"}),
    ("p256", {"crv": ["P-256"]}),
    ("p256", {"x": "AAAA"}),
    ("p256", {"x": base64.urlsafe_b64encode(b"\x01" * 32).decode().rstrip("=")}),
    ("ed25519", {"x": "AAAA"}),
    ("ed25519", {"crv": "X25519"}),
]


@pytest.mark.parametrize(("kid", "members"), UNUSABLE)
def test_a_key_of_no_use_is_passed_over(issuer: Issuer, kid: str, members: dict[str, object]) -> None:
    bad = issuer.jwk(kid, **members)
    keys = parse_keys(json.dumps({"keys": [bad, 1, None, [], {}, issuer.jwk("p384")]}).encode())
    assert [key.id for key in keys.keys] == ["p384"]
    with pytest.raises(ValueError, match="no public key"):
        parse_keys(json.dumps({"keys": [bad]}).encode())


def test_a_shared_secret_is_no_key(issuer: Issuer) -> None:
    with pytest.raises(ValueError, match="no public key"):
        parse_keys(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "x"}]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [1]}',
        b"\xff",
        b"[" * 100_000,
        b'{"keys":' + b"[" * 100_000,
        b'{"keys": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_set_is_refused(text: bytes, write: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_keys(text)
    path = write(text)
    with pytest.raises(ConfigurationError, match=f"the key set {path} is of no use"):
        load_keys(path)


def test_too_many_keys_are_refused(issuer: Issuer) -> None:
    many: dict[str, list[Any]] = {"keys": [issuer.jwk("ed25519")] * MOST}
    assert len(parse_keys(json.dumps(many).encode()).keys) == MOST
    many["keys"].append({})
    with pytest.raises(ValueError, match="at most"):
        parse_keys(json.dumps(many).encode())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_keys(tmp_path / "none")


def test_a_key_is_found_by_its_id_and_algorithm(issuer: Issuer) -> None:
    keys = parse_keys(issuer.jwks("rsa", "p256"))
    rsa, p256 = keys.keys
    assert [keys.find("rsa", "RS256"), keys.find("rsa", "PS512"), keys.find("p256", "ES256")] == [rsa, rsa, p256]
    for kid, algorithm in (("rsa", "ES256"), ("p256", "RS256"), ("", "RS256"), ("RSA", "RS256"), ("x", "ES256")):
        assert keys.find(kid, algorithm) is None


def test_a_token_without_an_id_needs_exactly_one_key_that_fits(issuer: Issuer) -> None:
    keys = parse_keys(issuer.jwks("rsa", "p256", "ed25519", "ed448"))
    assert keys.find(None, "RS256") is keys.keys[0]
    assert keys.find(None, "EdDSA") is None
    assert keys.find(None, "ES384") is None
    assert parse_keys(issuer.jwks("rsa", kid=None)).find("x", "RS256") is None
