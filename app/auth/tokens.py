"""Bearer authentication (RFC 6750) by signed tokens (RFC 7519), with the advice of RFC 8725.

A token chooses nothing but one of our keys by its id: what it says of where a key is (`jku`, `x5u`), or of the
key itself (`jwk`, `x5c`), is not looked at, and its algorithm has to be one that we allow and that the key is for.
"""

from __future__ import annotations

import json
import logging
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jwt

from app.auth.credentials import Refused
from app.auth.jwk import Key, KeySet
from app.auth.remembered import Digest, Remembered

LOG = logging.getLogger(__name__)

COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515, 7.1."""

LONGEST = 16384
"""Bytes of a token: what is wrong in one is found in less than a millisecond."""

TYPES = frozenset(("jwt", "at+jwt"))
"""`typ`, less `application/`, where there is one (RFC 7519, 5.1; RFC 9068, 2.1): not a logout's or an event's."""

MOST = 4096
"""Tokens remembered."""

LONGEST_NAME = 255

WHY: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is of another issuer.",
    jwt.InvalidSignatureError: "The token's signature is not right.",
    jwt.MissingRequiredClaimError: "The token lacks one of the claims exp, iss and aud.",
}
"""RFC 6750, 3.1: all are `invalid_token`."""

INVALID = "The token is not valid."
UNKNOWN_KEY = "The token names no key and algorithm that are known here."


class Keys(Protocol):
    """Where keys come from."""

    def current(self) -> KeySet | None:
        """The set as it is known now; None if there never was one."""

    def renewed(self) -> KeySet:
        """The set after a look whether there is a newer one. Raises `Unavailable`."""


class Rules(NamedTuple):
    """What a token has to hold; `leeway` in seconds, `name` the claim that is the caller's."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    leeway: int
    name: str


class _Entry(NamedTuple):
    user: str
    keys: KeySet
    until: int


class Tokens:
    """Verifies, and remembers what is verified until it expires or the set of keys is another one."""

    def __init__(self, realm: str, keys: Keys, rules: Rules, clock: Callable[[], float] = time.time) -> None:
        self._realm = realm
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._digest = Digest()
        self._remembered: Remembered[_Entry] = Remembered(MOST)

    def challenge(self, refused: str) -> str:
        """RFC 6750, 3: what was wrong with a token, and nothing where there was none."""
        error = f', error="invalid_token", error_description="{refused}"' if refused else ""
        return f'Bearer realm="{self._realm}"{error}'

    def caller(self, token: bytes, _: str) -> str:
        """Whose token this is. Raises `Refused`, or `Unavailable`."""
        digest = self._digest(token)
        entry = self._remembered.find(digest)
        if entry is not None and entry.keys is self._keys.current() and self._clock() < entry.until:
            return entry.user
        kid, algorithm = _header(token, self._rules.algorithms)
        key, keys = self._key(kid, algorithm)
        claims = self._claims(token, key, algorithm)
        user = self._name(claims)
        self._remembered.keep(digest, _Entry(user, keys, int(claims["exp"]) + self._rules.leeway))
        return user

    def _key(self, kid: str | None, algorithm: str) -> tuple[Key, KeySet]:
        keys = self._keys.current()
        key = keys.find(kid, algorithm) if keys is not None else None
        if keys is None or key is None:
            keys = self._keys.renewed()
            key = keys.find(kid, algorithm)
        if key is None:
            raise Refused(UNKNOWN_KEY)
        return key, keys

    def _claims(self, token: bytes, key: Key, algorithm: str) -> dict[str, Any]:
        rules = self._rules
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=[algorithm],
                audience=rules.audience,
                issuer=rules.issuer,
                leeway=rules.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Refused(WHY.get(type(error), INVALID)) from None
        except Exception as error:  # whatever a token does to the library, it is not a valid one
            LOG.warning("a token made its verification fail: %s", type(error).__name__)
            raise Refused(INVALID) from None

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._rules.name)
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
            raise Refused(f"The token's claim {self._rules.name} is no name.")
        return name


def _header(token: bytes, allowed: frozenset[str]) -> tuple[str | None, str]:
    """The key's id, if it has one, and the algorithm; nothing of it is to be trusted yet. Raises `Refused`."""
    found = COMPACT.fullmatch(token) if len(token) <= LONGEST else None
    if found is None:
        raise Refused(f"The token is no signed JWT of at most {LONGEST} bytes.")
    try:
        header = json.loads(urlsafe_b64decode(found[1] + b"=="))
    except (ValueError, RecursionError):
        raise Refused(INVALID) from None
    if not isinstance(header, dict) or "crit" in header:  # RFC 7515, 4.1.11: we know no extension
        raise Refused(INVALID)
    kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
        raise Refused("The token is of another type than JWT.")
    if not isinstance(algorithm, str) or algorithm not in allowed or not (kid is None or isinstance(kid, str)):
        raise Refused(UNKNOWN_KEY)
    return kid, algorithm
