"""The access line: one a request, JSON or plain, one write, 1 us where `logging` takes 12."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

from app.observability.output import stdout

DATES = "%Y-%m-%dT%H:%M:%S"


AccessLog = Callable[[str, str, str, str, str, str, int, float], None]
"""Takes request id, client, user (empty where callers do not authenticate), method, path (without its query, which may
hold what is nobody's business), plugin, status, and seconds."""


def timestamp(seconds: float) -> str:
    """In UTC, ISO 8601, with milliseconds; without a format's specification, which once compiled is a slow call."""
    milliseconds = int(seconds * 1000)
    return f"{_second(milliseconds // 1000)}.{str(1000 + milliseconds % 1000)[1:]}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime(DATES, time.gmtime(seconds))


def access_log(form: str, write: Callable[[bytes], object] = stdout) -> AccessLog:
    """What writes them; `form`: json or plain."""
    return _json_access(write) if form == "json" else _plain_access(write)


def _json_access(write: Callable[[bytes], object]) -> AccessLog:
    def line(
        request_id: str, client: str, user: str, method: str, path: str, plugin: str, status: int, seconds: float
    ) -> None:
        write(
            f'{{"time": "{timestamp(time.time())}", "level": "INFO", "logger": "access", '
            f'"request_id": {quoted(request_id)}, "client": "{client}", {_field(user) if user else ""}'
            f'"method": "{method}", "path": {quoted(path)}, "plugin": "{plugin}", "status": {status}, '
            f'"duration_ms": {_milliseconds(seconds)}}}\n'.encode()
        )

    return line


def _field(user: str) -> str:
    return f'"user": {quoted(user)}, '


def _plain_access(write: Callable[[bytes], object]) -> AccessLog:
    def line(
        request_id: str, client: str, user: str, method: str, path: str, plugin: str, status: int, seconds: float
    ) -> None:
        write(
            f"{timestamp(time.time())} INFO access {request_id} {client} {method} {path} {plugin or '-'} {status} "
            f"{_milliseconds(seconds)}ms{' ' + quoted(user) if user else ''}\n".encode()
        )

    return line


def _milliseconds(seconds: float) -> str:
    """With one decimal place."""
    tenths = int(seconds * 10_000 + 0.5)
    return f"{tenths // 10}.{tenths % 10}"
