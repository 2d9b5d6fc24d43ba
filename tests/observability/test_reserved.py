"""Metrics on a file system that is full: a small one, mounted for it; the library alone dies of SIGBUS there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.observability import metrics

COUNTER = """
import os, sys
from pathlib import Path
from app.observability import metrics
metrics.prepare(Path(sys.argv[1]), 1)
if sys.argv[2] == "ours":
    metrics.use_slot(0)
from prometheus_client import Counter, CollectorRegistry
counter = Counter("c", "text", ("label",), registry=CollectorRegistry())
def count(first, last):
    for number in range(first, last):
        counter.labels("x" * 100 + str(number)).inc()
count(0, 10)
filler = Path(sys.argv[1], "fill")
with filler.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        print("full", flush=True)
count(0, 3000)
filler.unlink()
from app.observability import reserved
reserved.RETRY = 0.0
for one in (counter.labels("x" * 100 + "2999"), counter.labels("x" * 100 + "5")):
    one._value._file._retry_at = min(one._value._file._retry_at, 1.0)
    one.inc()
sys.stdout.write(metrics.merged().decode())
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(tmp_path)], capture_output=True)
    if made.returncode:
        pytest.skip("a file system can be mounted by root only")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def count(directory: Path, whose: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COUNTER, str(directory), whose]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_library_alone_ends_the_process(small: Path) -> None:
    """What would be needed no longer if this failed."""
    done = count(small, "the library's")
    assert done.stdout.startswith("full")
    assert done.returncode == -7  # SIGBUS


def test_what_finds_no_room_is_held_back_and_nothing_is_lost_when_there_is_again(small: Path) -> None:
    done = count(small, "ours")
    assert done.returncode == 0, done.stderr
    assert f'c_total{{label="{"x" * 100}5"}} 3.0' in done.stdout
    assert f'c_total{{label="{"x" * 100}2999"}} 2.0' in done.stdout
    assert done.stderr.count("metrics.directory has no room (No space left on device)") == 1


def test_a_directory_without_room_for_the_workers_is_an_error(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics.DIRECTORY, "")
    for name in ("one", "other"):
        (small / name).mkdir()
    metrics.prepare(small / "one", 2)
    with pytest.raises(OSError, match="No space left"):
        metrics.prepare(small / "other", 3)
    assert os.listdir(small / "other") == []


def test_an_entry_is_as_long_as_the_library_makes_it(tmp_path: Path) -> None:
    from app.observability.reserved import FIRST, ReservedDict, Value, entry_size

    made = ReservedDict(str(tmp_path / "counter_0.db"))
    assert os.stat(tmp_path / "counter_0.db").st_size == FIRST
    for key in ("", "x", "seven77", "eight888", "ü" * 9, "y" * 70000):
        before = made._used
        Value(made, key).inc(1.5)
        assert made._used - before == entry_size(key)
        assert made.read_value(key) == (1.5, 0.0)
    assert os.stat(tmp_path / "counter_0.db").st_blocks * 512 == os.stat(tmp_path / "counter_0.db").st_size
    made.close()
