from __future__ import annotations

import pytest

from app.simulators.faults import Rules, parse


def test_terms_have_values_or_none() -> None:
    assert parse("delay=0.5; status=503;close") == {"delay": 0.5, "status": 503.0, "close": 0.0}
    assert parse("") == {}


@pytest.mark.parametrize("text", ["nonsense", "delay=soon", "delay=1;=2"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown fault|could not convert"):
        parse(text)


def test_a_rule_applies_so_many_times_to_what_holds_its_path() -> None:
    rules = Rules()
    rules.replace([{"path": "/a", "fault": "close", "times": 2}, {"fault": "status=500"}])
    assert [rules.take("/x/a/y") for _ in range(3)] == [{"close": 0.0}, {"close": 0.0}, {"status": 500.0}]
    rules.replace([])
    assert rules.take("/a") == {}


@pytest.mark.parametrize("document", [{}, ["x"], [{"path": "/a"}], [{"fault": 1}]])
def test_rules_of_another_shape_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match="rule"):
        Rules().replace(document)
