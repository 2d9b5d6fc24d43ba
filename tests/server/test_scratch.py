"""Directories of killed brokers are removed by whoever starts next, those of living ones never."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.server.scratch import scratch_directory
from tests.conftest import until

HOLDER = """
import os, sys
from pathlib import Path
from app.server.scratch import scratch_directory
with scratch_directory(Path(sys.argv[1]), "127.0.0.1:1", "metrics") as directory:
    (directory / "counter_0.db").write_text("x")
    child = os.fork()  # a worker, which outlives its parent here
    if child:
        print(child, directory, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child, directory = process.stdout.readline().split()
        yield process, int(child), Path(directory)
        process.kill()


def others(parent: Path) -> list[Path]:
    """Those that are there, beside the one of a broker that starts and ends."""
    with scratch_directory(parent, "127.0.0.1:2", "metrics") as own:
        return sorted(one for one in parent.iterdir() if one != own)


def test_it_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch_directory(tmp_path / "new", "::1:9001", "metrics") as directory:
        (directory / "file").write_text("x")
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "new").iterdir())


def test_one_that_is_held_by_any_process_stays_and_one_that_is_held_by_none_goes(
    tmp_path: Path, holder: tuple[subprocess.Popen[str], int, Path]
) -> None:
    process, child, directory = holder
    assert others(tmp_path) == [directory]
    process.kill()
    process.wait()
    assert others(tmp_path) == [directory]
    os.kill(child, signal.SIGKILL)
    until(lambda: others(tmp_path) == [], 10)


@pytest.mark.parametrize("name", ["data", "x-abcdefgh.demo", "x.metrics", "x-abcdefgh.metrics.old"])
def test_what_has_another_name_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert others(tmp_path) == [tmp_path / name]


def test_neither_a_link_nor_what_lies_deeper_is_removed(tmp_path: Path) -> None:
    parent, elsewhere = tmp_path / "parent", tmp_path / "elsewhere"
    for one in (parent, elsewhere, parent / "x-abcdefgh.metrics", parent / "x-abcdefgh.metrics" / "deep"):
        one.mkdir()
    (elsewhere / "file").write_text("x")
    (parent / "y-abcdefgh.metrics").symlink_to(elsewhere)
    assert len(others(parent)) == 2
    assert (elsewhere / "file").exists()


def test_the_parent_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    (tmp_path / "link").symlink_to("parent")
    with scratch_directory(tmp_path / "link", "::1:9001", "metrics") as directory:
        assert directory.parent == tmp_path / "parent"
