"""The server's limits, as values: what a client may send, how long it may take, how many at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; the option of the same name in group `server` says more."""

    request_line: int = 8192
    header: int = 65536
    header_count: int = 128
    header_timeout: float = 10.0
    idle_timeout: float = 75.0
    body_timeout: float = 60.0
    body_rate: int = 240
    body_grace: float = 10.0
    drain: int = 65536
    connections: int = 10000
    requests: int = 1000
    uploads: int = 256
    downloads: int = 256
    grace_period: float = 20.0
    drain_pause: float = 2.0
