"""Basic authentication (RFC 7617): bcrypt in a thread, few at once, and what it has verified is remembered.

A hash never changes what it says of a password, so that an answer counts as long as the file has that very
hash for that user: a line that is changed or gone counts at once, and who goes on calling is not verified
again, however many others try passwords meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import bcrypt

from app.auth.credentials import Refused, login
from app.auth.htpasswd import Users
from app.auth.remembered import Digest, Remembered
from app.net.singleflight import SingleFlight

LONGEST = 72
"""Bytes of a password: bcrypt reads no more of it."""

MOST = 1024
"""Right passwords that are remembered, and as many wrong ones, which thus cannot drive the right ones out."""

WRONG = "The user or the password is wrong."


class Offload(Protocol):
    """Runs what costs CPU in a thread, for each client in its turn; raises `Unavailable` where that takes too long."""

    def __call__(self, function: Callable[[], bool], client: str, /) -> bool: ...


@dataclass(slots=True)
class _Entry:
    user: str
    hash: bytes | None
    """The file's for this user; None where it had none."""
    until: float


class Verified:
    """What passwords have been verified, and are being; it may outlive the `Passwords` that have it."""

    def __init__(self) -> None:
        self.digest = Digest()
        self.right: Remembered[_Entry] = Remembered(MOST)
        self.wrong: Remembered[_Entry] = Remembered(MOST)
        self.flights: SingleFlight[tuple[bytes, bytes], bool] = SingleFlight()


class Passwords:
    """`users` is the file's content as it is now; `ttl` in seconds."""

    def __init__(
        self,
        realm: str,
        users: Callable[[], Users],
        offload: Offload,
        ttl: float,
        verified: Verified,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'
        self._users = users
        self._offload = offload
        self._ttl = ttl
        self._clock = clock
        self._verified = verified

    def challenge(self, refused: str) -> str:  # noqa: ARG002  Basic has no place for it
        return self._challenge

    def caller(self, token: bytes, client: str) -> str:
        """The user whose password this is. Raises `Refused`, or `Unavailable`."""
        digest = self._verified.digest(token)
        entry = self._verified.right.find(digest)
        if entry is not None and self._counts(entry):
            entry.until = self._clock() + self._ttl
            return entry.user
        entry = self._verified.wrong.find(digest)
        if entry is not None and self._counts(entry):
            raise Refused(WRONG)
        return self._verify(digest, token, client)

    def _counts(self, entry: _Entry) -> bool:
        return self._clock() < entry.until and self._users().known(entry.user) == entry.hash

    def _verify(self, digest: bytes, token: bytes, client: str) -> str:
        user, password = login(token)
        if len(password) > LONGEST:
            raise Refused(WRONG)
        users = self._users()
        known = users.known(user)
        hash_ = known or users.nobodys(user)
        check = partial(bcrypt.checkpw, password, hash_)
        verified = self._verified
        right = verified.flights.run((digest, hash_), lambda: self._offload(check, client)) and known is not None
        table = verified.right if right else verified.wrong
        table.keep(digest, _Entry(user, known, self._clock() + self._ttl))
        if not right:
            raise Refused(WRONG)
        return user
