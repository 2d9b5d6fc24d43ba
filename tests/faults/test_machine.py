"""Faults of the machine: nothing is left of something; the broker refuses clearly or goes on, and recovers by itself."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import pytest

from tests.faults.apart import POSSIBLE, small_folder
from tests.faults.conftest import Staged
from tests.faults.processes import workers_of
from tests.faults.stage import ALL, ONE, path_of


def test_fault_no_descriptors(staged: Staged) -> None:
    """The workers have no file descriptors left, and get some again."""
    stage = staged()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    def take() -> None:
        for pid in workers_of(stage.broker):
            taken = max(int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken + 1, limit[1]))

    def give() -> None:
        for pid in workers_of(stage.broker):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)

    stage.play(take, give, who=ALL, sees=(503,), back_within=2, others_within=5)


@pytest.mark.skipif(not POSSIBLE, reason="a file system of one's own needs root")
@pytest.mark.usefixtures("isolated")
def test_fault_shared_memory_full(staged: Staged, tmp_path: Path) -> None:
    """The file system of the metrics is full, and has room again."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    small_folder(folder, 8192)
    stage, filler = staged(BROKER_METRICS_DIRECTORY=str(folder)), folder / "filler"

    def fill() -> None:
        _fill(filler)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):  # of which there are no metrics yet
            for path in ("x", "tenants", "extensions", "registry"):
                assert stage.broker.ask(method, path_of(ONE).removesuffix("x") + path)[0] == 200

    stage.play(fill, filler.unlink, who=ALL, back_within=0)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
