"""Options from the environment: today's names, and `BROKER_<GROUP>_<OPTION>` for each.

A secret may also come from a file that `<NAME>_FILE` names. What is unknown under `BROKER_` is refused,
so that a misspelt name never means a silent default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from oslo_config import cfg

from app.conf.options import OPTIONS, Key, Setting, Settings, is_set, nearest, shown
from app.errors import ConfigurationError

PREFIX = "BROKER_"
FILE = "_FILE"

LEGACY: Mapping[str, Key] = MappingProxyType(
    {
        "MSB_PROTO": Key("msb", "protocol"),
        "MSB_ADDR": Key("msb", "address"),
        "MSB_PORT": Key("msb", "port"),
        "AAI_PROTOCOL": Key("aai", "protocol"),
        "AAI_ADDR": Key("aai", "address"),
        "AAI_PORT": Key("aai", "port"),
        "AAI_SCHEMA_VERSION": Key("aai", "schema_version"),
        "AAI_USERNAME": Key("aai", "username"),
        "AAI_PASSWORD": Key("aai", "password"),
        "SSL_ENABLED": Key("tls", "enabled"),
        "WEB_FRAMEWORK": Key("server", "web_framework"),
    }
)
"""The names of today's image, which OOM's chart sets."""

NOT_OPTIONS = frozenset(("BROKER_RUN_DIR",))
"""`entrypoint.sh` reads it: the directory of the rendered configuration."""

KUBERNETES = re.compile(
    r"BROKER_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)", re.ASCII
)
"""What Kubernetes sets in every pod beside a Service named `broker` or `broker-...`; checked after the options."""


def names(key: Key) -> tuple[str, ...]:
    """The variables that set an option, those of a secret's file last."""
    own = f"{PREFIX}{key.group}_{key.option}".upper()
    plain = (*(name for name, target in LEGACY.items() if target == key), own)
    return plain + tuple(name + FILE for name in plain) if OPTIONS[key].secret else plain


KNOWN = frozenset(name for key in OPTIONS for name in names(key)) | NOT_OPTIONS


def find(key: Key, environ: Mapping[str, str]) -> Setting | None:
    """What the environment sets an option to; for a secret's `_FILE`, the path. Two that differ are refused."""
    found = {name: environ[name] for name in names(key) if is_set(key, environ.get(name, ""))}
    if len({(text, _is_file(key, name)) for name, text in found.items()}) > 1:
        each = (f"{name} ({shown(key, text)})" for name, text in found.items())
        raise ConfigurationError(f"{key} is set by {' and '.join(each)}: allowed is one of them")
    for name, text in found.items():
        return Setting(text, cfg.LocationInfo(cfg.Locations.environment, name))
    return None


def read(environ: Mapping[str, str]) -> Settings:
    """All that the environment sets. Raises `ConfigurationError`."""
    for name, text in environ.items():
        if name.startswith(PREFIX) and text and name not in KNOWN and not KUBERNETES.fullmatch(name):
            raise ConfigurationError(f"{name} in the environment is unknown: did you mean {nearest(name, KNOWN)}?")
    found = {key: find(key, environ) for key in OPTIONS}
    return {key: setting for key, setting in found.items() if setting is not None}


def secret_text(key: Key, setting: Setting) -> str:
    """The secret itself; one newline at the end of a file is no part of it."""
    if not _is_file(key, setting.location.detail):
        return setting.text
    try:
        return Path(setting.text).read_bytes().decode().removesuffix("\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        wanted = f"a file that can be read ({why})"
        raise ConfigurationError(
            f"{key} is in {setting.text!r} ({setting.location.detail}): allowed is {wanted}"
        ) from None


def _is_file(key: Key, name: str) -> bool:
    return OPTIONS[key].secret and name.endswith(FILE)
