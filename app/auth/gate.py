"""Lets a request pass whose caller is known (RFC 9110, 11.6); the scheme that the client uses decides how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.auth.credentials import Refused, authorization
from app.core.message import Request
from app.errors import Unauthorized


class Scheme(Protocol):
    """A way to authenticate."""

    def challenge(self, refused: str) -> str:
        """The value of `WWW-Authenticate`; `refused` is what was wrong with credentials of this scheme, if any."""

    def caller(self, token: bytes, client: str) -> str:
        """The name of who these credentials are of. Raises `Refused`, or `Unavailable`."""


class Gate:
    """`schemes` by their names in lower case; `exempt` paths are for everybody."""

    def __init__(self, schemes: Mapping[bytes, Scheme], exempt: frozenset[bytes]) -> None:
        self._schemes = schemes
        self._exempt = exempt
        self._names = " or ".join(name.decode().title() for name in schemes)

    def __call__(self, request: Request) -> None:
        """Set the request's user. Raises `Unauthorized`, `BadRequest` or `Unavailable`."""
        if request.target.partition(b"?")[0] in self._exempt:
            return
        credentials = authorization(request.headers)
        scheme = self._schemes.get(credentials.scheme)
        if scheme is None:
            raise self._unauthorized(f"Send credentials by {self._names} authentication.")
        try:
            if not credentials.token:
                raise Refused("Send credentials after the scheme.")
            request.user = scheme.caller(credentials.token, request.client)
        except Refused as refused:
            raise self._unauthorized(str(refused), scheme) from None

    def _unauthorized(self, message: str, used: Scheme | None = None) -> Unauthorized:
        return Unauthorized(
            message, tuple(scheme.challenge(message if scheme is used else "") for scheme in self._schemes.values())
        )
