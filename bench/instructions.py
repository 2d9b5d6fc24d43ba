"""`python -m bench.instructions`: the instructions that a worker executes for a request, held against a budget.

Callgrind counts them in the worker of a whole broker, which it runs; noise does not touch them, so that two runs differ
by a hundredth of a percent or so, and a change that costs shows on any machine. They depend on the interpreter and the
processor's features: the budget is of one Python, and another is counted without being judged.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.servers import FORWARDED, VIM_TYPES, broker, ended, environment

BUDGET = Path(__file__).with_name("instructions.json")
ALLOWED = 1.10
"""Times the budget."""

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
    python = "{}.{}".format(*sys.version_info)
    budgets = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    over = report(counted, budgets.get(python, {}))
    if options.set:
        BUDGET.write_text(json.dumps({**budgets, python: counted}, indent=2, sort_keys=True) + "\n")
    elif over:
        raise SystemExit(f"more than {ALLOWED} times the budget: {', '.join(over)}; see CONTRIBUTING, 'Speed'")


def report(counted: dict[str, dict[str, int]], budget: dict[str, dict[str, int]]) -> list[str]:
    """Prints a line for each; returns what is over its budget."""
    over = []
    for framework, works in counted.items():
        for work, instructions in works.items():
            allowed = budget.get(framework, {}).get(work)
            ratio = f"{instructions / allowed:.3f} of the budget" if allowed else "no budget for this Python"
            print(f"{framework:8} {work:10} {instructions:9,} instructions a request, {ratio}")
            if allowed and instructions > allowed * ALLOWED:
                over.append(f"{work} under {framework}")
    return over


def count(framework: str, keep: Path | None = None) -> dict[str, int]:
    """Instructions a request of each work, of one worker that serves one connection."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="instructions-")))
        upstream = stack.enter_context(_plugin())
        environ = environment(folder, upstream, 1) | {"BROKER_SERVER_WATCHDOG_TIMEOUT": "0", "PYTHONHASHSEED": "0"}
        out = (keep or folder) / f"{framework}.%p"
        under = (*VALGRIND, f"--callgrind-out-file={out}")
        served = stack.enter_context(broker(folder, framework, environ, under, patience=300))
        (worker,) = served.pids
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        dumps = (Path(str(out).replace("%p", f"{worker}.{number}")) for number in range(1, 1 + len(PATHS)))
        return {
            name: _counted(sock, path, worker, dump) for (name, path), dump in zip(PATHS.items(), dumps, strict=True)
        }


def _counted(sock: socket.socket, path: str, worker: int, dump: Path) -> int:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()
    _ask(sock, request, WARM)
    _control("--instr=on", worker)
    _ask(sock, request, COUNTED)
    _control("--instr=off", worker)
    _control("--dump", worker)  # and begin with nothing again
    found = re.search(r"^totals: (\d+)$", dump.read_text(), flags=re.MULTILINE)
    if found is None:
        raise RuntimeError(f"callgrind gives no totals in {dump}")
    return round(int(found[1]) / COUNTED)


def _control(command: str, pid: int) -> None:
    subprocess.run(["callgrind_control", command, str(pid)], stdout=subprocess.DEVNULL, check=True)


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
def _plugin() -> Iterator[int]:
    command = [sys.executable, "-m", "bench.source"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[-1])


if __name__ == "__main__":
    main()
