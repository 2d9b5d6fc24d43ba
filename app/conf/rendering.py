"""The configuration as text: what the environment sets, and what is in force. Never a secret."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from oslo_config import cfg

from app.conf import environment
from app.conf.loading import build
from app.conf.options import GROUPS, OPTIONS, Key, Setting, origin
from app.errors import MASK

UNSET = "<unset>"
HEAD = "# Rendered from the environment, which stands over it. Secrets are not in here.\n"


def render(environ: Mapping[str, str] = os.environ) -> str:
    """An INI file of what the environment sets.

    Each value is checked (`ConfigurationError`); what only the whole configuration can tell, as whether a
    certificate loads, is not: files that are given later may add to this one.
    """
    settings = environment.read(environ)
    build(settings)
    lines = [HEAD]
    for group in GROUPS:
        own = [_setting(key, setting) for key, setting in settings.items() if key.group == group]
        if own:
            lines += [f"\n[{group}]\n", *own]
    return "".join(lines)


def _setting(key: Key, setting: Setting) -> str:
    name = setting.location.detail
    if OPTIONS[key].secret:
        return f"# {key.option} is read from {name} when it is needed\n"
    return f"# {name}\n{key.option} = {_quoted(setting.text)}\n"


def _quoted(text: str) -> str:
    """oslo.config's parser strips spaces, and one pair of quotes."""
    return f'"{text}"' if text != text.strip() or text[0] in "\"'" else text


def show(conf: cfg.ConfigOpts) -> str:
    """One line an option: its value in force and, in brackets, where it comes from, and whether a change of it needs
    a restart; a secret is `***`."""
    return "".join(_lines(conf))


def _lines(conf: cfg.ConfigOpts) -> Iterator[str]:
    for key, opt in OPTIONS.items():
        value = conf[key.group][key.option]
        shown = MASK if opt.secret and value is not None else text(value) or UNSET
        restart = "" if opt.mutable else "; a change needs a restart"
        yield f"{key} = {shown} ({origin(conf.get_location(key.option, key.group))}{restart})\n"


def text(value: object) -> str:
    """A value as a configuration file has it; unset is empty."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
