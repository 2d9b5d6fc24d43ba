"""Logs: oslo.log to stdout, one JSON object or one plain line a record, and one access line a request."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from oslo_config import cfg
from oslo_log import log

from app.observability.output import stdout

PRODUCT = "multicloud"
PLAIN = "%(asctime)s.%(msecs)03dZ %(levelname)s %(process)d %(name)s %(message)s"
DATES = "%Y-%m-%dT%H:%M:%S"


def set_up(form: str, level: str) -> None:
    """Send every record of this process and its children to stdout; `form`: json or plain."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    log.set_defaults(default_log_levels=["oslo_service=WARNING", "django=WARNING", "pecan=WARNING"])
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override("use_stderr", False)
    log.setup(conf, PRODUCT)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(Records(stdout))
    stdout.unblock()
    adjust(form, level)
    logging.captureWarnings(True)


def adjust(form: str, level: str) -> None:
    """From now on, in this process."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, Records):
            handler.setFormatter(JsonFormatter() if form == "json" else PlainFormatter(PLAIN, DATES))
    root.setLevel(level)


class Records(logging.Handler):
    """Where they go: a line each, as the access lines are written."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode(errors="backslashreplace")
        except Exception:  # as every handler of `logging` does: a record is no reason to fail
            self.handleError(record)
            return
        self._write(line + b"\n")


UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends of every kind, and surrogates, which no output takes."""


class PlainFormatter(logging.Formatter):
    """In UTC, as the access lines are. What a record quotes of a client or of A&AI ends no line: only a traceback has
    several, which are indented, so that none of them looks like a record."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name is the base class's
        return _printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join("  " + _printable(line) for line in super().formatException(ei).split("\n"))


def _printable(line: str) -> str:
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode-escape").decode(), line)


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC, ISO 8601), level, logger, pid, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _timestamp(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime(DATES, time.gmtime(seconds))


AccessLog = Callable[[str, str, str, str, str, str, int, float], None]
"""Takes request id, client, user (empty where callers do not authenticate), method, path (without its query, which may
hold what is nobody's business), plugin, status, and seconds."""


def access_log(form: str, write: Callable[[bytes], object] = stdout) -> AccessLog:
    """The access line's writer: an f-string and one write, 3 us where `logging` takes 12."""
    return _json_access(write) if form == "json" else _plain_access(write)


def _json_access(write: Callable[[bytes], object]) -> AccessLog:
    def line(
        request_id: str, client: str, user: str, method: str, path: str, plugin: str, status: int, seconds: float
    ) -> None:
        write(
            f'{{"time": "{_timestamp(time.time())}", "level": "INFO", "logger": "access", '
            f'"request_id": {quoted(request_id)}, "client": "{client}", '
            f'{_field(user) if user else ""}"method": "{method}", "path": {quoted(path)}, '
            f'"plugin": "{plugin}", "status": {status}, "duration_ms": {seconds * 1000:.1f}}}\n'.encode()
        )

    return line


def _field(user: str) -> str:
    return f'"user": {quoted(user)}, '


def _plain_access(write: Callable[[bytes], object]) -> AccessLog:
    def line(
        request_id: str, client: str, user: str, method: str, path: str, plugin: str, status: int, seconds: float
    ) -> None:
        write(
            f"{_timestamp(time.time())} INFO access {request_id} {client} "
            f"{method} {path} {plugin or '-'} {status} {seconds * 1000:.1f}ms"
            f"{' ' + quoted(user) if user else ''}\n".encode()
        )

    return line
