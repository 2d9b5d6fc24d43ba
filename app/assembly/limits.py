"""The server's limits, and those of its workers, by its options."""

from __future__ import annotations

from oslo_config import cfg

from app.server.limits import Limits
from app.server.places import Supervision


def limits(options: cfg.ConfigOpts) -> Limits:
    own = options.server
    return Limits(
        request_line=own.request_line_limit,
        header=own.header_limit,
        header_count=own.header_count,
        header_timeout=own.header_timeout,
        idle_timeout=own.idle_timeout,
        body_timeout=own.body_timeout,
        body_rate=own.body_rate,
        body_grace=own.body_grace,
        drain=own.drain_limit,
        connections=own.connections_max,
        requests=own.requests_max,
        uploads=own.uploads_max,
        downloads=own.downloads_max,
        grace_period=own.grace_period,
        drain_pause=own.drain_pause,
    )


def supervision(options: cfg.ConfigOpts) -> Supervision:
    own = options.server
    return Supervision(
        grace_period=own.grace_period,
        drain_pause=own.drain_pause,
        watchdog_timeout=own.watchdog_timeout,
        memory_max=own.worker_memory_max << 20,
    )
