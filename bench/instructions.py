"""`python -m bench.instructions`: the instructions that a worker executes for a request, held against a budget.

Callgrind counts them in the worker of a whole broker, which it runs; what the worker does while nothing is asked of it,
for as long as the requests took, is taken off. Noise does not touch what is counted, so that a change that costs shows
on any machine. It depends on how the interpreter was built: the budget has a row for each build, and one that has none
fails, until `--set` makes what is counted its budget.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.processes import running, wait_until
from bench.site import FORWARDED, VIM_TYPES
from bench.systems.ours import APP, COMMAND, all_serve, environment, port_of

BUDGET = Path(__file__).with_name("instructions.json")
ALLOWED = 1.10
"""Times the budget."""

SERVES_AS = re.compile(r'"pid": (\d+), "message": "worker 0 serves"')
PATIENCE = 300.0
"""Seconds for a broker to start, which callgrind slows down."""

WARM, COUNTED = 300, 1000
"""Requests; the interpreter has specialised its code after some of the first ones."""

PATHS = {"vim_types": VIM_TYPES, "forwarded": FORWARDED}
FRAMEWORKS = ("django", "pecan")
VALGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--trace-children=yes", "-q")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--set", action="store_true", help="make what is counted the budget")
    parser.add_argument("--keep", type=Path, help="a directory for callgrind's files, for callgrind_annotate")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("it needs valgrind: apt-get install valgrind")
    counted = {framework: count(framework, options.keep) for framework in FRAMEWORKS}
    budgets = json.loads(BUDGET.read_text())
    if options.set:
        BUDGET.write_text(json.dumps({**budgets, build(): counted}, indent=2, sort_keys=True) + "\n")
        return
    if build() not in budgets:
        raise SystemExit(f"no budget for Python {build()}: count one by --set on the commit to compare with")
    over = report(counted, budgets[build()])
    if over:
        raise SystemExit(f"more than {ALLOWED} times the budget: {', '.join(over)}; see CONTRIBUTING, 'Speed'")


def build() -> str:
    """The interpreter's version, and whether it was compiled by profile, which counts for a tenth."""
    by_profile = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"{platform.python_version()}{' by profile' if by_profile else ''}"


Counted = dict[str, dict[str, int]]
"""Instructions a request, by framework and work."""


def report(counted: Counted, budget: Counted) -> list[str]:
    """Prints a line for each; returns what is over its budget."""
    over = []
    for framework, works in counted.items():
        for work, instructions in works.items():
            ratio = instructions / budget[framework][work]
            print(f"{framework:8} {work:10} {instructions:9,} instructions a request, {ratio:.3f} of the budget")
            if ratio > ALLOWED:
                over.append(f"{work} under {framework}")
    return over


def count(framework: str, keep: Path | None = None) -> dict[str, int]:
    """Instructions a request of each work, of one worker that serves one connection."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="instructions-")))
        environ = _environment(folder, stack.enter_context(_plugin(folder)), framework)
        dumps = str((keep or folder) / f"{framework}.%p")
        command = (*VALGRIND, f"--callgrind-out-file={dumps}", *COMMAND)
        program = stack.enter_context(running(command, folder / "log", environ, cwd=APP))
        wait_until(program, lambda: all_serve(program, 1), "the broker", patience=PATIENCE)
        pid = int(SERVES_AS.findall(program.log.read_text())[0])
        worker = Counter(pid, dumps.replace("%p", str(pid)))
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(program))))
        return {name: _counted(sock, path, worker) for name, path in PATHS.items()}


def _environment(folder: Path, plugin: int, framework: str) -> dict[str, str]:
    entry = {"provider_plugin": "multicloud-vio", "endpoint": f"http://127.0.0.1:{plugin}"}
    map_file = folder / "provider-plugin.json"
    map_file.write_text(json.dumps({"vmware": {"vim_type": "vmware", "versions": {"4.0": entry}}}))
    slow = {"BROKER_SERVER_WATCHDOG_TIMEOUT": "0", "PYTHONHASHSEED": "0"}  # some fifty times as slow
    return environment(map_file, None, framework, workers=1) | slow


class Counter:
    """Of one process, by callgrind's control program."""

    def __init__(self, pid: int, dumps: str) -> None:
        """`dumps`: the name of callgrind's files, to which it adds a number."""
        self._pid = pid
        self._dumps = dumps
        self._number = 0

    def count(self, work: Callable[[], object]) -> int:
        """The instructions that the process executes meanwhile."""
        self._control("--instr=on")
        work()
        self._control("--instr=off")
        self._control("--dump")  # which begins with nothing again
        self._number += 1
        dump = Path(f"{self._dumps}.{self._number}").read_text()
        found = re.search(r"^totals: (\d+)$", dump, flags=re.MULTILINE)
        if found is None:
            raise RuntimeError(f"callgrind gives no totals in {self._dumps}.{self._number}")
        return int(found[1])

    def _control(self, command: str) -> None:
        subprocess.run(["callgrind_control", command, str(self._pid)], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)  # fmt: skip


def _counted(sock: socket.socket, path: str, worker: Counter) -> int:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()
    _ask(sock, request, WARM)
    began = time.monotonic()
    busy = worker.count(lambda: _ask(sock, request, COUNTED))
    took = time.monotonic() - began
    return round((busy - worker.count(lambda: time.sleep(took))) / COUNTED)


def _ask(sock: socket.socket, request: bytes, times: int) -> None:
    """One request after the other on one connection; each answer has to be a 200."""
    answers = sock.makefile("rb")
    for _ in range(times):
        sock.sendall(request)
        status = answers.readline()
        if not status.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the broker answered {status!r}")
        length = 0
        while (line := answers.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        answers.read(length)


@contextmanager
def _plugin(folder: Path) -> Iterator[int]:
    """The port of one that answers all with a few bytes."""
    with running((sys.executable, "-m", "bench.source"), folder / "plugin.log") as program:
        wait_until(program, lambda: "port" in program.log.read_text(), "the plugin")
        yield int(program.log.read_text().split()[-1])


if __name__ == "__main__":
    main()
