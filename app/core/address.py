"""Where a plugin is reached: its own endpoint, MSB, or its Kubernetes service (contract, section 2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app.core.origin import Origin
from app.core.plugins import Plugin
from app.core.target import rewrite
from app.errors import NotFound, PluginUnknown

SERVICE_PORTS: Mapping[str, int] = {
    "multicloud-vio": 9004,
    "multicloud-titaniumcloud": 9005,
    "multicloud-pike": 9007,
    "multicloud-starlingx": 9009,
    "multicloud-fcaps": 9011,
    "multicloud-k8s": 9015,
}
"""The plugins' services and ports in OOM, the archived ones included."""

SERVICE_PREFIXES: Mapping[str, bytes] = {"multicloud-k8s": b"/api/multicloud-k8s/v1"}
"""What MSB takes off for a plugin, so that whoever goes to its service directly must."""


class Destination(NamedTuple):
    """Where a request goes: to an origin, with a target, for a plugin."""

    origin: Origin
    target: bytes
    plugin: str


def reached(plugin: Plugin, msb: Origin | None) -> Origin | None:
    """Where a plugin is; None where it has no address."""
    if plugin.endpoint is not None:
        return plugin.endpoint[0]
    if msb is not None:
        return msb
    port = SERVICE_PORTS.get(plugin.name)
    return Origin("http", plugin.name, port) if port is not None else None


def route(plugin: Plugin, target: bytes, msb: Origin | None) -> Destination:
    """Where a request with this target goes. Raises `PluginUnknown` if the plugin has no address, `NotFound` for a
    target without what its address strips."""
    rewritten = rewrite(target, plugin.name)
    origin = reached(plugin, msb)
    if origin is None:
        raise PluginUnknown(
            f"The plugin {plugin.name} has no address: set its endpoint in the provider-plugin map, or MSB_ADDR."
        )
    if plugin.endpoint is not None:
        return Destination(origin, plugin.endpoint[1].encode() + _strip(rewritten, plugin), plugin.name)
    return Destination(origin, rewritten if msb is not None else _strip(rewritten, plugin), plugin.name)


def _strip(target: bytes, plugin: Plugin) -> bytes:
    """The target less what MSB would have taken off."""
    named = plugin.strip_prefix
    prefix = SERVICE_PREFIXES.get(plugin.name, b"") if named is None else named.encode()
    if not prefix:
        return target
    rest = target[len(prefix) :]
    if not target.startswith(prefix) or rest[:1] not in (b"", b"/", b"?"):
        raise NotFound(f"The region's plugin, {plugin.name}, serves only what is below {prefix.decode()}.")
    return rest if rest.startswith(b"/") else b"/" + rest
