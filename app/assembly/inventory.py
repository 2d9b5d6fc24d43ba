"""What the broker knows of regions."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from oslo_config import cfg

from app.assembly.shared import Shared
from app.assembly.sources import Sources
from app.assembly.upstream import origin, resolver, resolver_settings, unmeasured
from app.conf import secret
from app.core.origin import Origin
from app.inventory.aai import Aai, AaiSettings
from app.inventory.cache import CachedInventory, Layered, Unconfigured
from app.inventory.model import Inventory, List
from app.inventory.remembered import CacheSettings
from app.net.files import Watched
from app.net.loop import Loop
from app.net.tls import Tls
from app.observability.metrics import Metrics
from app.upstream.client import Client
from app.upstream.pool import Pool


class _Asked(NamedTuple):
    """An A&AI, and what is remembered of it."""

    where: tuple[Origin, str]
    aai: Aai
    cached: CachedInventory


class Regions:
    """Of one worker: makes the inventory of each configuration. What is remembered outlives a reload, unless it is
    another A&AI that is asked from then on."""

    def __init__(self, options: cfg.ConfigOpts, shared: Shared, loop: Loop, worker_metrics: Metrics | None) -> None:
        self._shared = shared
        self._asked: _Asked | None = None
        self._trust: Watched[Tls] | None = None
        self._pool = Pool(8, options.upstream.pool_idle_timeout)
        self._loop = loop
        self._resolver = resolver(options, loop)
        self._client = Client(loop, self._resolver, self._pool, self._current_tls)
        loop.every_tick.append(self._client.tick)
        self._took = worker_metrics.inventory_asked if worker_metrics else unmeasured
        self._found = worker_metrics.inventory_cache if worker_metrics else unmeasured

    def layered(self, sources: Sources) -> tuple[Inventory, Callable[[], None]]:
        """The built-in regions, the operator's file, then A&AI; and what is to be called when it counts."""
        options = sources.options
        lists: list[List] = [self._shared.built_in]
        if sources.regions is not None:
            lists.append(sources.regions.current)
        where = origin(options.aai.protocol, options.aai.address, options.aai.port)
        if where is None:
            return Layered(lists, Unconfigured()), self._forget
        settings = AaiSettings(
            where, options.aai.schema_version, options.aai.connect_timeout, options.aai.response_timeout
        )
        asked = self._same(settings) or self._another(settings, options)
        return Layered(lists, asked.cached), partial(self._take, sources, asked, settings)

    def _same(self, settings: AaiSettings) -> _Asked | None:
        same = self._asked is not None and self._asked.where == (settings.origin, settings.schema_version)
        return self._asked if same else None

    def _another(self, settings: AaiSettings, options: cfg.ConfigOpts) -> _Asked:
        aai = Aai(settings, self._client.fetch, partial(_login, options), self._took)
        cached = CachedInventory(aai, _cache_settings(options), self._shared.generations, self._loop, self._found)
        return _Asked((settings.origin, settings.schema_version), aai, cached)

    def _take(self, sources: Sources, asked: _Asked, settings: AaiSettings) -> None:
        options = sources.options
        asked.aai.settings = settings
        asked.aai.credentials = partial(_login, options)
        asked.cached.settings = _cache_settings(options)
        self._resolver.settings = resolver_settings(options)
        self._pool.adjust(8, options.upstream.pool_idle_timeout)
        self._asked, self._trust = asked, sources.tls["aai"]

    def _forget(self) -> None:
        """What is being asked still ends as it began."""
        self._asked = None

    def _current_tls(self) -> Tls:
        assert self._trust is not None, "A&AI is asked only once it has been configured"
        return self._trust.current


def _login(options: cfg.ConfigOpts) -> tuple[str, str]:
    """Read when it is needed: a new password in its file counts at once."""
    return options.aai.username or "", secret(options, "aai", "password", os.environ)


def _cache_settings(options: cfg.ConfigOpts) -> CacheSettings:
    own = options.inventory
    return CacheSettings(own.cache_ttl, own.negative_ttl, own.stale_ttl, options.aai.lookups_max)
