"""Of docker/compile.py: what a compiled module may not hold, since mypyc makes something else of it.

That what is compiled behaves alike is told by the tests themselves, which run on the image's own modules too
(tests/container/test_suite.py).
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.conftest import ROOT

PURE = ("len", "min", "max", "self.table.region_segments")
"""What may be called twice."""


def compiling() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compiling", ROOT / "docker" / "compile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES: list[str] = compiling().MODULES


def calls_in_slices(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        for part in ast.walk(node) if isinstance(node, ast.Slice) else ():
            if isinstance(part, ast.NamedExpr) or (isinstance(part, ast.Call) and ast.unparse(part.func) not in PURE):
                yield ast.unparse(node)


def jumps_out_of_try(source: str) -> Iterator[int]:
    """Lines of a `break` or `continue` within a `try` that has a `finally`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Try) and node.finalbody:
            yield from (part.lineno for part in ast.walk(node) if isinstance(part, ast.Break | ast.Continue))


def test_each_module_is_there_once() -> None:
    assert len(set(MODULES)) == len(MODULES)
    assert [name for name in MODULES if not (ROOT / "app" / f"{name}.py").is_file()] == []


@pytest.mark.parametrize("name", MODULES)
def test_nothing_with_an_effect_is_called_within_a_slice(name: str) -> None:
    """mypyc 2.4 evaluates a slice's number twice, where it is not sure of what is sliced: `data[sock.send(data) :]`
    sends twice, and forgets one of them."""
    assert list(calls_in_slices((ROOT / "app" / f"{name}.py").read_text())) == []


@pytest.mark.parametrize("name", MODULES)
def test_nothing_jumps_out_of_a_try_with_a_finally(name: str) -> None:
    """mypyc does not compile it; a loop within the `try` would be found too, and there is none."""
    assert list(jumps_out_of_try((ROOT / "app" / f"{name}.py").read_text())) == []


def test_such_a_jump_is_found() -> None:
    assert list(jumps_out_of_try("while a:\n try:\n  continue\n finally:\n  b()"))


@pytest.mark.parametrize("line", ["a[f(a):]", "a[: b.c(a)]", "a[(b := c) :]", "a[len(f(b)) :]"])
def test_such_a_call_is_found(line: str) -> None:
    assert list(calls_in_slices(line))


@pytest.mark.parametrize("line", ["a[len(b) :]", "f(a[b:])", "a[f(b)]", "a[max(0, b) : min(c, d)]"])
def test_nothing_else_is(line: str) -> None:
    assert list(calls_in_slices(line)) == []
