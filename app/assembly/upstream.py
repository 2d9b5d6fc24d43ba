"""The way to the plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from oslo_config import cfg

from app.assembly.sources import authenticates
from app.core.address import reached
from app.core.breaker import Breaking
from app.core.circuits import Circuits
from app.core.forwarded import Forwarding
from app.core.origin import DEFAULT_PORTS, Origin
from app.core.plugins import Plugin
from app.net.loop import Loop
from app.net.resolver import Resolver, ResolverSettings
from app.net.tls import Tls
from app.observability.metrics import Metrics
from app.upstream.client import Client, Timeouts
from app.upstream.forward import Forwarder
from app.upstream.guards import Guards, GuardSettings
from app.upstream.pool import Pool


def origin(protocol: str, address: str, port: int) -> Origin | None:
    """Of three options; None where the address is unset, the protocol's own port where the port is."""
    return Origin(protocol, address, port or DEFAULT_PORTS[protocol]) if address else None


def msb(options: cfg.ConfigOpts) -> Origin | None:
    return origin(options.msb.protocol, options.msb.address, options.msb.port)


class Plugins:
    """Of one worker: the connections to plugins, and what has become of them, which outlive a reload."""

    def __init__(
        self,
        options: cfg.ConfigOpts,
        loop: Loop,
        circuits: Circuits,
        trust: Callable[[], Tls],
        worker_metrics: Metrics | None,
    ) -> None:
        self._pool = Pool(options.upstream.pool_size, options.upstream.pool_idle_timeout)
        retried = worker_metrics.retried if worker_metrics else unmeasured
        self._observed = worker_metrics.upstream if worker_metrics else unmeasured
        self._resolver = resolver(options, loop)
        self.client = Client(loop, self._resolver, self._pool, trust, retried=retried)
        refused = worker_metrics.not_sent if worker_metrics else unmeasured
        seen = worker_metrics.plugin if worker_metrics else unmeasured
        self._guards = Guards(loop, circuits, guard_settings(options), refused, seen)
        loop.every_tick += [self.client.tick, self._guards.watch]

    def adjust(self, options: cfg.ConfigOpts, plugins: Iterable[Plugin]) -> None:
        """These options count from now on, and these are the plugins there are."""
        upstream = options.upstream
        self._pool.adjust(upstream.pool_size, upstream.pool_idle_timeout)
        self._resolver.settings = resolver_settings(options)
        self._guards.settings = guard_settings(options)
        self.client.adjust(upstream.replay_limit, upstream.retry_percent / 100)
        through = msb(options)
        places = {(plugin.name, where) for plugin in plugins if (where := reached(plugin, through)) is not None}
        self._guards.keep(places)
        self.client.keep({where for _, where in places})

    def forwarder(self, options: cfg.ConfigOpts, forwarding: Forwarding) -> Forwarder:
        upstream = options.upstream
        timeouts = Timeouts(
            upstream.connect_timeout, upstream.response_timeout, upstream.idle_timeout, upstream.total_timeout
        )
        kept_back = authenticates(options) and not options.auth.forward_authorization
        dropped = frozenset((b"authorization",) if kept_back else ())
        return Forwarder(self.client, timeouts, self._observed, forwarding, self._guards, dropped)


def resolver(options: cfg.ConfigOpts, loop: Loop) -> Resolver:
    """One each client: its threads are not to be taken by the names of others that hang."""
    return Resolver(loop, resolver_settings(options))


def resolver_settings(options: cfg.ConfigOpts) -> ResolverSettings:
    return ResolverSettings(options.upstream.resolve_interval)


def guard_settings(options: cfg.ConfigOpts) -> GuardSettings:
    own = options.upstream
    breaking = Breaking(
        own.breaker_failures,
        own.breaker_rate_percent,
        own.breaker_window,
        own.breaker_minimum,
        own.breaker_open,
        own.breaker_open_max,
        own.breaker_probes,
    )
    breaks = breaking.failures or breaking.percent
    return GuardSettings(breaking if breaks else None, own.bulkhead_max, own.bulkhead_waiting, own.bulkhead_wait)


def forwarding(options: cfg.ConfigOpts) -> Forwarding:
    own = options.forwarded
    return Forwarding(
        own.trusted or (),
        own.format,
        headers=own.headers,
        via="" if own.via == "none" else own.pseudonym,
        via_back=own.pseudonym if own.via == "both" else "",
    )


def unmeasured(*_: object) -> None:
    """For measurements when metrics are off."""
