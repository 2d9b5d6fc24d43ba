"""Runs cases in numbers: hypothesis draws them, a judge finds what is wrong, what was wrong is made small.

Batches, each from a seed of its own: what hypothesis remembers of a batch is let go of at its end, and any batch can
be run again alone.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from app.server.protocol import RequestParser
from app.upstream.protocol import ResponseParser
from tests.fuzz import inside, inside_responses
from tests.fuzz.generate import PluginStream, Stream, requests, responses
from tests.fuzz.oracle import read_requests
from tests.fuzz.oracle_responses import read_response
from tests.fuzz.outside import Outside, outside
from tests.fuzz.outside_responses import OutsideResponses, outside_responses

BATCH = 2500
EVERYWHERE = 32
"""One case in so many is split in two at every place; all of them are into single bytes, and as hypothesis says."""

AnyStream = Stream | PluginStream
Judge = Callable[[AnyStream], str | None]


class Finding(NamedTuple):
    """Bytes that are read wrongly, as few as were found to be enough, and what is wrong with that."""

    data: bytes
    wrong: str
    seed: int


@dataclass
class Outcome:
    """What a campaign came to: how many cases ran, how many different ones, and which mutations made them."""

    cases: int = 0
    different: set[int] = field(default_factory=set)
    used: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.cases} cases, {len(self.different)} of them different, {len(self.findings)} findings"


class Level(NamedTuple):
    """A way to run cases: `opened` makes the judge for as long as it is needed."""

    name: str
    responses: bool
    opened: Callable[[Path], AbstractContextManager[Judge]]


def everywhere(data: bytes) -> bool:
    return zlib.crc32(data) % EVERYWHERE == 0


def judge_requests(parser_type: inside.Parser) -> Judge:
    """Of the parser of requests alone."""

    def judge(case: AnyStream) -> str | None:
        return inside.finding(
            parser_type, case.data, read_requests(case.data), case.cuts, everywhere=everywhere(case.data)
        )

    return judge


def judge_responses(parser_type: inside_responses.Parser) -> Judge:
    """Of the parser of responses alone."""

    def judge(case: AnyStream) -> str | None:
        assert isinstance(case, PluginStream)
        strict = read_response(case.data, case.method, ended=case.ended)
        return inside_responses.finding(
            parser_type, case.data, case.method, case.ended, strict, case.cuts, everywhere=everywhere(case.data)
        )

    return judge


def judge_outside(tester: Outside) -> Judge:
    """Of a broker, by what arrives at a plugin; one case in two comes in segments."""

    def judge(case: AnyStream) -> str | None:
        ends = sorted({*case.cuts[-1], 0, len(case.data)})
        segments = [case.data[start:end] for start, end in pairwise(ends)]
        return tester.finding(case.data, segments if case.cuts[0][0] % 2 else [case.data])

    return judge


def judge_outside_responses(tester: OutsideResponses) -> Judge:
    """Of a broker, by what a client gets of a hostile plugin."""

    def judge(case: AnyStream) -> str | None:
        assert isinstance(case, PluginStream)
        return tester.finding(case.data, case.method, case.ended)

    return judge


@contextmanager
def _inside(_: Path) -> Iterator[Judge]:
    yield judge_requests(RequestParser)


@contextmanager
def _inside_responses(_: Path) -> Iterator[Judge]:
    yield judge_responses(ResponseParser)


def _outside(framework: str) -> Callable[[Path], contextmanager[Judge]]:  # type: ignore[valid-type]
    @contextmanager
    def opened(folder: Path) -> Iterator[Judge]:
        with outside(framework, folder) as tester:
            yield judge_outside(tester)

    return opened


def _outside_responses(framework: str) -> Callable[[Path], contextmanager[Judge]]:  # type: ignore[valid-type]
    @contextmanager
    def opened(folder: Path) -> Iterator[Judge]:
        with outside_responses(framework, folder) as tester:
            yield judge_outside_responses(tester)

    return opened


LEVELS = (
    Level("requests, the parser", False, _inside),
    Level("responses, the parser", True, _inside_responses),
    Level("requests, django", False, _outside("django")),
    Level("requests, pecan", False, _outside("pecan")),
    Level("responses, django", True, _outside_responses("django")),
    Level("responses, pecan", True, _outside_responses("pecan")),
)


def run(level_responses: bool, judge: Judge, cases: int, first_seed: int, *, stop: bool = False) -> Iterator[Outcome]:
    """Run so many cases, and tell after each batch; `stop`: at the first batch that found something."""
    outcome = Outcome()
    number = first_seed
    while outcome.cases < cases:
        _run_batch(
            responses() if level_responses else requests(), judge, min(BATCH, cases - outcome.cases), number, outcome
        )
        yield outcome
        if stop and outcome.findings:
            return
        number += 1


def _run_batch(strategy: st.SearchStrategy[AnyStream], judge: Judge, cases: int, number: int, outcome: Outcome) -> None:
    found: list[tuple[AnyStream, str]] = []

    @seed(number)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: AnyStream) -> None:
        outcome.cases += 1
        outcome.different.add(hash(case.data))
        outcome.used.update(case.used)
        if wrong := judge(case):
            found.append((case, wrong))

    with _drawn_alike():
        one()
    by_kind = {wrong[:40]: (case, wrong) for case, wrong in sorted(found, key=lambda one: -len(one[0].data))}
    outcome.findings += [_smallest(judge, case, wrong, number) for case, wrong in by_kind.values()]


@contextmanager
def _drawn_alike() -> Iterator[None]:
    """The same cases for a seed whatever else runs in the process: hypothesis draws some values from the constants that
    stand in the modules which are loaded, and has no setting for that."""
    pool = patch.object(providers, "_get_local_constants", providers.Constants)
    with pool, patch.object(providers, "CONSTANTS_CACHE", providers.LRUCache(1024)):
        yield


def _smallest(judge: Judge, case: AnyStream, wrong: str, number: int) -> Finding:
    """Leave out what is not needed, in ever smaller pieces, as long as something stays wrong."""
    size = len(case.data) // 2
    while size:
        at = 0
        while at < len(case.data):
            smaller = case._replace(data=case.data[:at] + case.data[at + size :], cuts=[[0]])
            if still := judge(smaller):
                case, wrong = smaller, still
            else:
                at += size
        size //= 2
    return Finding(case.data, wrong, number)
