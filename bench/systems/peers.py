"""The seed's three systems, and today's usual choices, each with what its users write; their programs are in `peers/`,
their packages in `.venv-bench`. What each writes by default to its log goes to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from bench.processes import NotStartedError, answers, free_port, running, wait_until
from bench.site import FORWARDED, PEERS, PEERS_BIN, Site
from bench.systems.system import FORWARD, STREAM, VIM_TYPES, Running, System

HELD_WHOLE = frozenset({VIM_TYPES, FORWARD})
PROXY = frozenset({FORWARD, STREAM})

PORT = "PORT"
"""Stands for the port in a command."""

RUNSERVER = ("python", "manage.py", "runserver", "--noreload", "127.0.0.1:PORT")
UWSGI = (
    "uwsgi",
    "--http",
    "127.0.0.1:PORT",
    "--http-keepalive",
    "--module",
    "django_wsgi",
    "--master",
    "--processes",
    "4",
    "--die-on-term",
)
PECAN_EVENTLET = ("python", "pecan_eventlet.py", "PORT")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:PORT")
SYNC = (*GUNICORN, "--workers", "5", "django_wsgi:application")
GTHREAD = (*GUNICORN, "--worker-class", "gthread", "--workers", "5", "--threads", "4", "django_wsgi:application")
AIOHTTP = (*GUNICORN, "--worker-class", "aiohttp.GunicornWebWorker", "--workers", "2", "aiohttp_proxy:app")
STARLETTE = ("uvicorn", "--host", "127.0.0.1", "--port", "PORT", "--workers", "2", "starlette_proxy:app")


@contextmanager
def _start(name: str, command: Sequence[str], site: Site) -> Iterator[Running]:
    program, port = PEERS_BIN / command[0], free_port()
    if not program.exists():
        raise NotStartedError(f"{program} is not there: make .venv-bench/installed")
    environ = {
        **os.environ,
        "BENCH_PLUGINS": json.dumps(site.plugins),
        "BENCH_MAP": str(site.map_file),
        "PATH": f"{PEERS_BIN}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }
    arguments = [argument.replace(PORT, str(port)) for argument in command[1:]]
    with running([program, *arguments], site.under(name) / "log", environ, PEERS) as started:
        wait_until(started, partial(answers, port, FORWARDED), name)
        yield Running(port, started)


def _system(name: str, kind: str, settings: str, command: Sequence[str], does: frozenset[str]) -> System:
    return System(name, kind, settings, partial(_start, name, command), does)


SYSTEMS = (
    _system("runserver", "seed", "Django's runserver; writes an access line", RUNSERVER, HELD_WHOLE),
    _system("uwsgi", "seed", "Django under uWSGI --http, 4 processes; writes an access line", UWSGI, HELD_WHOLE),
    _system(
        "pecan-eventlet",
        "seed",
        "stock Pecan, eventlet.wsgi by oslo.service, 2 processes; writes an access line",
        PECAN_EVENTLET,
        HELD_WHOLE,
    ),
    _system("gunicorn-sync", "usual", "Django under gunicorn, 5 sync workers; no access log", SYNC, HELD_WHOLE),
    _system("gunicorn-gthread", "usual", "the same, 5 workers of 4 threads; no access log", GTHREAD, HELD_WHOLE),
    _system("aiohttp", "usual", "aiohttp under gunicorn, 2 workers; no access log", AIOHTTP, PROXY),
    _system(
        "starlette", "usual", "Starlette and httpx under uvicorn, 2 workers; writes an access line", STARLETTE, PROXY
    ),
)
