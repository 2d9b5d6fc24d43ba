"""docs/http.md: every rule has a row, every test that it names is there, every section that it cites is in its RFC."""

from __future__ import annotations

import ast
import fnmatch
import re
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

RULES = [*range(1, 19), 20, 21, 22]
PAGE = (ROOT / "docs" / "http.md").read_text()


class Row(NamedTuple):
    """A row of the first table."""

    rule: str
    source: str
    behaviour: str
    tests: str

    @property
    def named(self) -> list[str]:
        return re.findall(r"`(tests/[^`]+)`", self.tests)

    @property
    def cited(self) -> list[tuple[str, str]]:
        """RFC and section."""
        by_rfc = re.findall(r"RFC (\d+), ([\d., ]+)", f"{self.source}; {self.behaviour}")
        return [
            (rfc, section.strip(" ."))
            for rfc, sections in by_rfc
            for section in sections.split(",")
            if section.strip(" .")
        ]


def rows(heading: str) -> list[list[str]]:
    table = PAGE.partition(heading)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


TABLE = [Row(*cells) for cells in rows("\n| rule | source | behaviour | tests |")]
SECTIONS = {rfc: {entry.split(" ")[0] for entry in text.split("; ")} for rfc, text in rows("\n| RFC | sections |")}


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_rule_has_a_row() -> None:
    numbers = [int(match[1]) for row in TABLE if (match := re.match(r"(\d+) ", row.rule))]
    assert numbers == RULES
    assert len(TABLE) > len(RULES)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.rule)
def test_every_test_that_a_row_names_is_there(row: Row) -> None:
    assert row.named
    for name in row.named:
        path, _, pattern = name.partition("::")
        assert fnmatch.filter(functions(path), pattern or "test_*"), name


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.rule)
def test_every_section_that_a_row_cites_is_in_the_list_of_sections(row: Row) -> None:
    for rfc, section in row.cited:
        assert section in SECTIONS[rfc], f"RFC {rfc}, {section}"


def test_every_section_in_the_list_is_cited() -> None:
    cited = {rfc: {section for row in TABLE for number, section in row.cited if number == rfc} for rfc in SECTIONS}
    assert cited == SECTIONS


def test_every_test_of_a_rule_is_in_its_row() -> None:
    patterns = [name for row in TABLE for name in row.named]
    for path in sorted((ROOT / "tests" / "rules").glob("test_*.py")):
        place = f"tests/rules/{path.name}"
        for name in functions(place):
            if name.startswith("test_rule_"):
                assert any(fnmatch.fnmatch(f"{place}::{name}", pattern) for pattern in patterns), name
