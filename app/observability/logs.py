"""Logs: oslo.log to stdout, one JSON object or one plain line a record."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_log import log

from app.observability.access import DATES, timestamp
from app.observability.output import stdout

PRODUCT = "multicloud"
PLAIN = "%(asctime)s.%(msecs)03dZ %(levelname)s %(process)d %(name)s %(message)s"


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


UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
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
            "time": timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)
