"""From files and the environment to one checked `ConfigOpts`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg, sources
from oslo_config.sources._environment import EnvironmentConfigurationSource

from app.conf import environment
from app.conf import files as configuration_files
from app.conf.checks import check
from app.conf.options import GROUPS, OPTIONS, Key, Settings, allowed, refused
from app.errors import MASK


class _Source(EnvironmentConfigurationSource):
    """What is set, environment over files, in the place of oslo.config's own `OS_<GROUP>__<OPTION>`.

    A secret of the environment is there by its origin only; `app.conf.secret` reads it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, group_name: str | None, option_name: str, opt: cfg.Opt) -> tuple[object, cfg.LocationInfo | None]:
        setting = self._settings.get(Key(group_name or "DEFAULT", option_name))
        if setting is None:
            return sources._NoValue, None
        from_environment = setting.location.location is cfg.Locations.environment
        return MASK if opt.secret and from_environment else setting.text, setting.location


class _Options(cfg.ConfigOpts):
    """A value means what it says: `$` in a password or a path is no reference to another option."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._env_driver = _Source(settings)
        for group, opts in GROUPS.values():
            self.register_opts(opts, group)

    def _substitute(self, value: Any, *_: object, **__: object) -> Any:
        return value


def build(settings: Settings) -> cfg.ConfigOpts:
    """The options with these settings, each one read, so that its text and its bounds are checked."""
    conf = _Options(settings)
    conf([], default_config_files=[], default_config_dirs=[])
    for key, opt in OPTIONS.items():
        _read(conf, key, opt, settings)
    return conf


def _read(conf: cfg.ConfigOpts, key: Key, opt: cfg.Opt, settings: Settings) -> None:
    setting = settings.get(key)
    if setting and not opt.secret and not setting.text.isprintable():
        raise refused(key, setting.text, setting.location, "printable text in one line")
    try:
        conf[key.group][key.option]
    except ValueError:
        text, location = setting or (opt.default, None)
        raise refused(key, text, location, allowed(opt)) from None


def load(files: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> cfg.ConfigOpts:
    """The configuration: environment over file (the last one first) over default.

    Fresh at each call, nothing global. Raises `ConfigurationError` with one line for whatever is wrong.
    """
    conf = build(settings(files, environ))
    check(conf, environ)
    return conf


def settings(files: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """What files and environment set. Raises `ConfigurationError`."""
    return {**configuration_files.read(files), **environment.read(environ)}
