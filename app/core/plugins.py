"""The provider-plugin map, in the format that OOM mounts (contract, sections 2.2 and 2.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

from app.core.origin import Origin, parse_origin
from app.core.region import Region
from app.errors import ConfigurationError, PluginUnknown, quoted

BUILT_IN = Path(__file__).parent.parent / "data" / "provider-plugin.json"


class Plugin(NamedTuple):
    """A provider plugin: its name, and where the map gives them its own address and base path, and what is stripped
    from a target that goes to it directly (None: what is known of the plugin, see `app.core.address`)."""

    name: str
    endpoint: tuple[Origin, str] | None = None
    strip_prefix: str | None = None


class _Type(NamedTuple):
    vim_type: str
    versions: dict[str, Plugin | None]
    default: Plugin | None


class PluginMap:
    """Which plugin serves which type and version of cloud."""

    def __init__(self, types: Mapping[str, _Type]) -> None:
        self._types = types

    @classmethod
    def parse(cls, document: object) -> PluginMap:
        """Of the map's JSON; raises `ConfigurationError` that names the entry and what is wrong with it."""
        entries = _object(document, "the map")
        return cls({name: _type(name, entry) for name, entry in entries.items()})

    def find(self, cloud_type: str, version: str | None, region: Region) -> Plugin:
        """The version's plugin, else the type's own; raises `PluginUnknown`."""
        entry = self._types.get(cloud_type)
        if entry is None:
            raise PluginUnknown(
                f"No plugin serves region {region.vim_id}: its type {cloud_type} is not in the provider-plugin map."
            )
        plugin = (entry.versions.get(version) if version is not None else None) or entry.default
        if plugin is None:
            raise PluginUnknown(
                f"No plugin serves region {region.vim_id}: its version {version or '(none)'} of type {cloud_type} is "
                "not in the provider-plugin map, and the type has no default."
            )
        return plugin

    def vim_types(self) -> list[dict[str, object]]:
        """Type and versions of each entry, in the map's order, as `vim_types` answers."""
        return [{"vim_type": entry.vim_type, "versions": list(entry.versions)} for entry in self._types.values()]

    def plugins(self) -> list[Plugin]:
        """Every plugin that the map names, once."""
        found = [p for entry in self._types.values() for p in (*entry.versions.values(), entry.default) if p]
        return list(dict.fromkeys(found))


def load_map(path: Path) -> PluginMap:
    """Read a map file; raises `ConfigurationError` with one line."""
    try:
        return PluginMap.parse(json.loads(path.read_text(), object_pairs_hook=_unique))
    except OSError as error:
        raise ConfigurationError(f"cannot read the provider-plugin map {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"the provider-plugin map {path} is no JSON: {error}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"the provider-plugin map {path}: {error.message}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """JSON leaves open which of two equal keys counts (RFC 8259, 4): here neither."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"the key {twice!r} is there twice")
    return entries


def _type(name: str, entry: object) -> _Type:
    fields = _object(entry, name)
    versions = {
        version: _plugin(_object(value, f"{name}.versions.{version}"), f"{name}.versions.{version}")
        for version, value in _object(fields.get("versions", {}), f"{name}.versions").items()
    }
    return _Type(_text(fields, "vim_type", name) or name, versions, _plugin(fields, name))


def _plugin(fields: Mapping[str, object], where: str) -> Plugin | None:
    name = _text(fields, "provider_plugin", where)
    url = _text(fields, "endpoint", where)
    prefix = _text(fields, "strip_prefix", where)
    if not name:
        if url or prefix:
            raise ConfigurationError(f"{where} has an endpoint or strip_prefix but no provider_plugin")
        return None
    if not name.isascii() or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ConfigurationError(f"{where}.provider_plugin {name!r} is not made of letters, digits, '-', '_' and '.'")
    if prefix and not prefix.startswith("/"):
        raise ConfigurationError(f"{where}.strip_prefix {prefix!r} does not begin with '/'")
    try:
        stripped = prefix.rstrip("/") if "strip_prefix" in fields else None
        return Plugin(name, parse_origin(url) if url else None, stripped)
    except ValueError as error:
        raise ConfigurationError(f"{where}.endpoint {quoted(url)}: {error}") from None


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is not an object")
    return cast("Mapping[str, object]", value)


def _text(fields: Mapping[str, object], key: str, where: str) -> str:
    value = fields.get(key, "")
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}.{key} is not a text")
    return value
