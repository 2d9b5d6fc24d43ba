"""Real processes for the tests: each says on standard output where it listens, and is ended by its pid."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.server import protocol

COMPILED = not str(protocol.__file__).endswith(".py")
needs_source = pytest.mark.skipif(
    COMPILED, reason="it puts something else in the place of a part of the broker, which what is compiled does not let"
)
"""For tests that look inside; the others hold what is compiled to the same (docker/compile.py)."""

ROOT = Path(__file__).parent.parent
LISTENS = re.compile(r"listens on (\S+) port (\d+)")


class Process:
    """A started program, the port it listens on, and what it has printed so far.

    A thread reads its output all along: a program that prints into a full pipe stands still.
    """

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self.port = 0
        self.lines: list[str] = []
        self._seen = 0
        self._more = threading.Condition()
        self.reads = threading.Event()
        """Whether what it prints is read; only a test that is about that clears it."""
        self.reads.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def of(cls, popen: subprocess.Popen[str], port: int) -> Process:
        """Of a program that was started elsewhere and whose port is known."""
        process = cls(popen)
        process.port = port
        return process

    def _read(self) -> None:
        for line in self.popen.stdout or ():
            with self._more:
                self.lines.append(line)
                self._more.notify_all()
            self.reads.wait()
        with self._more:
            self._more.notify_all()

    def read_until(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """The first new line of output that matches; fails at the end of the output."""
        deadline = time.monotonic() + seconds
        with self._more:
            while True:
                for line in self.lines[self._seen :]:
                    self._seen += 1
                    if match := re.search(pattern, line):
                        return match
                alive = self._reader.is_alive() and time.monotonic() < deadline
                assert alive, f"no line matches {pattern!r}:\n{''.join(self.lines)}"
                self._more.wait(0.5)

    def end(self, signo: int = signal.SIGTERM) -> int:
        """Send the signal, and return the exit status; the rest of the output is in `lines`."""
        if self.popen.poll() is None:
            self.popen.send_signal(signo)
        status = self.popen.wait(timeout=60)
        self._reader.join(timeout=60)
        return status

    def close(self) -> None:
        """After its end."""
        self._reader.join(timeout=60)
        if self.popen.stdout is not None:
            self.popen.stdout.close()

    def log(self) -> list[dict[str, object]]:
        """The JSON lines of the output."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Send bytes, close our side for sending only when the peer has closed, and return all that came."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    pieces = []
    try:
        while piece := sock.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pieces.append(b"<reset>")
    return b"".join(pieces)


def children(pid: int) -> list[int]:
    """The pids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what has no event of its own; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


@contextmanager
def started(
    *command: str,
    env: Mapping[str, str] = {},
    listens: re.Pattern[str] = LISTENS,
    stdin: int = subprocess.DEVNULL,
    by: Sequence[str] = (),
) -> Iterator[Process]:
    """Run a program until the end of the block; it is ready when it has said where it listens. `by` is a command that
    becomes it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BROKER_", "AAI_", "MSB_"))}
    popen = subprocess.Popen(
        [*by, sys.executable, *command],
        cwd=ROOT,
        env={**clean, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **env},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a test may signal its whole process group, as a terminal does
    )
    process = Process(popen)
    try:
        process.port = int(process.read_until(listens.pattern).group(2))
        yield process
    finally:
        process.reads.set()
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        process.close()


FRAMEWORKS = ("django", "pecan")

NO_BREAKER = {"BROKER_UPSTREAM_BREAKER_FAILURES": "0", "BROKER_UPSTREAM_BREAKER_RATE_PERCENT": "0"}
"""For brokers that tests share: none suffers from what another made a plugin do."""


@contextmanager
def a_broker(framework: str = "django", workers: int = 1, by: Sequence[str] = (), **env: str) -> Iterator[Process]:
    """A broker of one's own, for tests that end it or configure it."""
    settings = {
        "WEB_FRAMEWORK": framework,
        "BROKER_SERVER_WORKERS": str(workers),
        "BROKER_SERVER_PORT": "0",
        "BROKER_SERVER_DRAIN_PAUSE": "0",
    }
    with started("-m", "app", "serve", env={**settings, **env}, by=by) as process:
        yield process


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)
