"""Rule 22: a request's id is taken over or made, logged, sent on and returned (ONAP's logging guideline)."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import pytest

from tests.conftest import FRAMEWORKS, Process, a_broker, until
from tests.rules.conftest import NOWHERE, TYPES, last, told
from tests.rules.plugin import Plugin
from tests.rules.reading import Answer, ask

ORDER = [b"X-ONAP-RequestID", b"X-RequestID", b"X-TransactionID", b"X-ECOMP-RequestID"]
MADE = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def logging(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    """Brokers whose logs are of this module alone."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(a_broker(name, 1, **scene)) for name in FRAMEWORKS}


@pytest.fixture
def broker(logging: dict[str, Process], framework: str) -> Process:
    return logging[framework]


def returned(answer: Answer) -> bytes:
    (value,) = answer.values(b"X-ONAP-RequestID")
    return value


def logged(broker: Process, request_id: bytes) -> bool:
    return any(line["logger"] == "access" and line["request_id"] == request_id.decode() for line in broker.log())


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("spelling", [bytes, bytes.upper, bytes.lower])
def test_rule_22_the_id_is_the_first_in_the_stated_order(
    broker: Process, plugin: Plugin, number: int, spelling: type[bytes]
) -> None:
    """Whatever the order on the wire; all that were sent go on as they were."""
    names = [spelling(name) for name in ORDER[number:]][::-1]
    lines = [b"%b: id-%d" % (name, place) for place, name in enumerate(names)]
    answer = ask(broker, last(*lines))
    own = b"id-%d" % (len(names) - 1)
    asked = plugin.only
    assert returned(answer) == own
    for place, name in enumerate(names):
        assert asked.values(name) == [b"id-%d" % place]
    assert asked.values(b"X-ONAP-RequestID") == ([own] if number == 0 else [])
    until(lambda: logged(broker, own))


def test_rule_22_an_id_is_made_where_there_is_none(broker: Process, plugin: Plugin) -> None:
    ids = {returned(ask(broker, last())) for _ in range(20)}
    assert len(ids) == 20
    for made in ids:
        assert MADE.fullmatch(made)
        until(lambda made=made: logged(broker, made))  # type: ignore[misc]
    assert {asked.values(b"X-ONAP-RequestID")[0] for asked in plugin.asked} == ids


@pytest.mark.parametrize("target", [TYPES, NOWHERE, b"/api/multicloud/v0/nounderscore/x", b"/none"])
def test_rule_22_own_answers_and_errors_return_it_too(broker: Process, target: bytes) -> None:
    for lines in ([b"X-TransactionID: of-so"], []):
        answer = ask(broker, last(*lines, target=target))
        assert returned(answer) == b"of-so" if lines else MADE.fullmatch(returned(answer))
        if answer.status >= 400:
            assert json.loads(answer.body)["error"]["request_id"].encode() == returned(answer)
        until(lambda answer=answer: logged(broker, returned(answer)))  # type: ignore[misc]


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_rule_22_what_is_no_request_gets_one_made(broker: Process, raw: bytes) -> None:
    answer = ask(broker, raw)
    assert MADE.fullmatch(returned(answer))
    until(lambda: logged(broker, returned(answer)))


HOSTILE = [
    b"x" * 129,
    b"x" * 10_000,
    b"two words",
    b"tab\there",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"",
    b'"},{"level": "forged\x80',
    b"a\x85b",
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", ORDER)
def test_rule_22_a_hostile_id_is_none(broker: Process, plugin: Plugin, name: bytes, value: bytes) -> None:
    """Longer than 128 bytes, or not visible ASCII: a log line is no place for it."""
    answer = ask(broker, last(name + b": " + value))
    assert MADE.fullmatch(returned(answer))
    assert plugin.only.values(b"X-ONAP-RequestID") == [returned(answer)]


@pytest.mark.parametrize(
    "value", [b"%0d%0aX-A:b", b"<script>alert(1)</script>", b'"}\\n{"', b"${jndi:ldap://x}", b"' OR 1=1--", b"x" * 128]
)
def test_rule_22_an_odd_id_of_visible_ascii_is_an_id(broker: Process, plugin: Plugin, value: bytes) -> None:
    """And stays one value of one JSON line in the log."""
    answer = ask(broker, last(b"X-ONAP-RequestID: " + value))
    valid = b" " not in value
    assert (returned(answer) == value) == valid
    if valid:
        until(lambda: logged(broker, value))
        assert plugin.only.values(b"X-ONAP-RequestID") == [value]


@pytest.mark.parametrize("value", [b"a\r\nX-A: b", b"a\nX-A: b", b"a\rX-A: b", b"a\0b"])
def test_rule_22_an_id_cannot_split_anything(broker: Process, plugin: Plugin, value: bytes) -> None:
    """CR LF makes it another header of the client's own; the rest is refused (rule 3)."""
    answer = ask(broker, last(b"X-ONAP-RequestID: " + value))
    assert answer.values(b"X-A") == []
    assert answer.status == (200 if b"\r\n" in value else 400)


def test_rule_22_of_several_ids_under_one_name_one_counts(broker: Process, plugin: Plugin) -> None:
    answer = ask(broker, last(b"X-ONAP-RequestID: one", b"X-ONAP-RequestID: two"))
    assert plugin.only.values(b"X-ONAP-RequestID") == [returned(answer)]


def test_rule_22_a_valid_id_counts_before_one_that_is_none(broker: Process, plugin: Plugin) -> None:
    answer = ask(broker, last(b"X-ONAP-RequestID: not one", b"X-TransactionID: fine"))
    assert returned(answer) == b"fine"
    assert plugin.only.values(b"X-ONAP-RequestID") == []


def test_rule_22_the_plugins_own_id_is_not_added_to(broker: Process, plugin: Plugin) -> None:
    plugin.answers(told(b"ok", b"x-onap-requestid: its-own"))
    assert returned(ask(broker, last(b"X-ONAP-RequestID: mine"))) == b"its-own"


def test_rule_22_invocation_ids_are_new_for_each_call(broker: Process, plugin: Plugin) -> None:
    sent = (b"X-InvocationID: of-the-client", b"X-ONAP-InvocationID: of-the-client", b"x-invocationid: again")
    for _ in range(3):
        ask(broker, last(*sent))
    seen = [asked.values(name) for asked in plugin.asked for name in (b"X-InvocationID", b"X-ONAP-InvocationID")]
    assert all(len(values) == 1 and MADE.fullmatch(values[0]) for values in seen)
    assert len({values[0] for values in seen}) == 3
