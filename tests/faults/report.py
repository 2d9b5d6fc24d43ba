"""`python -m tests.faults.report FOLDER`: docs/faults.md, of what the rows' tests have recorded in a folder."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import FRAMEWORKS, ROOT

PAGE = ROOT / "docs" / "faults.md"
HERE = Path(__file__).parent

HEAD = """\
# Faults: what clients see, and for how long

Generated from what the tests saw, here in their {form} form: `make faults` plays the long one of each row and writes
this page, `make test` plays the short one. Each row makes the fault for
real, under a steady load from clients that know of every request what became of it: brokers of two workers, GETs and
POSTs, on kept connections and on new ones, to the plugin that fails and to others that do not. An answer counts only if
it holds what was asked for, by this very client. Figures are django's / pecan's.

- *Its clients* are those of the plugin (or of what else fails), from the fault's beginning until it is as before: how
  many of their requests had which outcome. *Closed unanswered* is a connection that ended before any byte of an answer;
  *cut* one that ended within it.
- *Others* are all other clients, in the same time.
- *As before*: from so many seconds after the fault's end on, a full second saw nothing but what is seen without a fault.
- *Lost* are requests whose outcome is none that the row allows; a test with one fails. A GET on an idle connection that
  the broker closed may be sent again by the client, once (RFC 9112, 9.3.1). No plugin gets a POST twice, in any row.

| fault | its clients see | others see | others wait at most | as before after | lost | test |
|---|---|---|---|---|---|---|
"""

ROWLESS = """
## What has no row, and why

- *Entropy used up*: that cannot be. The kernel makes whoever asks (`getrandom`) wait until it has seeded its generator,
  early in its boot, and never again; since Linux 5.6 that is so of `/dev/random` too (random(7)).
- *A disk that is full*: the broker writes its metrics, whose file system is a row, and standard output. With that on a
  full device from the start on, `tests/server/test_output.py` has requests, a killed worker and the end in order.
- *A loop that is blocked, a regular expression that runs away, a crash loop, orphans*: what clients see of them is that
  of a worker stopped or killed. `tests/server/test_stalls.py` has the stacks in the log, `tests/server/test_deaths.py`
  how a crash loop is slowed and said, and that orphans are reaped.
- *A new file that is broken*, and each kind of file that is taken over: `tests/contract/test_reload.py`,
  `tests/contract/test_reloads.py`.
- *`docker stop`*: needs an engine: `tests/container/test_image.py`.
"""

Record = dict[str, Any]


def rows() -> dict[str, str]:
    """The name of each row's test and the fault that it makes, as they stand in the files of this folder."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_fault_"):
                found[node.name] = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
    return found


def render(records: list[Record]) -> str:
    """The page."""
    form = "long" if records and all(one.get("long") for one in records) else "short"
    return HEAD.format(form=form) + "".join(_row(name, fault, records) for name, fault in rows().items()) + ROWLESS


def _row(name: str, fault: str, records: list[Record]) -> str:
    found = [one for framework in FRAMEWORKS for one in records if (one["row"], one["framework"]) == (name, framework)]
    if not found:
        cells = ["not played on the machine that made this table", "", "", "", ""]
    else:
        cells = [
            _outcomes([one["hit"] for one in found]) + _facts(found),
            _outcomes([one["others"] for one in found]),
            _both(found, lambda one: f"{one['others_longest']:.2f}") + " s",
            _both(found, lambda one: f"{one['as_before_after']:.1f}") + " s",
            _both(found, lambda one: str(one["lost"])),
        ]
    times = found[0].get("times", "") if found else "many"
    return "| " + " | ".join([fault.format(times=times), *cells, f"`{name}`"]) + " |\n"


def _both(found: list[Record], cell: Callable[[Record], str]) -> str:
    return " / ".join(cell(one) for one in found)


def _outcomes(seen: list[dict[str, int]]) -> str:
    """The most frequent first."""
    total: Counter[str] = sum((Counter(one) for one in seen), Counter())
    told = [f"{outcome}: {' / '.join(str(one.get(outcome, 0)) for one in seen)}" for outcome, _ in total.most_common()]
    return "; ".join(told) or "there are none"


def _facts(found: list[Record]) -> str:
    if "replaced_after" not in found[0]:
        return ""
    return "; replaced after " + _both(found, lambda one: f"{one['replaced_after']:.2f}") + " s"


def main(folder: str) -> None:
    records = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.json"))]
    PAGE.write_text(render(records))


if __name__ == "__main__":
    main(*sys.argv[1:])
