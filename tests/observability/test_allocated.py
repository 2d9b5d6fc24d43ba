"""The metrics' files on a file system that gets full: nobody dies of it, and nothing is lost in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.observability import metrics
from tests.faults.apart import POSSIBLE, apart, small_folder
from tests.observability.test_metrics import WORKER, run, scraped

FILL = """
import os
filler = os.open(os.environ["PROMETHEUS_MULTIPROC_DIR"] + "/filler", os.O_CREAT | os.O_WRONLY)
try:
    while os.write(filler, bytes(4096)):
        pass
except OSError:
    pass
"""
COUNT = """
for number in range(600):
    for _ in range(2):
        metrics.answered("GET", f"/route/{number}", 200, 0.003)
"""
FREE = "os.unlink(os.environ['PROMETHEUS_MULTIPROC_DIR'] + '/filler'); os.close(filler)"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 4 MiB for the metrics, in namespaces of this test's own."""
    if not POSSIBLE:
        pytest.skip("a file system of one's own needs root")
    monkeypatch.setenv(metrics.DIRECTORY, "")
    with apart():
        small_folder(tmp_path, 4096)
        metrics.prepare(tmp_path / "metrics")
        yield tmp_path / "metrics"


def counted() -> float:
    return sum(value for name, value in scraped().items() if name.startswith("multicloud_http_requests_total"))


def test_a_worker_outlives_a_full_file_system_and_counts_on(small: Path) -> None:
    run(WORKER, "0", f"{FILL}\n{COUNT}\n{FREE}")
    assert 0 < counted() < 1200


def test_what_was_counted_meanwhile_is_there_with_the_first_change_after_it(small: Path) -> None:
    run(WORKER, "0", f"{FILL}\n{COUNT}\n{FREE}\n{COUNT}")
    assert counted() == 2400


def test_a_successor_goes_on_with_the_files_while_there_is_no_room(small: Path) -> None:
    run(WORKER, "0", COUNT)
    run(WORKER, "0", f"{FILL}\n{COUNT}")
    assert counted() == 2400


def test_without_room_for_a_file_there_is_none(small: Path) -> None:
    script = f"{FILL}\ntry:\n{WORKER.replace(chr(10), chr(10) + '    ')}\nexcept OSError as error:\n    print(error.strerror)"
    done = subprocess.run([sys.executable, "-c", script, "0", "pass"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{os.strerror(28)}\n"
    assert not list(small.glob("*.db"))
