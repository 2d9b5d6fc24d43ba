"""No bytes are read as other messages than a strict peer reads: 20,000 cases, the same ones in every run.

`make fuzz` runs a million. The share that goes through a broker is in test_fuzz_outside.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT, needs_source
from tests.fuzz import inside, inside_responses
from tests.fuzz.alternatives import ALTERNATIVES
from tests.fuzz.campaign import LEVELS, AnyStream, Outcome, run
from tests.fuzz.generate import MOVES, SCRATCHES, PluginStream, Stream
from tests.fuzz.oracle import read_requests
from tests.fuzz.oracle_responses import read_response
from tests.fuzz.weak import WEAK, WEAK_RESPONSES, DependsOnSegments

INSIDE = {"requests, the parser": 9000, "responses, the parser": 5000}
SEED = 20260801
RESPONSES_ONLY = {"status", "reason"}


def campaign(name: str, cases: int, folder: Path) -> Outcome:
    """Run a level; what it found is in the failure's text."""
    level = next(level for level in LEVELS if level.name == name)
    with level.opened(folder) as judge:
        *_, outcome = run(level.responses, judge, cases, SEED)
    print(f"{name}: {outcome}, seed {SEED}")
    assert outcome.findings == []
    assert outcome.cases == cases
    assert len(outcome.different) > cases * 0.7
    return outcome


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", INSIDE)
def test_the_parser_reads_what_a_strict_peer_reads(name: str, tmp_path: Path) -> None:
    outcome = campaign(name, INSIDE[name], tmp_path)
    if name.startswith("requests"):
        missing = {(kind, one) for kind in set(ALTERNATIVES) - RESPONSES_ONLY for one in ALTERNATIVES[kind]} - set(
            outcome.used
        )
        assert missing == set(), "mutations that never occurred"
    kinds = Counter(kind for kind, _ in outcome.used.elements())
    expected = {
        "move",
        "bytes",
        "noise",
        "line",
        "name",
        "colon",
        "pad",
        "size",
        "extension",
        "trailer",
        "length",
        "coding",
    }
    assert min(kinds[kind] for kind in expected) > 50
    assert {how for kind, how in outcome.used if kind == "move"} == set(MOVES)
    assert {how for kind, how in outcome.used if kind == "bytes"} == set(SCRATCHES) - {b"none"}


ALIKE = """
import hashlib, sys
import tests.fuzz.campaign as campaign
if sys.argv[1] == "more":
    import app.assembly, app.demo, bench.__main__, tests.fuzz.cases
digest = hashlib.sha256()
list(campaign.run(False, lambda case: digest.update(case.data), 500, 1))
print(digest.hexdigest())
"""


def test_a_seed_gives_the_same_cases_whatever_else_is_loaded() -> None:
    def drawn(what: str) -> str:
        command = [sys.executable, "-W", "ignore", "-c", ALIKE, what]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert drawn("less") == drawn("more")


def cases(responses: bool, count: int) -> list[AnyStream]:
    """The first cases of the campaign: those that the parser reads in `make test`."""
    drawn: list[AnyStream] = []

    def keep(case: AnyStream) -> None:
        drawn.append(case)

    *_, outcome = run(responses, keep, count, SEED)
    assert outcome.cases == len(drawn) == count
    return drawn


@pytest.fixture(scope="module")
def requests() -> list[Stream]:
    return [case for case in cases(False, INSIDE["requests, the parser"]) if isinstance(case, Stream)]


@pytest.fixture(scope="module")
def responses() -> list[PluginStream]:
    return [case for case in cases(True, INSIDE["responses, the parser"]) if isinstance(case, PluginStream)]


@needs_source
@pytest.mark.parametrize("name", WEAK)
def test_a_weakened_parser_of_requests_is_caught(requests: list[Stream], name: str) -> None:
    assert any(inside.disagreement(inside.read(WEAK[name], [case.data]), read_requests(case.data)) for case in requests)


@needs_source
def test_a_parser_that_depends_on_segments_is_caught(requests: list[Stream]) -> None:
    assert any(inside.finding(DependsOnSegments, case.data, read_requests(case.data), case.cuts) for case in requests)


@needs_source
@pytest.mark.parametrize("name", WEAK_RESPONSES)
def test_a_weakened_parser_of_responses_is_caught(responses: list[PluginStream], name: str) -> None:
    def wrong(case: PluginStream) -> str | None:
        strict = read_response(case.data, case.method, ended=case.ended)
        found, _ = inside_responses.read(WEAK_RESPONSES[name], [case.data], case.method, ended=case.ended)
        return inside_responses.disagreement(found, strict)

    assert any(wrong(case) for case in responses)
