"""Options of the metrics, and where their files go."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from oslo_config import cfg

from app.conf.types import DIRECTORY

GROUP = cfg.OptGroup("metrics", help="Metrics for Prometheus.")

OPTS = (
    cfg.BoolOpt("enabled", default=True, help="Whether metrics are kept, and served at /metrics."),
    cfg.Opt(
        "directory",
        type=DIRECTORY,
        help="Where the workers' files go, into a directory of this broker's own, which is removed at the end; unset: "
        "/dev/shm/multicloud-metrics-UID where /dev/shm can be written, else multicloud-metrics-UID in the directory "
        "of temporary files.",
    ),
)

SHARED_MEMORY = Path("/dev/shm")


def directory(setting: str | None) -> Path:
    """Where the metrics' files go, for the value of the option `directory`; resolved when it is needed.

    Raises `OSError` where there is no directory of temporary files either.
    """
    if setting:
        return Path(setting)
    parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"multicloud-metrics-{os.getuid()}"
