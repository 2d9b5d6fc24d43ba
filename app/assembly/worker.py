"""In a worker: everything that serves requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from app import VERSION
from app.assembly.configured import Configured
from app.assembly.gate import Gatehouse
from app.assembly.inventory import Regions
from app.assembly.limits import limits
from app.assembly.probes import Probes
from app.assembly.shared import Shared
from app.assembly.sources import Sources
from app.assembly.upstream import Plugins, forwarding, msb, unmeasured
from app.core.origin import Origin
from app.core.quota import Allowance, Quota
from app.net.loop import Loop
from app.net.tls import Tls
from app.observability import access, metrics
from app.observability.metrics import Metrics
from app.server.limits import Limits
from app.server.serving import Server
from app.server.slots import Slots
from app.server.worker import Served
from app.web import api
from app.web.broker import Broker, Described
from app.web.capacity import CapacitySettings
from app.web.edge import Application, Edge


class Framework(NamedTuple):
    """A web framework's name, and what makes a WSGI application of a broker."""

    name: str
    application: Callable[[Broker], Application]


class Front(NamedTuple):
    """What the server is given by one configuration."""

    edge: Edge
    limits: Limits
    exempt: frozenset[bytes]
    unguarded: frozenset[bytes] | None


Commit = Callable[[], None]


class Serving:
    """Of one worker: makes what serves requests by each configuration, and keeps what outlives a reload. A request
    ends with the objects that it began with."""

    def __init__(
        self,
        configured: Configured,
        shared: Shared,
        slots: Slots,
        exporter: Origin | None,
        framework: Framework,
        loop: Loop,
        slot: int,
    ) -> None:
        self._configured = configured
        self._shared = shared
        self._framework = framework
        self._loop = loop
        self._slot = slot
        self._server: Server | None = None
        self._metrics = _metrics(framework, slot) if exporter is not None else None
        configured.begin_worker(self._reloaded)
        self._table = api.builtin()
        self._described = Described(self._table)
        self._plugins = Plugins(configured.options, loop, shared.circuits, self._upstream_tls, self._metrics)
        self._regions = Regions(configured.options, shared, loop, self._metrics)
        self._gatehouse = Gatehouse(loop, self._table)
        self._probes = Probes(slots, self._plugins.client, exporter, configured.problem)
        self._front: Front
        self._prepare(configured.sources)()
        configured.prepare = self._prepare
        loop.every_tick.append(configured.look)
        loop.every_tick.append(self._measure)

    def served(self) -> Served:
        front = self._front
        in_flight = self._metrics.in_flight if self._metrics else unmeasured
        return Served(
            front.edge,
            front.exempt,
            front.edge.refused,
            in_flight,
            front.unguarded,
            reload=self._configured.reload,
            opened=self._opened,
        )

    def _opened(self, server: Server) -> None:
        self._server = server
        self._put_in_place(server)

    def _measure(self, _: float) -> None:
        if self._metrics is not None:
            self._metrics.loop(self._loop.lag, self._loop.greenlets)

    def _reloaded(self, successful: bool) -> None:
        if self._metrics is not None:
            self._metrics.reloaded(successful=successful)

    def _upstream_tls(self) -> Tls:
        return self._configured.sources.tls["upstream"].current

    def _prepare(self, sources: Sources) -> Commit:
        """Make what serves by these sources; what is returned puts it in place."""
        options = sources.options
        inventory, take_inventory = self._regions.layered(sources)
        gate, take_gate = self._gatehouse.gate(sources)
        forwarded = forwarding(options)
        broker = Broker(
            self._table,
            sources.plugins.current,
            inventory,
            self._plugins.forwarder(options, forwarded),
            self._plugins.client,
            self._loop.gather,
            CapacitySettings(options.capacity.concurrency, options.upstream.connect_timeout, options.capacity.timeout),
            msb(options),
            self._described,
        )
        probes = self._probes.all(gate if not options.auth.exempt_metrics else None)
        edge = Edge(
            self._framework.application(broker),
            probes,
            access.access_log(options.logs.format) if options.logs.access else None,
            self._metrics.answered if self._metrics else unmeasured,
            gate,
            client_of=forwarded.client_of,
            quota=self._quota(sources),
        )
        guards = options.tls.enabled and options.tls.client_ca_file
        unguarded = _paths(self._probes.health) if guards else None
        front = Front(edge, limits(options), _paths(probes), unguarded)
        return partial(self._take, sources, front, (take_inventory, take_gate))

    def _quota(self, sources: Sources) -> Quota | None:
        own = sources.options.clients
        allowance = Allowance(own.requests_max, own.rate, own.rate_window)
        return Quota(self._shared.counts, self._slot, allowance) if allowance else None

    def _take(self, sources: Sources, front: Front, others: Iterable[Commit]) -> None:
        for take in others:
            take()
        self._plugins.adjust(sources.options, sources.plugins.current.plugins())
        self._front = front
        for role, watched in sources.tls.items():
            if self._metrics is not None and watched.current.certificate is not None:
                self._metrics.certificate(role, watched.current.certificate.not_after)
        if self._server is not None:
            self._put_in_place(self._server)

    def _put_in_place(self, server: Server) -> None:
        front = self._front
        server.replace(
            front.edge, front.limits, exempt=front.exempt, unguarded=front.unguarded, refused=front.edge.refused
        )


def _paths(probes: Iterable[str]) -> frozenset[bytes]:
    return frozenset(map(str.encode, probes))


def _metrics(framework: Framework, slot: int) -> Metrics:
    metrics.use_slot(slot)
    return Metrics(VERSION, framework.name)
