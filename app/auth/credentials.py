"""What a client says of itself: the header `Authorization`, as values. Knows no password and no key."""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from app.core.message import Headers
from app.errors import BadRequest

CREDENTIALS = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?: +([A-Za-z0-9._~+/-]+=*))?")
"""RFC 9110, 11.4: a scheme, spaces (no tab), and a token68; both of our schemes have no other form."""


BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
"""RFC 4648, 4; binascii's strict mode takes too much padding."""


class Refused(Exception):
    """Credentials that are not right; the message is for the client, in ASCII, and holds nothing of them."""


class Credentials(NamedTuple):
    """A scheme in lower case, and its token68; empty where there is none, or what there is is of another form."""

    scheme: bytes = b""
    token: bytes = b""


class Login(NamedTuple):
    """Of Basic (RFC 7617, 2)."""

    user: str
    password: bytes


def authorization(headers: Headers) -> Credentials:
    """The credentials of a request. Two headers of them are refused: a plugin might read the other one."""
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if len(values) > 1:
        raise BadRequest("Send one Authorization header at the most.")
    found = CREDENTIALS.fullmatch(values[0]) if values else None
    return Credentials(found[1].lower(), found[2] or b"") if found else Credentials()


def login(token: bytes) -> Login:
    """User and password of Basic's token, in the UTF-8 that our challenge asks for (RFC 7617, 2.1).

    Raises `Refused`, also for the control characters that neither may hold.
    """
    try:
        text = binascii.a2b_base64(token).decode() if BASE64.fullmatch(token) else ""
    except UnicodeDecodeError:
        raise Refused("Send user and password in UTF-8.") from None
    user, colon, password = text.partition(":")
    if not colon or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise Refused("Send user and password in Base64, with a colon between them and no control characters.")
    return Login(user, password.encode())
