"""A WSGI application on the real server, for tests of the server alone.

`python tests/server/echo.py WORKERS [LIMITS [TLS]]`: limits and TLS's files (certificate, key) as JSON; `buffer` there is
the size in bytes of each connection's send buffer.
"""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import re
import socket
import sys
import time
import warnings
from collections.abc import Iterable

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

from app.net import tls  # noqa: E402
from app.net.loop import Loop, Waiter  # noqa: E402
from app.server.connection import Connection  # noqa: E402
from app.server.launcher import Launcher  # noqa: E402
from app.server.limits import Limits  # noqa: E402
from app.server.listening import open_listener  # noqa: E402
from app.server.places import Supervision  # noqa: E402
from app.server.slots import ACCEPTED, HELD, Slots  # noqa: E402
from app.server.worker import Served, Settings, Worker  # noqa: E402

workers = int(sys.argv[1])
limits = Limits(**{"drain_pause": 0, **json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")})
supervision = Supervision(**json.loads(os.environ.get("SUPERVISION", "{}")))
slots = Slots(workers, 1 if supervision.memory_max else 0)
loops: list[Loop] = []


def application(environ, start_response) -> Iterable[bytes]:  # noqa: C901  one case a path
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"]
    if path == "/echo":
        start_response("200 OK", [("X-Method", environ["REQUEST_METHOD"])])
        return iter(body.piece, b"")
    if path == "/whole":
        start_response("200 OK", [])
        return [body.read()]
    if path == "/unread":
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    if path == "/wait":
        start_response("200 OK", [])
        return waiting()
    if path == "/waiting":
        start_response("200 OK", [])
        return [str(len(waiters)).encode()]
    if path == "/head-first":
        start_response("200 OK", [])
        return head_first()
    if path == "/pid":
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]
    if path == "/slots":
        start_response("200 OK", [])
        rows = [[slots.get(slot, HELD), slots.get(slot, ACCEPTED)] for slot in range(workers)]
        return [json.dumps(rows).encode()]
    if path == "/environ":
        start_response("200 OK", [("Content-Type", "application/json")])
        plain = {key: value for key, value in environ.items() if isinstance(value, str)}
        return [json.dumps(plain).encode()]
    if path == "/stream":
        start_response("200 OK", [])
        return (b"%d\n" % number for number in range(1000))
    if path == "/die":
        start_response("200 OK", [])
        return dying()
    if path == "/short":
        start_response("200 OK", [("Content-Length", "100")])
        return iter([b"too little", b"!"])
    if path == "/204":
        start_response("204 No Content", [("Content-Length", "4")])
        return [b"body"]
    if path == "/304":
        start_response("304 Not Modified", [("ETag", '"x"')])
        return [b"body"]
    if path == "/injected":
        start_response("200 OK", [("X", "a\r\nSet-Cookie: b")])
        return [b"body"]
    if path == "/starve":
        Connection._next_bytes = starved
        start_response("200 OK", [])
        return [b""]
    if path == "/raise":
        raise RuntimeError("as asked")
    if path == "/big":
        start_response("200 OK", [])
        return (b"x" * 65536 for _ in range(1024))
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path in TROUBLE:
        TROUBLE[path]()
    return [b"hello"]


def spin() -> None:
    while True:
        pass


def run_away() -> None:
    """A regular expression that takes the age of the universe, in C."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def grow() -> None:
    """By 200 MiB that are kept."""
    kept.append(b"x" * (200 << 20))


def orphan() -> None:
    """A process that outlives its parent for a moment, in a group of its own."""
    between = os.fork()
    if not between:
        os.setsid()
        if not os.fork():
            time.sleep(0.2)
        os._exit(0)
    os.waitpid(between, 0)


TROUBLE = {"/spin": spin, "/run-away": run_away, "/grow": grow, "/orphan": orphan, "/exit": lambda: os._exit(3),
           "/nap": lambda: time.sleep(0.01)}  # fmt: skip
kept: list[bytes] = []


def fail_to_fork() -> None:
    """As the kernel does where there are too many processes; for the first forks of this process."""
    left, fork = int(os.environ.get("FORKS_FAIL", "0")), os.fork

    def failing() -> int:
        nonlocal left
        left -= 1
        if left >= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    os.fork = failing


waiters: list[Waiter] = []


def starved(_: Connection) -> bytes:
    raise MemoryError


def waiting() -> Iterable[bytes]:
    """For ever, or until the client leaves."""
    waiter = Waiter(loops[0])
    waiters.append(waiter)
    print("waits", flush=True)
    try:
        waiter.wait()
        yield b"never"
    finally:
        waiters.remove(waiter)
        print("waits no longer", flush=True)


def head_first() -> Iterable[bytes]:
    yield b""
    Waiter(loops[0]).wait()
    yield b"never"


def dying() -> Iterable[bytes]:
    yield b"some"
    raise RuntimeError("as asked")


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stdout)
    fail_to_fork()
    if "REAPS" in os.environ:
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: as a container's first process
    listener = open_listener("127.0.0.1", 0, 4096)
    settings = Settings(limits)
    if len(sys.argv) > 3:
        files = json.loads(sys.argv[3])
        secured = tls.server(files["certificate"], files["key"], None)
        settings = Settings(limits, lambda: secured.context)
        if "buffer" in files:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, files["buffer"])

    def slow():
        time.sleep(float(os.environ.get("RELOAD_TAKES", "0")))

    def build(loop, slot):
        loops.append(loop)
        if os.environ.get("START") == "hangs":
            time.sleep(60)
        if os.environ.get("START") == "fails":
            raise RuntimeError("as asked")

        def refused(error, request_id, peer, head):
            logging.getLogger("refused").info("%s %s", error.status, error.message)

        def reload():
            logging.getLogger("echo").info("%d reloads", os.getpid())  # in one write
            if "fails" in os.environ.get("RELOAD", ""):
                raise RuntimeError("as asked")
            slow()

        return Served(application, frozenset(), refused, lambda _: None, reload=reload)

    launcher = Launcher(slots, listener, supervision, lambda slot: None)
    launcher.reload = slow
    launcher.launch([Worker(listener, slots, slot, build, settings) for slot in slots.rows])
    print("listens on {} port {}".format(*listener.getsockname()), flush=True)
    launcher.wait()
