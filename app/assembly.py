"""Puts the broker together from its configuration; the only module that knows every part."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oslo_config import cfg

from app import VERSION
from app.conf import secret
from app.conf.metrics import directory as metrics_directory
from app.core import plugins
from app.core.forwarded import Forwarding
from app.core.origin import DEFAULT_PORTS, Origin
from app.core.quota import Allowance, Counts, Quota
from app.errors import ConfigurationError
from app.inventory import file
from app.inventory.aai import Aai, AaiSettings
from app.inventory.cache import CachedInventory, Layered, Lifetimes, Unconfigured
from app.inventory.generations import Generations
from app.inventory.model import Inventory
from app.net import tls
from app.net.files import Watched
from app.net.loop import Loop
from app.net.resolver import Resolver
from app.net.tls import Tls
from app.observability import logs, metrics
from app.observability.metrics import Metrics
from app.server import files
from app.server.exporter import Exporter, relay
from app.server.launcher import Launcher, open_listener
from app.server.limits import Limits
from app.server.sizing import size
from app.server.slots import Slots
from app.server.worker import Served, Settings, Worker
from app.upstream.client import Client, Timeouts
from app.upstream.forward import Forwarder
from app.upstream.pool import Pool
from app.web import api
from app.web.broker import Broker
from app.web.capacity import CapacitySettings
from app.web.edge import Application, Authenticate, Edge, Probe
from app.web.guard import guarded
from app.web.health import Health

if TYPE_CHECKING:
    from app.auth.remote import Fetch
    from app.auth.wiring import Authentication

LOG = logging.getLogger(__name__)

T = TypeVar("T")

FRAMEWORKS = {"django": "app.web.django_api.application", "pecan": "app.web.pecan_api.application"}
"""The value of `web_framework`, and the module whose `application(broker)` is the WSGI application."""

TODAYS_CONFIG = Path("/opt/multivimbroker/multivimbroker/pub/config")
"""Where OOM mounts the map, and today's broker has its log.yml."""


def serve(conf: cfg.ConfigOpts, ready: Callable[[tuple[str, int]], None] = lambda _: None) -> None:
    """Run the broker until a signal ends it. `ready` is told the address once the socket is open.

    Raises `ConfigurationError` for whatever keeps it from starting.
    """
    logs.set_up(conf.logs.format, conf.logs.level)
    sizing = size(conf.server.workers, conf.server.workers_max, conf.server.worker_memory)
    shared = Shared(conf)
    framework = importlib.import_module(FRAMEWORKS[conf.server.web_framework]).application  # once, for all workers
    listener = open_listener(conf.server.host, conf.server.port, conf.server.backlog)
    address = listener.getsockname()[:2]
    LOG.info("%s", sizing.reason)
    LOG.info("version %s listens on %s port %d, framework %s", VERSION, *address, conf.server.web_framework)
    _tell_unset(conf)
    _tell_connections(conf)
    slots = Slots(sizing.workers)
    if shared.allowance.at_once or shared.allowance.rate:
        shared.counts = Counts(sizing.workers)
    server_tls = shared.tls.get("server")
    settings = Settings(_limits(conf), (lambda: server_tls.current.context) if server_tls else None)
    with _metrics_directory(conf, address) as directory:
        exporter = Exporter(listener) if directory is not None else None
        build = partial(_build, conf, shared, slots, exporter.origin if exporter else None, framework)
        workers = [Worker(listener, slots, slot, build, settings) for slot in range(sizing.workers)]
        others = [exporter] if exporter else []
        launcher = Launcher(slots, conf.server.grace_period, metrics.slot_ended)
        launcher.launch(workers, others)
        ready(address)
        launcher.wait()
    LOG.info("the broker has ended")


def check_files(conf: cfg.ConfigOpts) -> None:
    """Whether the files that the start reads are what they should be. Raises `ConfigurationError`."""
    Shared(conf)


@contextmanager
def _metrics_directory(conf: cfg.ConfigOpts, address: tuple[str, int]) -> Iterator[Path | None]:
    """One an address, so that brokers of one machine do not share it, and gone at the end; None with metrics off."""
    if not conf.metrics.enabled:
        yield None
        return
    try:
        directory = metrics_directory(conf.metrics.directory) / "{}:{}".format(*address)
        metrics.prepare(directory)
    except OSError as error:
        raise ConfigurationError(
            f"metrics.directory cannot be written ({error.strerror or error}): set BROKER_METRICS_DIRECTORY to one "
            "that can, or BROKER_METRICS_ENABLED to false"
        ) from None
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Shared:
    """What is made once, before the fork, and shared by all workers: a file that is broken ends the start."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        path = Path(conf.plugins.map_file or TODAYS_CONFIG / "provider-plugin.json")
        if not conf.plugins.map_file and not path.exists():
            path = plugins.BUILT_IN
        regions = conf.inventory.regions_file
        self.plugins = _named("plugins.map_file", plugins.load_map, path)
        self.built_in = file.load_regions(file.BUILT_IN)
        self.regions = _named("inventory.regions_file", file.load_regions, Path(regions)) if regions else None
        self.authentication = _authentication(conf)
        self.generations = Generations()
        self.allowance = Allowance(conf.clients.requests_max, conf.clients.rate, conf.clients.rate_window)
        self.counts: Counts | None = None
        self.tls = _tls(conf)
        LOG.info("provider-plugin map: %s", path)


def _tls(conf: cfg.ConfigOpts) -> dict[str, Watched[Tls]]:
    """By role: what the handshakes with clients, plugins and A&AI are made with, and its files watched."""
    roles = {}
    if conf.tls.enabled:
        files = (conf.tls.certificate, conf.tls.key, conf.tls.client_ca_file)
        roles["server"] = _watched("server", files, partial(tls.server, *files))
    for group in ("upstream", "aai") if conf.aai.address else ("upstream",):
        options = conf[group]
        if not options.verify:
            LOG.warning("%s.verify is false: whoever answers is taken for the one who was asked", group)
        pair = (options.client_certificate, options.client_key)
        files = (options.ca_file if options.verify else None, *pair)
        load = partial(tls.client, group, options.ca_file, options.verify, *pair)
        roles[group] = _watched(group, files, load)
    return roles


def _watched(role: str, files: tuple[str | None, ...], load: Callable[[], Tls]) -> Watched[Tls]:
    watched = Watched(f"TLS of {role}", [Path(file) for file in files if file], load)
    _tell_certificate(role, watched.current)
    watched.replaced.append(partial(_tell_certificate, role))
    return watched


def _tell_certificate(role: str, current: Tls) -> None:
    if current.certificate is not None:
        LOG.log(*tls.told(role, current.certificate, time.time()))


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


def _authenticates(conf: cfg.ConfigOpts) -> bool:
    """One of these options turns authentication on."""
    return any(conf.auth[name] for name in ("basic_file", "jwks_file", "jwks_url"))


def _authentication(conf: cfg.ConfigOpts) -> Authentication | None:
    """None where it is off."""
    if not _authenticates(conf):
        return None
    from app.auth.wiring import Authentication  # only who authenticates pays for PyJWT: 15 MiB and 70 ms

    return Authentication(conf.auth)


def _named(option: str, load: Callable[[Path], T], path: Path) -> T:
    """What a file holds; an error names the option too."""
    try:
        return load(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: {error.message}") from None


def origin(protocol: str, address: str, port: int) -> Origin | None:
    """Of three options; None where the address is unset, the protocol's own port where the port is."""
    return Origin(protocol, address, port or DEFAULT_PORTS[protocol]) if address else None


def _build(
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
    _keep_fresh(shared.tls, loop, worker_metrics)
    client = _client(conf, loop, shared.tls["upstream"], worker_metrics)
    forwarding = _forwarding(conf)
    broker = Broker(
        api.builtin(),
        shared.plugins,
        _inventory(conf, shared, loop, worker_metrics),
        _forwarder(conf, client, worker_metrics, forwarding),
        client,
        loop.gather,
        CapacitySettings(conf.capacity.concurrency, conf.upstream.connect_timeout, conf.capacity.timeout),
        origin(conf.msb.protocol, conf.msb.address, conf.msb.port),
    )
    application = framework(broker)
    draining: list[bool] = []
    probes = _probes(slots, draining)
    unguarded = frozenset(path.encode() for path in probes) if conf.tls.client_ca_file else None
    if exporter is not None:
        probes["/metrics"] = relay(client, exporter)
    authenticate = _gate(conf, shared, loop)
    if authenticate is not None and "/metrics" in probes and not conf.auth.exempt_metrics:
        probes["/metrics"] = guarded(probes["/metrics"], authenticate)
    exempt = frozenset(path.encode() for path in probes)
    access = logs.access_log(conf.logs.format) if conf.logs.access else None
    answered = worker_metrics.answered if worker_metrics else _unmeasured
    quota = Quota(shared.counts, slot, shared.allowance) if shared.counts is not None else None
    edge = Edge(application, probes, access, answered, authenticate, client_of=forwarding.client_of, quota=quota)
    in_flight = worker_metrics.in_flight if worker_metrics else _unmeasured
    return Served(edge, exempt, edge.refused, lambda: draining.append(True), in_flight, unguarded)


def _gate(conf: cfg.ConfigOpts, shared: Shared, loop: Loop) -> Authenticate | None:
    """What lets a request pass; None where everybody may call."""
    if shared.authentication is None:
        return None

    def fetch() -> Fetch:
        trust = tls.client("auth", conf.auth.jwks_ca_file, True, None, None)
        return Client(loop, Resolver(), Pool(0, conf.upstream.pool_idle_timeout), lambda: trust).fetch

    own = [route for version in api.VERSIONS for route in api.builtin().own_routes(version)]
    swagger = frozenset(f"/api/multicloud{route.template}".encode() for route in own if route.handler == "swagger")
    return shared.authentication.gate(loop, fetch, swagger if conf.auth.exempt_swagger else frozenset())


def _unmeasured(*_: object) -> None:
    """For measurements when metrics are off."""


def _metrics(conf: cfg.ConfigOpts, slot: int) -> Metrics:
    metrics.use_slot(slot)
    return Metrics(VERSION, conf.server.web_framework)


def _probes(slots: Slots, draining: list[bool]) -> dict[str, Probe]:
    def workers() -> str:
        stalled = slots.stalled()
        return f"workers in slots {', '.join(map(str, stalled))} are missing or silent" if stalled else ""

    def serving() -> str:
        return "draining" if draining else ""

    live = Health({"workers": workers})
    ready = Health({"configuration": lambda: "", "draining": serving})
    return {"/livez": live, "/healthz": live, "/readyz": ready, "/startupz": ready}


def _client(conf: cfg.ConfigOpts, loop: Loop, trust: Watched[Tls], worker_metrics: Metrics | None) -> Client:
    pool = Pool(conf.upstream.pool_size, conf.upstream.pool_idle_timeout)
    retried = worker_metrics.retried if worker_metrics else _unmeasured
    share = conf.upstream.retry_percent / 100
    limit = conf.upstream.replay_limit
    return Client(loop, Resolver(), pool, lambda: trust.current, replay_limit=limit, retry_share=share, retried=retried)


def _forwarding(conf: cfg.ConfigOpts) -> Forwarding:
    options = conf.forwarded
    return Forwarding(
        options.trusted or (),
        options.format,
        headers=options.headers,
        via="" if options.via == "none" else options.pseudonym,
        via_back=options.pseudonym if options.via == "both" else "",
    )


def _forwarder(
    conf: cfg.ConfigOpts, client: Client, worker_metrics: Metrics | None, forwarding: Forwarding
) -> Forwarder:
    options = conf.upstream
    timeouts = Timeouts(options.connect_timeout, options.response_timeout, options.idle_timeout, options.total_timeout)
    dropped = {b"authorization"} if _authenticates(conf) and not conf.auth.forward_authorization else ()
    observed = worker_metrics.upstream if worker_metrics else _unmeasured
    return Forwarder(client, timeouts, observed, forwarding, frozenset(dropped))


def _inventory(conf: cfg.ConfigOpts, shared: Shared, loop: Loop, worker_metrics: Metrics | None) -> Inventory:
    """The built-in regions, the operator's file, then A&AI."""
    layers: list[Inventory] = [shared.built_in]
    if shared.regions is not None:
        layers.append(shared.regions)
    where = origin(conf.aai.protocol, conf.aai.address, conf.aai.port)
    if where is None:
        return Layered(*layers, Unconfigured())
    settings = AaiSettings(where, conf.aai.schema_version, conf.aai.connect_timeout, conf.aai.response_timeout)
    trust = shared.tls["aai"]
    client = Client(loop, Resolver(), Pool(8, conf.upstream.pool_idle_timeout), lambda: trust.current)
    source = Aai(
        settings,
        client.fetch,
        lambda: (conf.aai.username or "", secret(conf, "aai", "password", os.environ)),
        worker_metrics.inventory_asked if worker_metrics else _unmeasured,
    )
    options = conf.inventory
    lifetimes = Lifetimes(options.cache_ttl, options.negative_ttl, options.stale_ttl)
    observed = worker_metrics.inventory_cache if worker_metrics else _unmeasured
    return Layered(*layers, CachedInventory(source, lifetimes, shared.generations, observed))


def _limits(conf: cfg.ConfigOpts) -> Limits:
    options = conf.server
    return Limits(
        request_line=options.request_line_limit,
        header=options.header_limit,
        header_count=options.header_count,
        header_timeout=options.header_timeout,
        idle_timeout=options.idle_timeout,
        body_timeout=options.body_timeout,
        body_rate=options.body_rate,
        body_grace=options.body_grace,
        drain=options.drain_limit,
        connections=options.connections_max,
        requests=options.requests_max,
        uploads=options.uploads_max,
        downloads=options.downloads_max,
        grace_period=options.grace_period,
    )


def _tell_connections(conf: cfg.ConfigOpts) -> None:
    limit = files.raise_limit()
    most = files.connections(conf.server.connections_max)
    if most < conf.server.connections_max:
        LOG.warning("a worker holds at most %d connections: its limit of open files is %d; raise that", most, limit)


UNSET: Mapping[str, str] = {
    "aai": "A&AI is not configured: only built-in and listed regions are known; set AAI_ADDR to ask it for others",
    "msb": "MSB is not configured: plugins are reached by their endpoint or Kubernetes service; MSB_ADDR would set it",
}


def _tell_unset(conf: cfg.ConfigOpts) -> None:
    for group, message in UNSET.items():
        if not conf[group].address:
            LOG.info("%s", message)
    if (TODAYS_CONFIG / "log.yml").exists():
        LOG.info(
            "%s is not applied: logs go to standard output; set BROKER_LOGS_LEVEL and BROKER_LOGS_FORMAT",
            TODAYS_CONFIG / "log.yml",
        )
