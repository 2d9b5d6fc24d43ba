"""What the broker tells Prometheus, over several processes.

Each worker writes files named by its slot, so that a replaced worker goes on with them and files stay
bounded (named by pid, as the library does it, a respawn adds files for ever, and 50 cost 1.3 s a scrape).
Metrics are therefore made in the worker, after `use_slot`, never at import. Labels are bounded: a route
is a template, a plugin is one of the map's, and no label carries a region, a tenant or a request id.
"""

from __future__ import annotations

import os
import platform
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # prometheus_client reads the environment when it is imported: not before `prepare`
    from prometheus_client import Counter, Gauge, Histogram, Metric

    from app.observability.reserved import Value

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds; VoLTE's deployments take minutes, so the library's end at 10 s would say nothing."""

A_WORKERS = 5 << 16
"""Bytes of a worker's files: of counters, of histograms, and of three kinds of gauges."""

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def prepare(directory: Path, workers: int = 1) -> None:
    """In the bootstrap process: point the library to a directory that is there and empty.

    Raises `OSError` where so many workers' files find no room.
    """
    with tempfile.TemporaryFile(dir=directory) as probe:
        os.posix_fallocate(probe.fileno(), 0, workers * A_WORKERS)
    os.environ[DIRECTORY] = str(directory)


def use_slot(slot: int) -> None:
    """In the worker, before any metric is made: its files are the slot's."""
    from prometheus_client import values

    from app.observability.reserved import Values

    values.ValueClass = Values(os.environ[DIRECTORY], slot)


def slot_ended(slot: int) -> None:
    """In the bootstrap process: a dead worker's live gauges no longer count."""
    if DIRECTORY in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(slot)  # type: ignore[no-untyped-call]


def merged(restarts: Mapping[str, int] = MappingProxyType({})) -> bytes:
    """All slots' metrics as one text, and what the parent has counted: workers that were replaced, by the reason. CPU
    work: not for a worker."""
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Restarts(restarts))
    return generate_latest(registry)


class _Restarts:
    """A collector of what is counted elsewhere."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily("multicloud_worker_restarts", "Workers that were replaced", labels=("reason",))
        for reason, count in self._counts.items():
            family.add_metric((reason,), count)
        yield family


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Maker:
    """Makes one worker's metrics, by their names without the prefix."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry()

    def counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        from prometheus_client import Counter

        return Counter(f"multicloud_{name}", text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, labels: tuple[str, ...], mode: str) -> Gauge:
        from prometheus_client import Gauge

        return Gauge(f"multicloud_{name}", text, labels, registry=self._registry, multiprocess_mode=mode)  # type: ignore[arg-type]

    def histogram(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Histogram:
        from prometheus_client import Histogram

        return Histogram(f"multicloud_{name}", text, labels, registry=self._registry, buckets=BUCKETS)


class _Taken:
    """A counter's and a histogram's children that count the same: requests, and the seconds that they took.

    By the values themselves, which the library has no public name for: its `inc` and `observe` look each time whether
    they may be called. `tests/observability/test_metrics.py` fails when its next version keeps them otherwise."""

    __slots__ = ("_buckets", "_count", "_sum")

    def __init__(self, counter: Counter, histogram: Histogram) -> None:
        self._count: Value = counter._value
        self._sum: Value = histogram._sum
        self._buckets: list[Value] = histogram._buckets

    def add(self, seconds: float) -> None:
        self._count.inc(1.0)
        self._sum.inc(seconds)
        self._buckets[bisect_left(BUCKETS, seconds)].inc(1.0)


class Metrics:
    """One worker's metrics; children are remembered by their labels, which saves a lookup by locks."""

    def __init__(self, version: str, framework: str) -> None:
        make = _Maker()
        self._answered: dict[tuple[str, str, int], _Taken] = {}
        self._sent: dict[tuple[str, int], _Taken] = {}
        self._make_requests(make)
        self._make_upstream(make)
        self._make_inventory(make)
        self._make_configuration(make)
        self._make_worker(make)
        labels = ("version", "framework", "python")
        build = make.gauge("build_info", "What serves", labels, "livemax")
        build.labels(version, framework, platform.python_version()).set(1)

    def _make_requests(self, make: _Maker) -> None:
        self._requests = make.counter("http_requests", "Requests answered", ("method", "route", "code"))
        self._durations = make.histogram(
            "http_request_duration_seconds",
            "Until the answer, or the end of a streamed one, was handed to the server",
            ("method", "route"),
        )
        self._in_flight = make.gauge("http_requests_in_flight", "Requests being served", (), "livesum")

    def _make_upstream(self, make: _Maker) -> None:
        self._upstream = make.counter("upstream_requests", "Requests sent to plugins", ("plugin", "code"))
        self._upstream_durations = make.histogram(
            "upstream_request_duration_seconds", "Until the plugin's head", ("plugin",)
        )
        self._retries = make.counter("upstream_retries", "Requests sent a second time")
        self._not_sent = make.counter(
            "upstream_refused", "Requests answered 503 for their plugin's circuit or bulkhead", ("plugin", "by")
        )
        self._circuits = make.gauge("circuit_state", "0 closed, 1 half-open, 2 open", ("plugin",), "livemax")
        self._plugins = make.gauge(
            "upstream_requests_in_flight",
            "Requests that a plugin has to answer (sent), or that wait for others to be (waiting)",
            ("plugin", "state"),
            "livesum",
        )

    def _make_inventory(self, make: _Maker) -> None:
        refused = "Regions not asked for: it was known to fail, or too many waited"
        self._cache = {
            "hit": make.counter("inventory_cache_hits", "Regions found in memory"),
            "miss": make.counter("inventory_cache_misses", "Regions that the inventory was asked for"),
            "stale": make.counter("inventory_cache_stale", "Remembered regions served while the inventory failed"),
            "ahead": make.counter("inventory_cache_refreshes", "Remembered regions asked for anew in the background"),
            "refused": make.counter("inventory_refused", refused),
        }
        self._inventory = make.histogram("inventory_request_duration_seconds", "Requests to the inventory")

    def _make_configuration(self, make: _Maker) -> None:
        self._certificates = make.gauge(
            "tls_certificate_not_after_timestamp_seconds",
            "The end of the certificate that is presented to clients (server), plugins (upstream) or A&AI (aai)",
            ("role",),
            "livemin",
        )
        self._reloaded_at = make.gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded", (), "livemin"
        )
        self._reloaded = make.gauge(
            "config_last_reload_successful",
            "Whether all is as the files have it; 0: some of it is as before",
            (),
            "livemin",
        )

    def _make_worker(self, make: _Maker) -> None:
        self._lag = make.histogram(
            "hub_lag_seconds", "By how much a worker's loop came too late to its ticks, ten a second"
        )
        self._greenlets = make.gauge(
            "greenlets", "Greenlets that serve requests or are kept for the next", (), "livesum"
        )
        make.gauge("workers", "Workers that serve", (), "livesum").set(1)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request to the API has been answered; `route` is a template."""
        taken = self._answered.get((method, route, status))
        if taken is None:
            known = method if method in METHODS else "other"
            counter, histogram = self._requests.labels(known, route, str(status)), self._durations.labels(known, route)
            taken = _Taken(counter, histogram)
            if known is method:
                self._answered[method, route, status] = taken
        taken.add(seconds)

    def upstream(self, plugin: str, status: int, seconds: float) -> None:
        """A plugin's response head has come, or with the status of our error, has not."""
        taken = self._sent.get((plugin, status))
        if taken is None:
            counter, histogram = self._upstream.labels(plugin, str(status)), self._upstream_durations.labels(plugin)
            taken = self._sent[plugin, status] = _Taken(counter, histogram)
        taken.add(seconds)

    def retried(self) -> None:
        self._retries.inc()

    def not_sent(self, plugin: str, by: str) -> None:
        """`by`: circuit or bulkhead."""
        self._not_sent.labels(plugin, by).inc()

    def plugin(self, plugin: str, state: int, in_flight: int, waiting: int) -> None:
        """What a plugin's circuit is, and its requests."""
        self._circuits.labels(plugin).set(state)
        self._plugins.labels(plugin, "sent").set(in_flight)
        self._plugins.labels(plugin, "waiting").set(waiting)

    def in_flight(self, count: int) -> None:
        self._in_flight.set(count)

    def loop(self, lag: float, greenlets: int) -> None:
        """At each tick of a worker's loop: how many seconds it came too late."""
        self._lag.observe(lag)
        self._greenlets.set(greenlets)

    def certificate(self, role: str, not_after: float) -> None:
        """`role`: server, upstream or aai; `not_after` in seconds since the epoch."""
        self._certificates.labels(role).set(not_after)

    def reloaded(self, *, successful: bool) -> None:
        """The configuration was loaded, or part of it stays as it was."""
        self._reloaded.set(successful)
        if successful:
            self._reloaded_at.set_to_current_time()

    def inventory_cache(self, event: str) -> None:
        """`event`: hit, miss, stale, ahead or refused."""
        self._cache[event].inc()

    def inventory_asked(self, seconds: float) -> None:
        self._inventory.observe(seconds)
