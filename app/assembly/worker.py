"""In a worker: everything that serves requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from oslo_config import cfg

from app import VERSION
from app.assembly import inventory, upstream
from app.assembly.shared import Shared
from app.assembly.upstream import origin, unmeasured
from app.core.origin import Origin
from app.core.quota import Quota
from app.net import tls
from app.net.files import Watched
from app.net.loop import Loop
from app.net.tls import Tls
from app.observability import logs, metrics
from app.observability.metrics import Metrics
from app.server.exporter import relay
from app.server.slots import Slots
from app.server.worker import Served
from app.upstream.client import Client
from app.upstream.pool import Pool
from app.web import api
from app.web.broker import Broker
from app.web.capacity import CapacitySettings
from app.web.edge import Application, Authenticate, Edge, Probe
from app.web.guard import guarded
from app.web.health import Health

if TYPE_CHECKING:
    from app.auth.remote import Fetch


def build(
    conf: cfg.ConfigOpts,
    shared: Shared,
    slots: Slots,
    exporter: Origin | None,
    framework: Callable[[Broker], Application],
    loop: Loop,
    slot: int,
) -> Served:
    """In a worker: everything that serves requests."""
    worker_metrics = _metrics(conf, slot) if exporter is not None else None
    if worker_metrics is not None:
        loop.every_tick.append(lambda _: worker_metrics.loop(loop.lag, loop.greenlets))
    _keep_fresh(shared.tls, loop, worker_metrics)
    client = upstream.client(conf, loop, shared.tls["upstream"], worker_metrics)
    forwarding = upstream.forwarding(conf)
    guards = upstream.guards(conf, loop, shared.circuits, worker_metrics)
    broker = Broker(
        api.builtin(),
        shared.plugins,
        inventory.layered(conf, shared, loop, worker_metrics),
        upstream.forwarder(conf, client, worker_metrics, forwarding, guards),
        client,
        loop.gather,
        CapacitySettings(conf.capacity.concurrency, conf.upstream.connect_timeout, conf.capacity.timeout),
        origin(conf.msb.protocol, conf.msb.address, conf.msb.port),
    )
    application = framework(broker)
    probes = _probes(slots)
    unguarded = frozenset(path.encode() for path in probes) if conf.tls.client_ca_file else None
    if exporter is not None:
        probes["/metrics"] = relay(client, exporter)
    authenticate = _gate(conf, shared, loop)
    if authenticate is not None and "/metrics" in probes and not conf.auth.exempt_metrics:
        probes["/metrics"] = guarded(probes["/metrics"], authenticate)
    exempt = frozenset(path.encode() for path in probes)
    access = logs.access_log(conf.logs.format) if conf.logs.access else None
    answered = worker_metrics.answered if worker_metrics else unmeasured
    quota = Quota(shared.counts, slot, shared.allowance) if shared.counts is not None else None
    edge = Edge(application, probes, access, answered, authenticate, client_of=forwarding.client_of, quota=quota)
    in_flight = worker_metrics.in_flight if worker_metrics else unmeasured
    return Served(edge, exempt, edge.refused, in_flight, unguarded)


def _keep_fresh(roles: Mapping[str, Watched[Tls]], loop: Loop, worker_metrics: Metrics | None) -> None:
    """In a worker: what was renewed since the start is taken now, what will be from the loop's ticks."""
    for role, watched in roles.items():
        if worker_metrics is not None:
            watched.replaced.append(partial(_measure_certificate, worker_metrics, role))
            _measure_certificate(worker_metrics, role, watched.current)
        watched.refresh(time.monotonic())
        loop.every_tick.append(watched.look)


def _measure_certificate(worker_metrics: Metrics, role: str, current: Tls) -> None:
    if current.certificate is not None:
        worker_metrics.certificate(role, current.certificate.not_after)


def _gate(conf: cfg.ConfigOpts, shared: Shared, loop: Loop) -> Authenticate | None:
    """What lets a request pass; None where everybody may call."""
    if shared.authentication is None:
        return None

    def fetch() -> Fetch:
        trust = tls.client("auth", conf.auth.jwks_ca_file, True, None, None)
        return Client(
            loop, upstream.resolver(conf, loop), Pool(0, conf.upstream.pool_idle_timeout), lambda: trust
        ).fetch

    own = [route for version in api.VERSIONS for route in api.builtin().own_routes(version)]
    swagger = frozenset(f"/api/multicloud{route.template}".encode() for route in own if route.handler == "swagger")
    return shared.authentication.gate(loop, fetch, swagger if conf.auth.exempt_swagger else frozenset())


def _metrics(conf: cfg.ConfigOpts, slot: int) -> Metrics:
    metrics.use_slot(slot)
    return Metrics(VERSION, conf.server.web_framework)


def _probes(slots: Slots) -> dict[str, Probe]:
    def workers() -> str:
        stalled = slots.stalled()
        return f"workers in slots {', '.join(map(str, stalled))} are missing or silent" if stalled else ""

    def serving() -> str:
        return "draining" if slots.draining else ""

    live = Health({"workers": workers})
    ready = Health({"configuration": lambda: "", "draining": serving})
    return {"/livez": live, "/healthz": live, "/readyz": ready, "/startupz": ready}
