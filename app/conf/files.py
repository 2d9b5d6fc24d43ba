"""Options from configuration files: oslo.config's INI dialect, where an unknown name is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oslo_config import cfg, iniparser

from app.conf.options import GROUPS, OPTIONS, Key, Setting, Settings, is_set, nearest
from app.errors import ConfigurationError


def read(files: Sequence[str]) -> Settings:
    """All that the files set, a later one over an earlier one. Raises `ConfigurationError`."""
    found: dict[Key, Setting] = {}
    for file in files:
        for group, texts in _parsed(file).items():
            _check_names(file, group, texts)
            found |= _settings(file, group, texts)
    return found


def _settings(file: str, group: str, texts: Mapping[str, Sequence[str]]) -> Settings:
    location = cfg.LocationInfo(cfg.Locations.user, file)
    last = {Key(group, option): values[-1] for option, values in texts.items()}
    return {key: Setting(text, location) for key, text in last.items() if is_set(key, text)}


def _parsed(file: str) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Group, option, and what it is set to each time. An error leaves the line out, which may hold a secret."""
    sections: dict[str, dict[str, list[str]]] = {}
    try:
        cfg.ConfigParser(file, sections).parse()
    except OSError as error:
        raise ConfigurationError(f"the configuration file {file!r} cannot be read: {error.strerror}") from None
    except iniparser.ParseError as error:
        raise ConfigurationError(
            f"the configuration file {file!r} is wrong in line {error.lineno}: {error.msg}"
        ) from None
    except ValueError:
        raise ConfigurationError(f"the configuration file {file!r} cannot be read: it is no UTF-8 text") from None
    return sections


def _check_names(file: str, group: str, options: Mapping[str, object]) -> None:
    if group not in GROUPS:
        raise ConfigurationError(f"the group {group!r} in {file} is unknown: did you mean {nearest(group, GROUPS)}?")
    for option in options:
        if Key(group, option) not in OPTIONS:
            name = f"{group}.{option}"
            meant = nearest(name, map(str, OPTIONS))
            raise ConfigurationError(f"the option {name!r} in {file} is unknown: did you mean {meant}?")
