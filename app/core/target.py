"""The request target: what is refused, and how the plugin's is made of it (contract, section 2.3)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from app.errors import BadRequest

PREFIX = b"/api/multicloud/"

ALLOWED = bytes({*range(0x21, 0x7F)} - {ord("#")})

SUSPECT = re.compile(rb"[/\\.%;]\.|%2[eEfF]|%5[cC]")
SEGMENTS = re.compile(rb"[/\\]")
DOT_SEGMENT = re.compile(rb"\.\.?(?:;.*)?", re.DOTALL)


def check(target: bytes) -> None:
    """Refuse a path that a plugin or MSB could resolve to outside the plugin's prefix. Raises `BadRequest`.

    A segment `.` or `..`, percent-encoded once or not, or followed by `;`; `/`, `%2F`, backslash and `%5C` separate.
    """
    if target.translate(None, ALLOWED) or not target:
        raise BadRequest("Send a target of visible ASCII; percent-encode every other byte.")
    path = target.partition(b"?")[0]
    if not (b"." in path or b"%" in path) or not SUSPECT.search(path):
        return
    for segment in SEGMENTS.split(unquote_to_bytes(path)):
        if DOT_SEGMENT.fullmatch(segment):
            raise BadRequest("Send a path without '.' and '..' segments.")


def rewrite(target: bytes, plugin: str) -> bytes:
    """The target at the plugin: its first prefix replaced, the rest byte for byte."""
    return b"/api/" + plugin.encode() + b"/" + target[len(PREFIX) :]
