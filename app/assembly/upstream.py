"""The way to the plugins."""

from __future__ import annotations

from oslo_config import cfg

from app.assembly.shared import authenticates
from app.core.breaker import Breaking
from app.core.circuits import Circuits
from app.core.forwarded import Forwarding
from app.core.origin import DEFAULT_PORTS, Origin
from app.net.files import Watched
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


def client(conf: cfg.ConfigOpts, loop: Loop, trust: Watched[Tls], worker_metrics: Metrics | None) -> Client:
    pool = Pool(conf.upstream.pool_size, conf.upstream.pool_idle_timeout)
    retried = worker_metrics.retried if worker_metrics else unmeasured
    share = conf.upstream.retry_percent / 100
    limit = conf.upstream.replay_limit
    names = resolver(conf, loop)
    made = Client(loop, names, pool, lambda: trust.current, replay_limit=limit, retry_share=share, retried=retried)
    loop.every_tick.append(made.tick)
    return made


def resolver(conf: cfg.ConfigOpts, loop: Loop) -> Resolver:
    """One each client: its threads are not to be taken by the names of others that hang."""
    return Resolver(loop, ResolverSettings(conf.upstream.resolve_interval))


def forwarding(conf: cfg.ConfigOpts) -> Forwarding:
    options = conf.forwarded
    return Forwarding(
        options.trusted or (),
        options.format,
        headers=options.headers,
        via="" if options.via == "none" else options.pseudonym,
        via_back=options.pseudonym if options.via == "both" else "",
    )


def guard_settings(conf: cfg.ConfigOpts) -> GuardSettings:
    options = conf.upstream
    breaking = Breaking(
        options.breaker_failures,
        options.breaker_rate_percent,
        options.breaker_window,
        options.breaker_minimum,
        options.breaker_open,
        options.breaker_open_max,
        options.breaker_probes,
    )
    breaks = breaking.failures or breaking.percent
    return GuardSettings(
        breaking if breaks else None, options.bulkhead_max, options.bulkhead_waiting, options.bulkhead_wait
    )


def guards(conf: cfg.ConfigOpts, loop: Loop, circuits: Circuits, worker_metrics: Metrics | None) -> Guards:
    refused = worker_metrics.not_sent if worker_metrics else unmeasured
    seen = worker_metrics.plugin if worker_metrics else unmeasured
    made = Guards(loop, circuits, guard_settings(conf), refused, seen)
    loop.every_tick.append(made.watch)
    return made


def forwarder(
    conf: cfg.ConfigOpts, client: Client, worker_metrics: Metrics | None, forwarding: Forwarding, guards: Guards
) -> Forwarder:
    options = conf.upstream
    timeouts = Timeouts(options.connect_timeout, options.response_timeout, options.idle_timeout, options.total_timeout)
    dropped = {b"authorization"} if authenticates(conf) and not conf.auth.forward_authorization else ()
    observed = worker_metrics.upstream if worker_metrics else unmeasured
    return Forwarder(client, timeouts, observed, forwarding, guards, frozenset(dropped))


def unmeasured(*_: object) -> None:
    """For measurements when metrics are off."""
