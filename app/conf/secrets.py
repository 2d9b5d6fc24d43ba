"""Secrets, which are read where they are needed and are kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Mapping

from oslo_config import cfg

from app.conf import environment
from app.conf.options import Key


def secret(conf: cfg.ConfigOpts, group: str, option: str, environ: Mapping[str, str] = os.environ) -> str:
    """A secret as it is now, "" where it is unset; the file of a `_FILE` variable is read each time.

    `environ` is the one that `conf` was loaded with: of what comes from there, `conf` knows the name only.
    Raises `ConfigurationError` if the file can no longer be read.
    """
    key = Key(group, option)
    setting = environment.find(key, environ)
    if setting is not None:
        return environment.secret_text(key, setting)
    location = conf.get_location(option, group)
    if location is None or location.location is cfg.Locations.environment:
        return ""
    return str(conf[group][option] or "")
