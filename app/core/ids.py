"""Ids of requests and invocations, in the form of a random UUID (RFC 9562, 5.4)."""

from __future__ import annotations

from random import getrandbits

VERSION, VARIANT = "4", "a"
"""That it is random, and a UUID as the RFC has it."""


def new_id() -> str:
    """They tell requests apart and are no secret: `uuid.uuid4` with its system call takes four times as long.
    Python seeds each forked process anew."""
    digits = getrandbits(120).to_bytes(15).hex()
    return f"{digits[:8]}-{digits[8:12]}-{VERSION}{digits[12:15]}-{VARIANT}{digits[15:18]}-{digits[18:]}"
