"""The order of runs, and what becomes of those that fail; the systems are programs that sleep."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.clients.said import GaveUpError, Said
from bench.measure import Measured, measure
from bench.plot import draw
from bench.processes import Program, running
from bench.results import Results
from bench.sink import serve
from bench.site import POST_BODY, TENANTS
from bench.systems import Running
from bench.work import KEPT, Work


class Fake(Work):
    """Work of which the client says what it likes: those at port 3 give up."""

    def ask(self, port: int, folder: Path) -> Said:
        if port == 3:
            raise GaveUpError("it timed out")
        return Said(100, 0, 0.5, 1.0, 2.0)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with running([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log") as program:
        yield program


def fake(needs: str = "forward", rounds: int = 1) -> Fake:
    return Fake("get-c100", "a label", needs, "/", KEPT, 1, 0, 1, rounds=rounds)


def systems(program: Program) -> dict[str, Measured]:
    does = (frozenset({"vim_types", "forward"}), frozenset({"vim_types"}), frozenset({"forward"}))
    return {name: Measured(Running(port, program), does[port - 1]) for port, name in enumerate(("a", "b", "c"), 1)}


def asked(
    program: Program, tmp_path: Path, work: Work, rounds: int, in_time: bool = True
) -> list[tuple[int, str, str]]:
    runs = list(measure([work], systems(program), rounds, tmp_path, lambda _: None, lambda: in_time))
    return [(run.round, run.system, run.gave_up) for run in runs]


def test_each_round_begins_with_another_and_asks_those_that_do_it(program: Program, tmp_path: Path) -> None:
    why = "it timed out"
    assert asked(program, tmp_path, fake(), 3) == [
        (0, "a", ""), (0, "c", why), (1, "c", why), (1, "a", ""), (2, "a", ""), (2, "c", why),
    ]  # fmt: skip
    assert asked(program, tmp_path, fake("vim_types"), 1) == [(0, "a", ""), (0, "b", "")]


def test_work_may_have_more_rounds_or_a_single_one(program: Program, tmp_path: Path) -> None:
    assert len(asked(program, tmp_path, fake(rounds=3), 2)) == 2 * 3 * 2
    assert len(asked(program, tmp_path, fake(rounds=0), 5)) == 2


def test_only_first_rounds_are_done_when_time_is_up(program: Program, tmp_path: Path) -> None:
    assert [number for number, *_ in asked(program, tmp_path, fake(), 3, in_time=False)] == [0, 0]


def test_all_work_is_done_before_any_is_done_again(program: Program, tmp_path: Path) -> None:
    works = [replace(fake("vim_types"), name=name, rounds=rounds) for name, rounds in (("x", 2), ("y", 0), ("z", 1))]
    one = {"a": systems(program)["a"]}
    runs = list(measure(works, one, 2, tmp_path, lambda _: None, lambda: True))
    order = [("x", 0), ("x", 1), ("y", 0), ("z", 0), ("x", 2), ("x", 3), ("z", 1)]
    assert [(run.work, run.round) for run in runs] == order


def test_a_picture_is_drawn_of_what_there_is(program: Program, tmp_path: Path) -> None:
    runs = list(measure([fake()], systems(program), 2, tmp_path, lambda _: None, lambda: True))
    named = [{"name": name, "kind": "ours", "settings": "", "error": ""} for name in "abc"]
    machine = {"CPU": "a CPU", "cores": "2", "Python": "3.11"}
    works = [{"name": "get-c100", "label": "a label", "mib": "0.0", "count": "0"}]
    results = Results(machine, {"rounds": "2"}, named, works, runs)
    draw(results, tmp_path / "picture")
    svg, png = (tmp_path / f"picture.{ending}" for ending in ("svg", "png"))
    assert svg.read_text().startswith("<?xml")
    assert png.read_bytes().startswith(b"\x89PNG")
    before = svg.read_bytes()
    draw(results, tmp_path / "picture")
    assert svg.read_bytes() == before, "the same figures make the same file"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 10", b"0123456789"),
        (b"Transfer-Encoding: chunked", b"6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"),
    ],
    ids=["length", "chunks"],
)
def test_the_sink_answers_once_it_has_all(head: bytes, body: bytes) -> None:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    ours.settimeout(10)
    for _ in range(2):  # it keeps the connection
        ours.sendall(b"PUT / HTTP/1.1\r\n" + head + b"\r\n\r\n" + body[:-1])
        ours.settimeout(0.1)
        with pytest.raises(TimeoutError):
            ours.recv(1)
        ours.settimeout(10)
        ours.sendall(body[-1:])
        assert ours.recv(4096).endswith(b'\r\n\r\n{"bytes": 10}')
    ours.close()
    thread.join(10)


def test_bodies_are_as_large_as_they_are_said_to_be() -> None:
    assert len(TENANTS) == len(POST_BODY) == 1024
