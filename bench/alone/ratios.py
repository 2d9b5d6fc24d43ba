"""What a request costs one broker, over what it costs another."""

from __future__ import annotations

from collections.abc import Callable

from bench.clients.said import GaveUpError, Said
from bench.systems import Running

Ask = Callable[[int], Said]
"""Given the port."""


def cpu_ratios(base: tuple[Ask, Running], other: tuple[Ask, Running], tries: int) -> tuple[float, ...]:
    """Of the CPU that a request costs, of two runs that follow one another. The first two, which fill caches, do not
    count; raises `GaveUpError` where a request fails."""
    pairs = [(_cost(*base), _cost(*other)) for _ in range(tries + 1)]
    return tuple(round(more / less, 4) for less, more in pairs[1:])


def _cost(ask: Ask, running: Running) -> float:
    before = running.program.usage()
    said = ask(running.port)
    if said.failed:
        raise GaveUpError(f"{said.failed} of {said.requests} requests failed")
    return running.program.usage().since(before) / said.requests
