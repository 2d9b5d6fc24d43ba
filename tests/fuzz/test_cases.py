"""Every finding, on both levels: as the parser reads it in any segments, and as it arrives through a broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.server.protocol import RequestParser
from app.upstream.protocol import ResponseParser
from tests.conftest import FRAMEWORKS
from tests.fuzz import inside, inside_responses
from tests.fuzz.cases import REQUESTS, RESPONSES, Answered
from tests.fuzz.oracle import Reading, read_requests
from tests.fuzz.oracle_responses import read_response
from tests.fuzz.outside import Outside, outside
from tests.fuzz.outside_responses import OutsideResponses, outside_responses


def expected(name: str) -> Reading:
    """As the oracle reads it, which has to be as the table says; but for what the broker refuses by its own choice."""
    case = REQUESTS[name]
    reading = read_requests(case.data)
    refusable = reading.excuses or any(message.excuses for message in reading.messages)
    if not refusable:
        assert len(reading.messages) == case.requests
        assert (reading.end == "refused") == bool(case.refused)
        assert not case.refused or case.refused in reading.statuses
    return reading


@pytest.mark.parametrize("name", REQUESTS)
def test_a_parser_of_requests(name: str) -> None:
    case, strict = REQUESTS[name], expected(name)
    ours = inside.read(RequestParser, [case.data])
    assert len(ours.messages) == case.requests
    assert ours.statuses == ({case.refused} if case.refused else frozenset())
    everywhere = len(case.data) < 2000
    assert (
        inside.finding(RequestParser, case.data, strict, [range(0, len(case.data), 7)], everywhere=everywhere) is None
    )


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("ended", [False, True], ids=["open", "closed"])
def test_a_parser_of_responses(name: str, ended: bool) -> None:
    case = RESPONSES[name]
    strict = read_response(case.data, case.method, ended=ended)
    ours, parser = inside_responses.read(ResponseParser, [case.data], case.method, ended=ended)
    assert strict.end == ("refused" if not case.status else "whole" if case.whole else "open")
    if strict.answer is not None and ours.answer is not None:
        for answer in (strict.answer, ours.answer):
            assert (answer.status, answer.body) == (case.status, case.body)
        assert parser.reusable == case.reusable
    assert inside_responses.finding(ResponseParser, case.data, case.method, ended, strict) is None


@pytest.fixture(scope="module", params=FRAMEWORKS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(request.param, tmp_path_factory.mktemp("map")) as tester:
        yield tester


@pytest.fixture(scope="module", params=FRAMEWORKS)
def plugin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideResponses]:
    with outside_responses(request.param, tmp_path_factory.mktemp("map")) as tester:
        yield tester


@pytest.mark.parametrize("name", REQUESTS)
def test_what_arrives_at_a_plugin(client: Outside, name: str) -> None:
    data, strict = REQUESTS[name].data, expected(name)
    assert client.finding(data, [data], strict) is None
    if len(data) < 2000:
        assert client.finding(data, [data[at : at + 1] for at in range(len(data))], strict) is None


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("ended", [False, True], ids=["open", "closed"])
def test_what_a_client_gets(plugin: OutsideResponses, name: str, ended: bool) -> None:
    case: Answered = RESPONSES[name]
    assert plugin.finding(case.data, case.method, ended) is None
