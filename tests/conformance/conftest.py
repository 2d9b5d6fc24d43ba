"""Others' tools against the running broker: `make conformance` sets them up.

What is not installed is skipped, with its name, but never in CI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Process, children
from tests.contract.conftest import _aai, _plugin, aai, both, broker, plugin, scene

__all__ = ["_aai", "_plugin", "aai", "both", "broker", "plugin", "scene"]

HERE = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv-conformance" / "bin"
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def tool(name: str) -> str:
    """The path of a tool; skips the test where it is not installed."""
    own = ENVIRONMENT / name
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        missing = f"{name} is not installed: `make conformance` or .ci/run installs it"
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return found


def run(name: str, *arguments: str, stdin: str = "", seconds: float = 100) -> tuple[int, str]:
    """Run a tool to its end: its exit status, and what it has printed, less its colours."""
    command = [tool(name), *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, env=environ
    )
    return done.returncode, COLOUR.sub("", done.stdout)


def sockets(broker: Process) -> int:
    """The sockets that the broker's processes hold."""
    found = 0
    for pid in (broker.popen.pid, *children(broker.popen.pid)):
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
            except FileNotFoundError:
                continue
    return found


def memory(broker: Process) -> int:
    """MiB that the broker's workers hold."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in children(broker.popen.pid)]
    return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in texts) >> 10
