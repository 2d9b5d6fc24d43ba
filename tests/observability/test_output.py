"""What becomes of lines that cannot be written."""

from __future__ import annotations

import logging
import os
import select
import stat
import time
from collections.abc import Iterator

import pytest

from app.observability import output
from app.observability.logs import Records
from app.observability.output import PATIENCE, Output

LINE = b"x" * 99 + b"\n"


class Pipe:
    """One whose writing end blocks, as whoever starts a broker has it."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        self.shared = os.dup(self.writes)

    def read(self) -> list[bytes]:
        """All that is there."""
        return os.read(self.reads, 1 << 20).splitlines(keepends=True)

    def close(self) -> None:
        for descriptor in (self.reads, self.writes, self.shared):
            os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log was told."""
    lines: list[str] = []
    monkeypatch.setattr(output.LOG, "warning", lambda line, *values: lines.append(line % values))
    return lines


def full(out: Output) -> int:
    """Write until lines are lost; how many were written."""
    written = 0
    while not out._lost:
        out(LINE)
        written += 1
    return written - 1


def test_a_pipe_that_nobody_reads_costs_lines_and_one_wait(pipe: Pipe, told: list[str]) -> None:
    out = Output(pipe.writes)
    out.unblock()
    began = time.monotonic()
    written = full(out)
    for _ in range(1000):
        out(LINE)
    assert PATIENCE <= time.monotonic() - began < PATIENCE + 1
    assert pipe.read() == [LINE] * written
    assert told == []
    out(b"again\n")
    out(b"and again\n")
    assert pipe.read() == [b"again\n", b"and again\n"]
    assert told == ["1001 lines of this process's log were lost, since its output took no more"]


def test_a_reader_that_is_slow_for_a_moment_loses_nothing(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    out, poll = Output(pipe.writes), select.poll

    def slow() -> select.poll:
        pipe.read()  # once it is waited for
        return poll()

    monkeypatch.setattr("select.poll", slow)
    out.unblock()
    for _ in range(2000):
        out(LINE)
    out(b"y" * 100_000)
    assert out._lost == 0


def test_that_lines_were_lost_is_not_lost_itself(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    out, told = Output(pipe.writes), []
    out.unblock()

    def warning(line: str, *values: object) -> None:
        told.append(values)
        out(b"z" * (1 << 20))  # more than there is room for

    monkeypatch.setattr(output.LOG, "warning", warning)
    full(out)
    pipe.read()
    out(LINE)
    pipe.read()
    out(LINE)
    assert told == [(1,), (2,)]


def test_who_shares_the_pipe_writes_to_it_as_before(pipe: Pipe) -> None:
    Output(pipe.writes).unblock()
    assert (os.get_blocking(pipe.writes), os.get_blocking(pipe.shared)) == (False, True)


def test_what_is_no_pipe_stays_as_it_is() -> None:
    with open("/dev/full", "wb") as file:
        out = Output(file.fileno())
        out.unblock()
        assert os.get_blocking(file.fileno())
        out(LINE)
        out(LINE)
        assert out._lost == 2
        assert stat.S_ISCHR(os.fstat(file.fileno()).st_mode)


def test_where_there_is_no_output_nothing_fails() -> None:
    closed = os.dup(0)
    os.close(closed)
    out = Output(closed)
    out.unblock()
    out(LINE)
    assert out._lost == 1


def test_a_record_that_is_none_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[bytes] = []
    handler = Records(lines.append)
    handler.handle(logging.makeLogRecord({"msg": "said %s", "args": ("\ud800",)}))
    assert lines == [b"said \\ud800\n"]
    handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    assert "TypeError" in capsys.readouterr().err
