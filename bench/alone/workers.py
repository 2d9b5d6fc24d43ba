"""What a request costs with two workers, over what it costs with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.alone import FRAMEWORKS
from bench.alone.ratios import cpu_ratios
from bench.results import Figure
from bench.site import Site
from bench.systems.ours import broker, environment
from bench.work import Work

WORKERS = "workers"


def workers(site: Site, work: Work, tries: int) -> Iterator[Figure]:
    """Ratios of the CPU a request."""
    for framework in FRAMEWORKS:
        folder = site.under(f"workers-{framework}")
        with ExitStack() as stack:
            one, two = (
                stack.enter_context(
                    broker(folder / f"{count}.log", environment(site.map_file, site.regions_file, framework, count))
                )
                for count in (1, 2)
            )
            ask = partial(work.ask, folder=folder)
            yield Figure(WORKERS, framework, cpu_ratios((ask, one), (ask, two), tries))
