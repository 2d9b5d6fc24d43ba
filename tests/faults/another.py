"""A user of a row's own: its limits of processes count for it, as root's do not (setrlimit(2), RLIMIT_NPROC)."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterable

USER = 54321
"""Nobody else has it, or so we hope: all of its processes count together."""

BY = (
    "setpriv",
    f"--reuid={USER}",
    "--clear-groups",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
)
"""A command that becomes another one, as this user, who may read and write what we may."""


def possible() -> bool:
    tools = os.geteuid() == 0 and shutil.which(BY[0]) and shutil.which("prlimit")
    return bool(tools) and not subprocess.run([*BY, "true"], capture_output=True, check=False).returncode


def bound(pids: Iterable[int], processes: int = resource.getrlimit(resource.RLIMIT_NPROC)[0]) -> None:
    """From now on each of these processes of the user may start another one, or a thread, while it has fewer in all;
    as many as we may have ourselves, unless it is said how many."""
    for pid in pids:
        most = "unlimited" if processes == resource.RLIM_INFINITY else processes
        subprocess.run([*BY, "prlimit", f"--pid={pid}", f"--nproc={most}:"], check=True)
