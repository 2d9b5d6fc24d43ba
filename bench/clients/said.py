"""What a client says of its run, and why one says nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Said(NamedTuple):
    """Requests that were answered, those of them and others that failed, the seconds that all took, and the
    milliseconds within which half and 99 of 100 were answered."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class GaveUpError(RuntimeError):
    """Why a client ended without a result."""


def output_of(command: Sequence[str], seconds: float, environ: Mapping[str, str] | None = None) -> str:
    """What a command writes; raises `GaveUpError` when it fails or takes longer than that."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environ, check=False)
    except subprocess.TimeoutExpired:
        raise GaveUpError(f"{command[0]} took more than {seconds:g} s") from None
    if done.returncode:
        raise GaveUpError(_reason(done.stderr or done.stdout) or f"{command[0]} exited {done.returncode}")
    return done.stdout


def _reason(text: str) -> str:
    """The line that says why."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
