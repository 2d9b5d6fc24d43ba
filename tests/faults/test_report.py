"""docs/faults.md has a row for each test of the table, and none of a test that is gone."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.faults.report import PAGE, ROWLESS, render, rows


def test_the_page_has_each_row_and_no_other() -> None:
    table = PAGE.read_text().rpartition("|---|\n")[2]
    assert re.findall(r"`(test_fault_\w+)` \|$", table, re.MULTILINE) == list(rows()), "make faults renders it anew"


def test_the_page_names_the_faults_as_the_tests_do() -> None:
    page = PAGE.read_text()
    for name, fault in rows().items():
        told = re.escape(fault).replace(r"\{times\}", r"\w+")
        assert re.search(rf"^\| {told} \| .* \| `{name}` \|$", page, re.MULTILINE), name


def test_the_page_ends_with_what_has_no_row() -> None:
    assert PAGE.read_text().endswith("|\n" + ROWLESS)
    named = re.findall(r"`(tests/[\w/.]+)`", ROWLESS)
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_what_was_seen_under_both_frameworks_is_told() -> None:
    (name, *_), fault = rows(), next(iter(rows().values()))
    seen = {"row": name, "others_longest": 0.011, "as_before_after": 0.26, "lost": 0, "times": 3, "replaced_after": 0.1}
    records = [
        {**seen, "framework": "pecan", "hit": {"502 X": 2, "200": 9}, "others": {}},
        {**seen, "framework": "django", "hit": {"502 X": 3}, "others": {"200": 7}, "lost": 1},
    ]
    (line,) = (line for line in render(records).splitlines() if f"`{name}`" in line)
    cells = "200: 0 / 9; 502 X: 3 / 2; replaced after 0.10 / 0.10 s | 200: 7 / 0 | 0.01 / 0.01 s | 0.3 / 0.3 s | 1 / 0"
    assert "in their short form" in render(records)
    assert "in their long form" in render([{**one, "long": True} for one in records])
    assert line == f"| {fault.format(times=3)} | {cells} | `{name}` |"
