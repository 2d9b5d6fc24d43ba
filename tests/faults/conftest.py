"""The stages of the fault table. A row is a test `test_fault_*`; its docstring's first line is the fault, in the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.apart import apart
from tests.faults.stage import Row, Stage, a_stage, stages

Staged = Callable[..., Stage]
"""Makes a stage for the test that asks, with what it says of `a_stage`."""


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The test's name and its fault."""
    text = inspect.getdoc(request.function) or ""
    return request.function.__name__, text.partition("\n")[0].rstrip(".")


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    with stages(tmp_path_factory.mktemp) as made:
        yield made


@pytest.fixture
def stage(_shared: dict[str, Stage], framework: str, row: Row) -> Stage:
    """One whose broker is shared by the rows that leave it sound."""
    return _shared[framework].for_row(row)


@pytest.fixture
def isolated() -> Iterator[None]:
    """Namespaces of the row's own; asked for before `staged`, all that is started is in them."""
    with apart():
        yield


@pytest.fixture(scope="module")
def all_isolated() -> Iterator[None]:
    """Namespaces of all rows of a file, and of the stages that they share."""
    with apart():
        yield


@pytest.fixture
def staged(framework: str, row: Row, tmp_path: Path) -> Iterator[Staged]:
    """Stages with a broker of their own."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(a_stage(framework, tmp_path, row, **options))
