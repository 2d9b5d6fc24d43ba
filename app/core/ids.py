"""Ids of requests and invocations, in the form of a random UUID (RFC 9562, 5.4)."""

from __future__ import annotations

from random import getrandbits


def new_id() -> str:
    """They tell requests apart and are no secret: `uuid.uuid4` with its system call takes four times as long.
    Python seeds each forked process anew."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[getrandbits(2)]}{digits[17:20]}-{digits[20:]}"
