"""The broker as the image has it, its data path compiled (`make compiled`), and as it is by default: access lines (to a
file, as a container engine has them) and metrics on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.processes import ROOT, Program, answers, running, wait_until
from bench.site import Site
from bench.systems.system import Running, System

APP = Path(os.environ.get("BENCH_APP", ROOT / "build" / "compiled")).resolve()
"""Where its `app` is: by BENCH_APP=. the source, interpreted."""

COMMAND = (sys.executable, "-m", "app", "serve")
LISTENS = re.compile(r"listens on \S+ port (\d+)")
SERVES = re.compile(r"worker \d+ serves")
READY = "/readyz"


def environment(map_file: Path, regions_file: Path | None, framework: str, workers: int) -> dict[str, str]:
    """Nothing but what a bench must set: where it listens, which plugins there are, how many workers."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    regions = {"BROKER_INVENTORY_REGIONS_FILE": str(regions_file)} if regions_file else {}
    return {
        **ours,
        **regions,
        "WEB_FRAMEWORK": framework,
        "BROKER_PLUGINS_MAP_FILE": str(map_file),
        "BROKER_SERVER_WORKERS": str(workers),
        "BROKER_SERVER_PORT": "0",
        "BROKER_SERVER_HOST": "127.0.0.1",
        "BROKER_SERVER_DRAIN_PAUSE": "0",
    }


@contextmanager
def broker(log: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    """Once all its workers serve; raises `NotStartedError`."""
    with running(COMMAND, log, environ, cwd=APP) as program:
        wait_until(program, partial(all_serve, program, int(environ["BROKER_SERVER_WORKERS"])), "the broker")
        port = port_of(program)
        wait_until(program, partial(answers, port, READY), "the broker")
        yield Running(port, program)


def all_serve(program: Program, workers: int) -> bool:
    return len(SERVES.findall(program.log.read_text())) >= workers


def port_of(program: Program) -> int:
    """0 as long as it does not listen."""
    found = LISTENS.search(program.log.read_text())
    return int(found[1]) if found else 0


@contextmanager
def _start(framework: str, site: Site) -> Iterator[Running]:
    environ = environment(site.map_file, site.regions_file, framework, workers=2)
    with broker(site.under(framework) / "log", environ) as served:
        yield served


SYSTEMS = tuple(
    System(framework, "ours", "defaults: access log and metrics on; 2 workers", partial(_start, framework))
    for framework in ("django", "pecan")
)
