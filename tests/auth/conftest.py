"""What the tests of authentication share: hashes that cost little, keys of each kind, tokens."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example/realms/onap"
AUDIENCE = "multicloud"


def hashed(password: bytes, cost: int = 4, version: str = "y") -> str:
    """As `htpasswd -B` writes it."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode().replace("$2b$", f"$2{version}$", 1)


def basic(user: bytes, password: bytes) -> bytes:
    return base64.b64encode(user + b":" + password)


class Issuer:
    """Signs tokens, and publishes its keys."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "p256": ec.generate_private_key(ec.SECP256R1()),
            "p384": ec.generate_private_key(ec.SECP384R1()),
            "p521": ec.generate_private_key(ec.SECP521R1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate(),
            "ed448": ed448.Ed448PrivateKey.generate(),
            "weak": rsa.generate_private_key(65537, 1024),
        }

    def jwk(self, kid: str, /, **members: object) -> dict[str, Any]:
        """The public key; a member of None is left out."""
        key = self.keys[kid].public_key()
        kind = {"rsa": RSAAlgorithm, "weak": RSAAlgorithm}.get(kid, OKPAlgorithm if kid[:2] == "ed" else ECAlgorithm)
        made = {**kind.to_jwk(key, as_dict=True), "kid": kid, "use": "sig", **members}
        made.pop("key_ops", None) if "key_ops" not in members else None
        return {name: value for name, value in made.items() if value is not None}

    def jwks(self, *kids: str, **members: object) -> bytes:
        return json.dumps({"keys": [self.jwk(kid, **members) for kid in kids or ("rsa",)]}).encode()

    def token(self, kid: str = "rsa", alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A valid one, but for the claims and header members given; None leaves one out."""
        return self.sign(kid, alg, {"kid": kid, **(header or {})}, claims)

    def sign(self, kid: str, alg: str, header: dict[str, Any], claims: dict[str, Any]) -> str:
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "vid", "iat": now, "exp": now + 600}
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        headers = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(payload, self.keys[kid], alg, headers)


def compact(header: object, payload: object, signature: bytes = b"x") -> str:
    """Any three parts as a token."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(text: str | bytes, name: str = "file") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written
