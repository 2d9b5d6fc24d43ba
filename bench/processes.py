"""Programs that are measured: each in a process group of its own, looked at through /proc, ended without a rest."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

START = 30.0
"""Seconds for a program to serve, and to end before it is killed."""

ROOT = Path(__file__).parent.parent
_CPUCLOCK_SCHED = 2
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_RESET_PEAK = "5"


class NotStartedError(RuntimeError):
    """Why a program does not serve, with the last lines that it wrote."""


class Usage(NamedTuple):
    """CPU nanoseconds by process, since each began."""

    cpu: dict[int, int]

    def since(self, before: Usage) -> float:
        """Seconds of CPU of all that live now; what ended meanwhile is lost."""
        return sum(used - before.cpu.get(pid, 0) for pid, used in self.cpu.items()) / 1e9


class Program:
    """A started program with all that it starts."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    def tree(self) -> list[int]:
        """This process and all below it."""
        found, look = [], [self.pid]
        while look:
            pid = look.pop()
            children = _children(pid)
            if children is not None:
                found.append(pid)
                look += children
        return found

    def usage(self) -> Usage:
        return Usage({pid: used for pid in self.tree() if (used := _cpu(pid)) is not None})

    def forget_peak(self) -> float:
        """From now on `peak` counts anew; returns the MiB that are resident now."""
        for pid in self.tree():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
        return self.peak()

    def peak(self) -> float:
        """The most MiB that were resident, of each process, added up: what they share is counted in each."""
        return sum(_peak(pid) for pid in self.tree())

    def last_lines(self) -> str:
        return "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-12:])

    def end(self) -> None:
        """Ask it to end; what is left once it has, or after a while, is killed."""
        pids = self.tree()
        self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(START)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        deadline = time.monotonic() + START
        while any(map(_lives, pids)) and time.monotonic() < deadline:
            time.sleep(0.01)


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[Program]:
    """A program whose output goes to `log`."""
    with log.open("ab") as out:
        popen = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environ, cwd=cwd, start_new_session=True
        )
    program = Program(popen, log)
    try:
        yield program
    finally:
        program.end()


def wait_until(
    program: Program, ready: Callable[[], bool], what: str, every: float = 0.02, patience: float = START
) -> None:
    """Looks every so many seconds, for `patience` seconds; raises `NotStartedError`."""
    deadline = time.monotonic() + patience
    while not ready():
        if program.ended or time.monotonic() > deadline:
            raise NotStartedError(f"{what} did not start:\n{program.last_lines()}")
        time.sleep(every)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered 200."""
    try:
        return ask(port, "GET", path)[0] == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _children(pid: int) -> list[int] | None:
    """None where there is no such process any more."""
    children: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                children += [int(child) for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return children


def _cpu(pid: int) -> int | None:
    """Of the whole process, threads that ended included: the clock that clock_getcpuclockid(3) gives."""
    try:
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return None


def _peak(pid: int) -> float:
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _lives(pid: int) -> bool:
    """One that has ended and that its parent has not asked for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
