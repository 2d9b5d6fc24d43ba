"""Puts the broker together from its configuration; the only package that knows every part."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from oslo_config import cfg

from app import VERSION
from app.assembly.configured import Configured
from app.assembly.limits import limits, supervision
from app.assembly.shared import Shared
from app.assembly.sources import Sources
from app.assembly.telling import tell
from app.assembly.worker import Framework, Serving
from app.conf.metrics import directory as metrics_directory
from app.conf.reloading import begin
from app.errors import ConfigurationError
from app.net.loop import Loop
from app.observability import logs, metrics
from app.observability.once import Once
from app.server.exporter import Exporter
from app.server.held import hold_back
from app.server.launcher import Launcher
from app.server.listening import open_listener
from app.server.scratch import scratch_directory
from app.server.sizing import size
from app.server.slots import Slots
from app.server.worker import Served, Settings, Worker

LOG = logging.getLogger(__name__)

FRAMEWORKS = {"django": "app.web.django_api.application", "pecan": "app.web.pecan_api.application"}
"""The value of `web_framework`, and the module whose `application(broker)` is the WSGI application."""


def serve(
    files: Sequence[str], environ: Mapping[str, str], ready: Callable[[tuple[str, int]], None] = lambda _: None
) -> None:
    """Run the broker until a signal ends it. `ready` is told the address once the socket is open.

    Raises `ConfigurationError` for whatever keeps it from starting.
    """
    hold_back()
    configuration = begin(files, environ)
    conf = configuration.options
    logs.set_up(conf.logs.format, conf.logs.level)
    sizing = size(conf.server.workers, conf.server.workers_max, conf.server.worker_memory)
    slots = Slots(sizing.workers, spare=1 if conf.server.worker_memory_max else 0)
    shared = Shared(len(slots.rows))
    configured = Configured(configuration, files, environ, shared.once)
    name = conf.server.web_framework
    framework = Framework(name, importlib.import_module(FRAMEWORKS[name]).application)  # once, for all workers
    listener = open_listener(conf.server.host, conf.server.port, conf.server.backlog)
    address = listener.getsockname()[:2]
    LOG.info("%s", sizing.reason)
    LOG.info("version %s listens on %s port %d, framework %s", VERSION, *address, name)
    tell(conf)
    own_tls = (lambda: configured.sources.tls["server"].current.context) if conf.tls.enabled else None
    with _metrics_directory(conf, address, len(slots.rows)) as directory:
        exporter = Exporter(listener, slots) if directory is not None else None
        metrics_at = exporter.origin if exporter else None

        def build(loop: Loop, slot: int) -> Served:
            return Serving(configured, shared, slots, metrics_at, framework, loop, slot).served()

        workers = [Worker(listener, slots, slot, build, Settings(limits(conf), own_tls)) for slot in slots.rows]
        others = [exporter] if exporter else []
        launcher = Launcher(slots, listener, supervision(conf), partial(_ended, shared))
        _reload_with(launcher, configured, shared.once)
        launcher.launch(workers, others)
        ready(address)
        launcher.wait()
    LOG.info("the broker has ended")


def _reload_with(launcher: Launcher, configured: Configured, once: Once) -> None:
    """The bootstrap process reloads too: whom it forks later begins with what it has."""

    def reload() -> None:
        once.begin_round()
        configured.reload()

    def prepare(sources: Sources) -> Callable[[], None]:
        return partial(launcher.supervise, supervision(sources.options))

    configured.prepare = prepare
    launcher.reload = reload
    launcher.every_look.append(configured.look)


def check_files(conf: cfg.ConfigOpts) -> None:
    """Whether the files that the start reads are what they should be. Raises `ConfigurationError`."""
    Sources(conf, Once(), lambda: None)


@contextmanager
def _metrics_directory(conf: cfg.ConfigOpts, address: tuple[str, int], workers: int) -> Iterator[Path | None]:
    """One of this broker's own, gone at the end; None with metrics off."""
    if not conf.metrics.enabled:
        yield None
        return
    with ExitStack() as stack:
        try:
            parent = metrics_directory(conf.metrics.directory)
            directory = stack.enter_context(scratch_directory(parent, "{}:{}".format(*address), "metrics"))
            metrics.prepare(directory, workers)
        except OSError as error:
            raise ConfigurationError(
                f"metrics.directory cannot be written ({error.strerror or error}): set BROKER_METRICS_DIRECTORY to one "
                "that can, or BROKER_METRICS_ENABLED to false"
            ) from None
        yield directory


def _ended(shared: Shared, slot: int) -> None:
    """In the bootstrap process: what a worker that has ended was at counts no longer."""
    metrics.slot_ended(slot)
    shared.counts.clear(slot)
