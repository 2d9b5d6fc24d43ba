"""The direction of imports: what each part of `app` may know of the others, and which libraries it may know."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = (
    "errors",
    "conf",
    "core",
    "observability",
    "net",
    "upstream",
    "inventory",
    "auth",
    "web",
    "simulators",
    "server",
    "assembly",
    "volte",
    "demo",
    "cli",
    "__main__",
)
"""Each may import itself and those above it in this table; `app` itself (the version) is everybody's."""

HOMES: Mapping[str, tuple[str, ...]] = {
    "eventlet": ("app.net", "app.server", "app.upstream"),
    "greenlet": ("app.net", "app.server", "app.upstream"),
    "oslo_service": ("app.net", "app.server", "app.upstream"),
    "django": ("app.web.django_api",),
    "pecan": ("app.web.pecan_api",),
    "webob": ("app.web.pecan_api",),
    "bcrypt": ("app.auth",),
    "jwt": ("app.auth",),
    "cryptography": ("app.auth", "app.net.tls"),
}
"""Libraries that only these parts may import."""

LAZY = "app.cli"
"""May import within its functions what it likes: a command pays only for what it uses."""


class Import(NamedTuple):
    importer: str
    imported: str
    typing_only: bool = False


def name_of(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path.read_text() for path in sorted((ROOT / "app").rglob("*.py"))}


def statements(
    tree: ast.AST, lazy: bool, typing_only: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import statement, and whether it is for type checkers alone; those in functions unless `lazy`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, typing_only
        elif not (lazy and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            yield from statements(node, lazy, typing_only or checking)


def targets(node: ast.Import | ast.ImportFrom, importer: str, modules: Iterable[str]) -> Iterator[str]:
    """The modules that a statement names: `from a import b` is of `a.b` where that is a module, else of `a`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, f"{importer} imports relatively"
    for alias in node.names:
        full = f"{node.module}.{alias.name}"
        yield full if full in modules else str(node.module)


def imports(sources: Mapping[str, str]) -> set[Import]:
    return {
        Import(importer, imported, typing_only)
        for importer, source in sources.items()
        for node, typing_only in statements(ast.parse(source), importer == LAZY)
        for imported in targets(node, importer, sources)
    }


def layer(module: str) -> int:
    """The place in the table; -1 for `app` itself."""
    return LAYERS.index(module.split(".")[1]) if "." in module else -1


def upward(found: Iterable[Import]) -> list[str]:
    return [
        f"{i.importer} imports {i.imported}"
        for i in found
        if i.imported.split(".")[0] == "app" and layer(i.imported) > layer(i.importer)
    ]


def astray(found: Iterable[Import]) -> list[str]:
    """Imports of libraries outside of their homes."""
    return [
        f"{i.importer} imports {i.imported}"
        for i in found
        if not f"{i.importer}.".startswith(tuple(f"{home}." for home in HOMES.get(i.imported.split(".")[0], ("app",))))
    ]


def cycle(found: Iterable[Import]) -> list[str]:
    """Modules that import each other in a circle, if there are any."""
    graph: dict[str, set[str]] = {}
    for i in found:
        graph.setdefault(i.importer, set()).add(i.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


FOUND = imports(SOURCES)


def test_every_part_has_its_place_in_the_table() -> None:
    assert {name.split(".")[1] for name in SOURCES if "." in name} <= set(LAYERS)


def test_no_part_knows_those_that_are_built_on_it() -> None:
    assert upward(FOUND) == []


def test_libraries_stay_in_their_homes() -> None:
    assert astray(FOUND) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    assert cycle(i for i in FOUND if not i.typing_only) == []


def test_not_even_types_are_imported_in_a_circle() -> None:
    assert cycle(FOUND) == []


# The rules themselves: each finds what it is for.


@pytest.mark.parametrize(
    "source",
    [
        "import app.web.api",
        "from app.web import api",
        "from app.web.api import Route",
        "def f():\n    from app.web import api",
        "class C:\n    def f(self):\n        if 1:\n            import app.web.api",
        "try:\n    import app.web.api\nexcept ImportError: pass",
        "if TYPE_CHECKING:\n    from app.web.api import Route",
    ],
)
def test_an_import_is_found_wherever_it_stands(source: str) -> None:
    found = imports({"app.core.x": source, "app.web.api": ""})
    assert upward(found) == ["app.core.x imports app.web.api"]


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        ("app.core.x", "import eventlet.event", False),
        ("app.core.x", "def f():\n    from greenlet import getcurrent", False),
        ("app.network", "import eventlet", False),
        ("app.net.x", "import eventlet", True),
        ("app.server", "import oslo_service", True),
        ("app.web.edge", "from django.http import HttpResponse", False),
        ("app.web.pecan_api.x", "import django", False),
        ("app.web.pecan_api.x", "import webob", True),
        ("app.core.x", "import json", True),
    ],
)
def test_a_library_is_found_outside_of_its_home(module: str, source: str, allowed: bool) -> None:
    assert (astray(imports({module: source})) == []) == allowed


@pytest.mark.parametrize(
    ("one", "other", "circle"),
    [
        ("import app.b", "import app.a", True),
        ("import app.b", "def f():\n    from app import a", True),
        ("import app.b", "", False),
    ],
)
def test_a_circle_is_found(one: str, other: str, circle: bool) -> None:
    assert bool(cycle(imports({"app": "", "app.a": one, "app.b": other}))) == circle


def test_the_command_alone_may_import_late() -> None:
    late = "import app.errors\ndef f():\n    import app.web"
    assert {i.imported for i in imports({LAZY: late})} == {"app.errors"}
    assert {i.imported for i in imports({"app.assembly": late})} == {"app.errors", "app.web"}
