"""Puts the broker together from its configuration; the only package that knows every part."""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from oslo_config import cfg

from app import VERSION
from app.assembly.shared import Shared
from app.assembly.telling import tell_connections, tell_unset
from app.assembly.worker import build
from app.conf.metrics import directory as metrics_directory
from app.core.quota import Counts
from app.errors import ConfigurationError
from app.observability import logs, metrics
from app.server.exporter import Exporter
from app.server.launcher import Launcher
from app.server.limits import Limits
from app.server.listening import open_listener
from app.server.places import Supervision
from app.server.sizing import size
from app.server.slots import Slots
from app.server.worker import Settings, Worker

LOG = logging.getLogger(__name__)

FRAMEWORKS = {"django": "app.web.django_api.application", "pecan": "app.web.pecan_api.application"}
"""The value of `web_framework`, and the module whose `application(broker)` is the WSGI application."""


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
    tell_unset(conf)
    tell_connections(conf)
    supervision = _supervision(conf)
    slots = Slots(sizing.workers, spare=1 if supervision.memory_max else 0)
    if shared.allowance.at_once or shared.allowance.rate:
        shared.counts = Counts(len(slots.rows))
    server_tls = shared.tls.get("server")
    settings = Settings(_limits(conf), (lambda: server_tls.current.context) if server_tls else None)
    with _metrics_directory(conf, address, len(slots.rows)) as directory:
        exporter = Exporter(listener, slots) if directory is not None else None
        build_served = partial(build, conf, shared, slots, exporter.origin if exporter else None, framework)
        workers = [Worker(listener, slots, slot, build_served, settings) for slot in slots.rows]
        others = [exporter] if exporter else []
        launcher = Launcher(slots, listener, supervision, partial(_ended, shared))
        launcher.launch(workers, others)
        ready(address)
        launcher.wait()
    LOG.info("the broker has ended")


def check_files(conf: cfg.ConfigOpts) -> None:
    """Whether the files that the start reads are what they should be. Raises `ConfigurationError`."""
    Shared(conf)


@contextmanager
def _metrics_directory(conf: cfg.ConfigOpts, address: tuple[str, int], workers: int) -> Iterator[Path | None]:
    """One an address, so that brokers of one machine do not share it, and gone at the end; None with metrics off."""
    if not conf.metrics.enabled:
        yield None
        return
    try:
        directory = metrics_directory(conf.metrics.directory) / "{}:{}".format(*address)
        metrics.prepare(directory, workers)
    except OSError as error:
        raise ConfigurationError(
            f"metrics.directory cannot be written ({error.strerror or error}): set BROKER_METRICS_DIRECTORY to one "
            "that can, or BROKER_METRICS_ENABLED to false"
        ) from None
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _ended(shared: Shared, slot: int) -> None:
    """In the bootstrap process: what a worker that has ended was at counts no longer."""
    metrics.slot_ended(slot)
    if shared.counts is not None:
        shared.counts.clear(slot)


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
        drain_pause=options.drain_pause,
    )


def _supervision(conf: cfg.ConfigOpts) -> Supervision:
    options = conf.server
    return Supervision(
        grace_period=options.grace_period,
        drain_pause=options.drain_pause,
        watchdog_timeout=options.watchdog_timeout,
        memory_max=options.worker_memory_max << 20,
    )
