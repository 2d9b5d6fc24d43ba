"""The files that the configuration names, each watched by every process for itself: a file that is broken ends the
start, and later leaves what was loaded before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from oslo_config import cfg

from app.core import plugins
from app.core.plugins import PluginMap
from app.errors import ConfigurationError
from app.inventory import file
from app.inventory.file import FileInventory
from app.net import tls
from app.net.files import Watched
from app.net.tls import Tls
from app.observability.once import Once

if TYPE_CHECKING:
    from app.auth.wiring import Authentication

LOG = logging.getLogger(__name__)

T = TypeVar("T")

TODAYS_CONFIG = Path("/opt/multivimbroker/multivimbroker/pub/config")
"""Where OOM mounts the map, and today's broker has its log.yml."""


class Sources:
    """`options`, and what their files hold. Of `former` ones, what the same options name is kept as it is, a broken
    file's last good content with it. Raises `ConfigurationError`."""

    def __init__(
        self, options: cfg.ConfigOpts, once: Once, replaced: Callable[[], None], former: Sources | None = None
    ) -> None:
        """`replaced` is called when what a file holds has been replaced."""
        self.options = options
        self.watched: dict[object, Watched[Any]] = {}
        self._once = once
        self._replaced = replaced
        self._kept = former.watched if former is not None else {}
        self.plugins = self._plugins(options.plugins.map_file)
        self.regions: Watched[FileInventory] | None = self._file(
            "inventory.regions_file", options.inventory.regions_file, file.load_regions
        )
        self.tls = self._tls()
        self.authentication = self._authentication(former)
        del self._kept

    def problems(self) -> list[str]:
        return [watched.problem for watched in self.watched.values() if watched.problem]

    def _plugins(self, path: str | None) -> Watched[PluginMap]:
        found = Path(path or TODAYS_CONFIG / "provider-plugin.json")
        if path is None and not found.exists():
            found = plugins.BUILT_IN
        return self._watch("plugins.map_file", [found], partial(plugins.load_map, found))

    def _tls(self) -> dict[str, Watched[Tls]]:
        """By role: what the handshakes with clients, plugins, A&AI and a token issuer are made with."""
        options, roles = self.options, {}
        if options.tls.enabled:
            files = (options.tls.certificate, options.tls.key, options.tls.client_ca_file)
            roles["server"] = self._role("server", files, partial(tls.server, *files))
        for group in ("upstream", "aai") if options.aai.address else ("upstream",):
            own = options[group]
            pair = (own.client_certificate, own.client_key)
            load = partial(tls.client, group, own.ca_file, own.verify, *pair)
            roles[group] = self._role(group, (own.ca_file if own.verify else None, *pair), load, verify=own.verify)
        if options.auth.jwks_url:
            ca_file = options.auth.jwks_ca_file
            roles["auth"] = self._role("auth", (ca_file,), partial(tls.client, "auth", ca_file, True, None, None))
        return roles

    def _role(
        self, role: str, files: Sequence[str | None], load: Callable[[], Tls], *, verify: bool = True
    ) -> Watched[Tls]:
        name, key = f"TLS of {role}", (role, *files, verify)
        new = key not in self._kept
        watched = self._watch(name, [Path(file) for file in files if file], load, key)
        if new:
            tell = partial(_tell_certificate, self._once, role)
            tell(watched.current)
            watched.replaced.append(tell)
        if new and not verify:
            line = f"{role}.verify is false: whoever answers is taken for the one who was asked"
            self._once.log(LOG, logging.WARNING, line)
        return watched

    def _authentication(self, former: Sources | None) -> Authentication | None:
        """None where it is off."""
        if not authenticates(self.options):
            return None
        from app.auth.wiring import Authentication  # only who authenticates pays for PyJWT: 15 MiB and 70 ms

        made = Authentication(self.options.auth, self._file)
        before = former.authentication if former is not None else None
        if before is not None and before.settings == made.settings:
            return before
        made.tell(self._once)
        return made

    def _file(self, option: str, path: str | None, load: Callable[[Path], T]) -> Watched[T] | None:
        """An option's file; None where the option is unset."""
        return self._watch(option, [Path(path)], partial(load, Path(path))) if path else None

    def _watch(self, name: str, paths: Sequence[Path], load: Callable[[], T], key: object = None) -> Watched[T]:
        key = key or (name, *paths)
        watched: Watched[T] | None = self._kept.get(key)
        if watched is None:
            try:
                watched = Watched(name, paths, load, self._once)
            except ConfigurationError as error:
                raise ConfigurationError(f"{name}: {error.message}") from None
            watched.replaced.append(lambda _: self._replaced())
        self.watched[key] = watched
        return watched


def authenticates(options: cfg.ConfigOpts) -> bool:
    """One of these options turns authentication on."""
    return any(options.auth[name] for name in ("basic_file", "jwks_file", "jwks_url"))


def _tell_certificate(once: Once, role: str, current: Tls) -> None:
    if current.certificate is not None:
        once.log(LOG, *tls.told(role, current.certificate, time.time()))
