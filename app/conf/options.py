"""The one table of all options, and what there is to say about an option as such."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from oslo_config import cfg, types

from app.conf import (
    aai,
    auth,
    capacity,
    clients,
    forwarded,
    inventory,
    logs,
    metrics,
    msb,
    plugins,
    server,
    tls,
    upstream,
)
from app.errors import MASK, ConfigurationError, quoted

UNSET_PREFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"address": (".",), "port": ("tcp://", "udp://", "sctp://")}
)
"""By option name: what OOM's chart (`MSB_ADDR=.onap`) and Kubernetes (`MSB_PORT=tcp://...`) set and do not mean."""


class Key(NamedTuple):
    """An option's place; written `group.option`."""

    group: str
    option: str

    def __str__(self) -> str:
        return f"{self.group}.{self.option}"


class Setting(NamedTuple):
    """The text that an option is set to, and where: a variable or a file."""

    text: str
    location: cfg.LocationInfo


Settings = Mapping[Key, Setting]

GROUPS: Mapping[str, tuple[cfg.OptGroup, tuple[cfg.Opt, ...]]] = MappingProxyType(
    {
        part.GROUP.name: (part.GROUP, part.OPTS)
        for part in (
            server,
            clients,
            tls,
            auth,
            forwarded,
            msb,
            aai,
            inventory,
            plugins,
            upstream,
            capacity,
            logs,
            metrics,
        )
    }
)

OPTIONS: Mapping[Key, cfg.Opt] = MappingProxyType(
    {Key(name, opt.dest): opt for name, (_, opts) in GROUPS.items() for opt in opts}
)


def is_set(key: Key, text: str) -> bool:
    """Whether a text sets its option: an empty one does not, nor does what others set without meaning it."""
    return bool(text) and not text.startswith(UNSET_PREFIXES.get(key.option, ()))


def allowed(opt: cfg.Opt) -> str:
    """The values that an option may have, in words."""
    match opt.type:
        case types.Boolean():
            return "true or false"
        case types.Integer(min=low, max=high):
            return f"a whole number from {low} to {high}"
        case types.Number(min=low, max=high):
            return f"a number from {low} to {high}"
        case types.String(choices=dict() as choices):
            return " or ".join(choices)
        case other:
            return other.type_name


def origin(location: cfg.LocationInfo | None) -> str:
    """Where a value came from: a variable's name, a file's path, or `default`."""
    if location is None or not location.location.is_user_controlled:
        return "default"
    return str(location.detail)


def refused(key: Key, value: object, location: cfg.LocationInfo | None, wanted: str) -> ConfigurationError:
    """The error of a value that is not allowed; a secret is masked."""
    return ConfigurationError(f"{key} is {shown(key, value)} ({origin(location)}): allowed is {wanted}")


def shown(key: Key, value: object) -> str:
    """A value as an error may show it: what is written where a user's name belongs may well be `user:password`."""
    if OPTIONS[key].secret:
        return MASK
    if not isinstance(value, str):
        return repr(value)
    return quoted(re.sub(":.*", f":{MASK}", value) if key.option == "username" else value)


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that somebody who wrote `name` most likely meant."""
    return difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
