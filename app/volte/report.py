"""What is shown of a run: a line a step as it is played, and at its end a table, or all of it as JSON."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from app.volte.answers import printable
from app.volte.outcome import Outcome, count
from app.volte.steps import Step

REDRAW = "\r\x1b[K"
"""To the beginning of the line, and erase it (ECMA-48 CR and EL)."""

HEADINGS = ("STEP", "METHOD", "PATH", "STATUS", "MS", "RESULT")


@dataclass(frozen=True)
class Result:
    """A run that is over. `region` is the URL below which the paths are; `signal` the name of what interrupted."""

    region: str
    outcomes: Sequence[Outcome]
    left_behind: Mapping[str, str] = field(default_factory=dict)
    signal: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        bad = count(self.outcomes, "failed") + count(self.outcomes, "skipped")
        return bool(self.outcomes) and not (bad or self.signal or self.error or self.left_behind)


class Screen:
    """Writes to a stream until its reader is gone; then in silence, since a run has to clean up all the same.

    What the stream's encoding lacks is escaped, for the same reason.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False
        self.terminal = stream.isatty() and os.environ.get("TERM") != "dumb"

    def write(self, text: str) -> None:
        if self._gone:
            return
        try:
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except OSError:
            self._gone = True
            _silence(self._stream)


def _silence(stream: TextIO) -> None:
    """What is still buffered goes to /dev/null, or the interpreter complains at its end (Python's note on SIGPIPE)."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)


class Progress:
    """One line a step: on a terminal from its beginning, redrawn in place; elsewhere when it is over."""

    def __init__(self, screen: Screen, total: int) -> None:
        self._screen = screen
        self._total = total
        self._number = 0
        self._label = ""

    def begin(self, step: Step) -> None:
        self._number += 1
        self._label = f"{self._number:{len(str(self._total))}}/{self._total} {step.name:15}"
        self.note("running")

    def note(self, text: str) -> None:
        if self._screen.terminal:
            width = shutil.get_terminal_size().columns - 1
            self._screen.write(REDRAW + f"{self._label} {text}"[:width])

    def end(self, outcome: Outcome) -> None:
        start = REDRAW if self._screen.terminal else ""
        took = "" if outcome.status is None else f" {outcome.status} {outcome.ms:.0f} ms"
        detail = f": {printable(outcome.detail)}" if outcome.detail else ""
        self._screen.write(f"{start}{self._label} {outcome.state}{took}{detail}{reference(outcome)}\n")


class NoProgress:
    """For --json where nobody watches."""

    def begin(self, step: Step) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self, outcome: Outcome) -> None:
        pass


def result(outcome: Outcome) -> str:
    """Such as `ok` or `skipped: needs server`."""
    return f"{outcome.state}: {printable(outcome.detail)}" if outcome.detail else outcome.state


def reference(outcome: Outcome) -> str:
    """What to look for in the broker's log, where a step failed."""
    return f" (X-ONAP-RequestID {outcome.request_id})" if outcome.state == "failed" and outcome.request_id else ""


def table(run: Result) -> str:
    """The steps in columns, the paths without what they have in common."""
    path = _common(run.region)
    rows = [HEADINGS, *(_row(outcome, path) for outcome in run.outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [f"Paths are below {run.region}", ""]
    for row in rows:
        cells = [
            cell.rjust(width) if heading == "MS" else cell.ljust(width)
            for cell, width, heading in zip(row, widths, HEADINGS, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _common(region: str) -> str:
    """The path of the region's URL."""
    return "/" + region.split("/", 3)[3]


def _row(outcome: Outcome, common: str) -> tuple[str, ...]:
    status = "-" if outcome.status is None else str(outcome.status)
    took = "-" if outcome.state in ("skipped", "left") else f"{outcome.ms:.0f}"
    text = "failed" if outcome.state == "failed" else result(outcome)
    return outcome.step, outcome.method, outcome.path.removeprefix(common) or "/", status, took, text


def closing(run: Result) -> str:
    """One sentence, such as `33 of 33 steps worked.`"""
    worked, failed, skipped, left = (count(run.outcomes, state) for state in ("ok", "failed", "skipped", "left"))
    parts = [f"{worked} of {len(run.outcomes) - left} steps worked"]
    parts += [f"{number} {text}" for number, text in ((failed, "failed"), (skipped, "skipped")) if number]
    if left:
        parts.append(f"{left} not played, for what existed before")
    interrupted = f"Interrupted by {run.signal}: " if run.signal else ""
    return f"{interrupted}{', '.join(parts)}."


def text(run: Result) -> str:
    """The table, why steps failed, what is left behind, and the closing sentence."""
    return "".join((f"\n{table(run)}\n", *_failures(run), *_leftovers(run), f"{closing(run)}\n"))


def _failures(run: Result) -> Iterator[str]:
    for outcome in run.outcomes:
        if outcome.state == "failed":
            yield f"{outcome.step} {result(outcome)}{reference(outcome)}\n"


def _leftovers(run: Result) -> Iterator[str]:
    for kind, id_ in run.left_behind.items():
        yield f"Left behind, to be deleted by hand: {kind} {printable(id_)}\n"


def document(run: Result) -> str:
    """The result as one JSON document, on lines."""
    content: dict[str, object] = {
        "region": run.region,
        "ok": run.ok,
        "summary": run.error or closing(run),
        "worked": count(run.outcomes, "ok"),
        "failed": count(run.outcomes, "failed"),
        "skipped": count(run.outcomes, "skipped"),
        "left": count(run.outcomes, "left"),
        "signal": run.signal or None,
        "error": run.error or None,
        "leftBehind": [{"kind": kind, "id": id_} for kind, id_ in run.left_behind.items()],
        "steps": [_step(outcome) for outcome in run.outcomes],
    }
    return json.dumps(content, indent=2) + "\n"


def _step(outcome: Outcome) -> dict[str, object]:
    return {
        "step": outcome.step,
        "method": outcome.method,
        "path": outcome.path,
        "status": outcome.status,
        "ms": round(outcome.ms, 1),
        "result": outcome.state,
        "detail": outcome.detail or None,
        "requestId": outcome.request_id or None,
    }
