"""What a measured program costs, and that nothing of it is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.processes import NotStartedError, Program, _lives, running, wait_until

PARENT = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
print("begun", flush=True)
child.wait()
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
BUSY = """
import threading, time
def work():
    end = time.process_time() + 0.2
    while time.process_time() < end: pass
thread = threading.Thread(target=work); thread.start(); thread.join()
held = bytearray(64 << 20); del held
print('idle', flush=True); time.sleep(600)
"""


def with_child(child: str) -> list[str]:
    return [sys.executable, "-c", PARENT.format(child=child)]


def until_says(program: Program, word: str) -> None:
    wait_until(program, lambda: word in program.log.read_text(), word)


def test_children_belong_to_a_program(tmp_path: Path) -> None:
    with running(with_child(BUSY), tmp_path / "log") as program:
        before = program.usage()
        until_says(program, "idle")
        assert len(program.tree()) == 2
        assert program.usage().since(before) >= 0.2, "a thread that has ended counts"


def test_the_peak_is_told_from_what_is_resident_now(tmp_path: Path) -> None:
    with running(with_child(BUSY), tmp_path / "log") as program:
        until_says(program, "idle")
        peak = program.peak()
        assert peak > 64
        assert program.forget_peak() < peak - 60
        assert program.peak() < peak - 60


def test_nothing_is_left_of_a_program_that_does_not_want_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.processes.START", 0.5)
    with running(with_child(STUBBORN), tmp_path / "log") as program:
        while "deaf" not in program.log.read_text():
            assert not program.ended
        pids = program.tree()
        assert len(pids) == 2
    assert not [pid for pid in pids if _lives(pid)]


def test_a_program_that_ends_has_not_started(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    with (
        running(command, tmp_path / "log") as program,
        pytest.raises(NotStartedError, match="it did not start:\nthe port is taken"),
    ):
        wait_until(program, lambda: False, "it")
