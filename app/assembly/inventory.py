"""What the broker knows of regions."""

from __future__ import annotations

import os

from oslo_config import cfg

from app.assembly.shared import Shared
from app.assembly.upstream import origin, resolver, unmeasured
from app.conf import secret
from app.inventory.aai import Aai, AaiSettings
from app.inventory.cache import CachedInventory, Layered, Unconfigured
from app.inventory.model import Inventory
from app.inventory.remembered import CacheSettings
from app.net.loop import Loop
from app.observability.metrics import Metrics
from app.upstream.client import Client
from app.upstream.pool import Pool


def layered(conf: cfg.ConfigOpts, shared: Shared, loop: Loop, worker_metrics: Metrics | None) -> Inventory:
    """The built-in regions, the operator's file, then A&AI."""
    layers: list[Inventory] = [shared.built_in]
    if shared.regions is not None:
        layers.append(shared.regions)
    where = origin(conf.aai.protocol, conf.aai.address, conf.aai.port)
    if where is None:
        return Layered(*layers, Unconfigured())
    settings = AaiSettings(where, conf.aai.schema_version, conf.aai.connect_timeout, conf.aai.response_timeout)
    trust = shared.tls["aai"]
    client = Client(loop, resolver(conf, loop), Pool(8, conf.upstream.pool_idle_timeout), lambda: trust.current)
    loop.every_tick.append(client.tick)
    source = Aai(
        settings,
        client.fetch,
        lambda: (conf.aai.username or "", secret(conf, "aai", "password", os.environ)),
        worker_metrics.inventory_asked if worker_metrics else unmeasured,
    )
    options = conf.inventory
    cached = CacheSettings(options.cache_ttl, options.negative_ttl, options.stale_ttl, conf.aai.lookups_max)
    observed = worker_metrics.inventory_cache if worker_metrics else unmeasured
    return Layered(*layers, CachedInventory(source, cached, shared.generations, loop, observed))
