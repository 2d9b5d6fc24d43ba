"""Options of the logs."""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup("logs", help="The logs, which go to standard output.")

OPTS = (
    cfg.StrOpt(
        "format", default="json", choices=("json", "plain"), mutable=True, help="One JSON object, or one text, a line."
    ),
    cfg.StrOpt(
        "level",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        mutable=True,
        help="The least severity that is logged.",
    ),
    cfg.BoolOpt("access", default=True, mutable=True, help="Whether each request is logged by one line."),
)
