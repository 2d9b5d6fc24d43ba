"""From the configuration in force to the one that files and environment hold now, as far as that goes without a
restart: an option that is not `mutable` keeps its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oslo_config import cfg

from app.conf.checks import check
from app.conf.loading import build, settings
from app.conf.options import OPTIONS, Key, Setting, Settings


class Configuration(NamedTuple):
    """What is in force: what is set, and the options made of it."""

    settings: Settings
    options: cfg.ConfigOpts
    changed: tuple[Key, ...] = ()
    """Those that have another value than before the reload."""
    waiting: tuple[Key, ...] = ()
    """Those whose new value counts after a restart only."""


def begin(files: Sequence[str], environ: Mapping[str, str]) -> Configuration:
    """The configuration of a start. Raises `ConfigurationError`."""
    found = settings(files, environ)
    options = build(found)
    check(options, environ)
    return Configuration(found, options)


def renew(former: Configuration, files: Sequence[str], environ: Mapping[str, str]) -> Configuration:
    """What is there now is checked as at a start, but for the files of options that are as before: who watches them
    tells of those. Raises `ConfigurationError`."""
    found = settings(files, environ)
    options = build(found)
    differing = [key for key in OPTIONS if _value(options, key) != _value(former.options, key)]
    check(options, environ, differing)
    waiting = tuple(key for key in differing if not OPTIONS[key].mutable)
    if waiting:
        found = _of(found, mutable=True) | _of(former.settings, mutable=False)
        options = build(found)
    return Configuration(found, options, tuple(key for key in differing if key not in waiting), waiting)


def _of(found: Settings, *, mutable: bool) -> dict[Key, Setting]:
    return {key: setting for key, setting in found.items() if OPTIONS[key].mutable is mutable}


def _value(options: cfg.ConfigOpts, key: Key) -> object:
    return options[key.group][key.option]
