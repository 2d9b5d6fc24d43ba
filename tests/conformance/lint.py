"""Lints HTTP exchanges by httplint; runs in the environment of the conformance tools.

Standard input: a JSON list of `[request, response, when]`: both as they went over the wire, in base64, and the second
of the answer. Standard output: for each of them a JSON list of notes.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from httplint.message import HttpRequestLinter, HttpResponseLinter

Fields = list[tuple[bytes, bytes]]


def lint(request: bytes, response: bytes, when: float) -> list[dict[str, str]]:
    """What httplint notes on a response, with its request known."""
    asked = HttpRequestLinter(start_time=when)
    (method, target, version), fields, _ = parsed(request)
    asked.process_request_topline(method, target, version)
    asked.process_headers(fields)
    answered = HttpResponseLinter(start_time=when)
    answered.request = asked
    answered.is_head_response = method == b"HEAD"
    (version, status, phrase), fields, content = parsed(response)
    answered.process_response_topline(version.removeprefix(b"HTTP/"), status, phrase)
    answered.process_headers(fields)
    if (b"transfer-encoding", b"chunked") in [(name.lower(), value) for name, value in fields]:
        content = b"".join(chunks(content))
    answered.feed_content(content)
    answered.finish_content(complete=True)
    return [told(note) for note in flat(answered.notes)]


def parsed(message: bytes) -> tuple[list[bytes], Fields, bytes]:
    """The first line's three parts, the header fields, and what follows."""
    head, _, content = message.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    fields = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return [*first.split(b" ", 2), b"", b""][:3], fields, content


def chunks(content: bytes) -> Iterable[bytes]:
    while content:
        size, _, content = content.partition(b"\r\n")
        yield content[: int(size, 16)]
        content = content[int(size, 16) + 2 :]


def flat(notes: Iterable[Any]) -> Iterable[Any]:
    for note in notes:
        yield note
        yield from flat(note.subnotes)


def told(note: Any) -> dict[str, str]:
    return {"name": type(note).__name__, "level": note.level.value, "summary": str(note)}


if __name__ == "__main__":
    json.dump([lint(b64decode(one), b64decode(other), when) for one, other, when in json.load(sys.stdin)], sys.stdout)
