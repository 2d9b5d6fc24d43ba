"""From the command to ready: both workers serve, and readiness is 200."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.alone import FRAMEWORKS
from bench.processes import answers, free_port, running, wait_until
from bench.results import Figure
from bench.site import Site
from bench.systems.ours import APP, COMMAND, READY, all_serve, environment

START, CONTAINER_START = "start", "container start"
COMMANDS = {START: COMMAND, CONTAINER_START: (str(APP / "entrypoint.sh"),)}
"""The broker itself, and the image's entry point, which renders and checks the configuration first."""


def start(site: Site, tries: int) -> Iterator[Figure]:
    """Seconds."""
    for name, command in COMMANDS.items():
        for framework in FRAMEWORKS:
            folder = site.under(f"{name}-{framework}".replace(" ", "-"))
            environ = environment(site.map_file, site.regions_file, framework, workers=2)
            yield Figure(
                name, framework, tuple(_once(command, environ, folder / f"{number}.log") for number in range(tries))
            )


def _once(command: Sequence[str], environ: dict[str, str], log: Path) -> float:
    port = free_port()
    interpreters = str(Path(COMMAND[0]).parent)
    environ = {**environ, "BROKER_SERVER_PORT": str(port), "PATH": f"{interpreters}:{environ['PATH']}"}
    began = time.monotonic()
    with running(command, log, environ, cwd=APP) as program:
        wait_until(program, lambda: answers(port, READY) and all_serve(program, 2), "the broker", every=0.005)
        return round(time.monotonic() - began, 3)
