"""What the bench ran on: told beside every figure."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.site import PEERS_BIN, executable

TOOLS = {"nginx": "-v", "haproxy": "-v", "ab": "-V", "wrk": "-v"}
PACKAGES = ("django", "pecan", "eventlet", "httptools", "oslo.service")
PEERS = "Django pecan eventlet uWSGI gunicorn aiohttp starlette httpx uvicorn uvloop"
VERSION = re.compile(r"(\d+\.\d+[\w.+-]*)")


def machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "ours": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "peers": _peers(),
        "tools": ", ".join(f"{name} {_version([executable(name), option])}" for name, option in TOOLS.items()),
    }


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    found = VERSION.search(done.stdout + done.stderr)
    return found[1] if found else "of an unknown version"


def _peers() -> str:
    """Of the packages in the peers' own environment."""
    python = PEERS_BIN / "python"
    if not python.exists():
        return "not installed"
    code = "import sys; from importlib.metadata import version\nfor one in sys.argv[1:]: print(one, version(one))"
    done = subprocess.run([python, "-c", code, *PEERS.split()], capture_output=True, text=True, timeout=30, check=False)
    return ", ".join(done.stdout.splitlines())
