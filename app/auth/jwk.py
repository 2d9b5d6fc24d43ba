"""Public keys from a JSON Web Key Set (RFC 7517), and which of them a token is verified by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.errors import ConfigurationError

MEMBERS: Mapping[str, tuple[str, ...]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""The public ones by `kty` (RFC 7518, 6.2.1 and 6.3.1; RFC 8037, 2): what there is of a private key is left out, and
keys of other types (`oct` is a shared secret) are not for us."""

ALGORITHMS: Mapping[tuple[str, str | None], frozenset[str]] = {
    ("RSA", None): frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ("EC", "P-256"): frozenset(("ES256",)),
    ("EC", "P-384"): frozenset(("ES384",)),
    ("EC", "P-521"): frozenset(("ES512",)),
    ("OKP", "Ed25519"): frozenset(("EdDSA",)),
    ("OKP", "Ed448"): frozenset(("EdDSA",)),
}
"""What a key can verify, by `kty` and `crv`; its own `alg` narrows that down."""

RSA_BITS = 2048
"""At least (RFC 7518, 3.3)."""

MOST = 100
"""Keys of a set; more are a mistake, and each costs time to load."""


class Key(NamedTuple):
    id: str | None
    algorithms: frozenset[str]
    material: Any


class KeySet:
    """Keys that can verify a signature."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = keys

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of this id; for a token that names none, the only one that fits its algorithm."""
        fitting = [key for key in self.keys if algorithm in key.algorithms and kid in (None, key.id)]
        return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None


def load_keys(path: Path) -> KeySet:
    """Raises `ConfigurationError`."""
    try:
        return parse_keys(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read the key set {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"the key set {path} is of no use: {error}") from None


def parse_keys(text: bytes) -> KeySet:
    """The usable keys of a set; others are passed over (RFC 7517, 5). Raises `ValueError` if there are none."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MOST:
        raise ValueError(f'it is no object with a list of at most {MOST} "keys"')
    keys = tuple(key for entry in entries if isinstance(entry, dict) and (key := _key(entry)) is not None)
    if not keys:
        raise ValueError("it holds no public key that verifies signatures")
    return KeySet(keys)


def _key(entry: dict[str, Any]) -> Key | None:
    """None for one that is not for verifying, that is too weak or that is wrong."""
    kty, kid, alg = entry.get("kty"), entry.get("kid"), entry.get("alg")
    members = MEMBERS.get(kty) if isinstance(kty, str) else None
    if members is None or not (kid is None or isinstance(kid, str)) or not _verifies(entry):
        return None
    public = {name: entry[name] for name in members if isinstance(entry.get(name), str)}
    algorithms = ALGORITHMS.get((str(kty), public.get("crv")), frozenset())
    if alg is not None:
        algorithms = algorithms & {alg} if isinstance(alg, str) else frozenset()
    if not algorithms or len(public) < len(members):
        return None
    try:
        material = jwt.PyJWK({"kty": kty, **public}, min(algorithms)).key
    except Exception:  # whatever a key does to the library, the others of the set are good
        return None
    if isinstance(material, RSAPublicKey) and material.key_size < RSA_BITS:
        return None
    return Key(kid, algorithms, material)


def _verifies(entry: dict[str, Any]) -> bool:
    """RFC 7517, 4.2 and 4.3."""
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
