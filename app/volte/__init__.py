"""`python -m app volte URL`: plays the VoLTE use case through a broker, as VF-C does, and cleans up after itself.

It is a client like any other: it knows the API's contract and nothing of the broker's inside.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from app.volte.client import Client, Unreachable
from app.volte.options import Options, parse
from app.volte.outcome import Patience
from app.volte.player import Player, Watch
from app.volte.report import NoProgress, Progress, Result, Screen, document, text
from app.volte.steps import plan

__all__ = ["main"]

SIGNALED = 128
"""A shell's exit status for an end by a signal is this and the signal's number."""


STOPPING = b"\nStopping: what was made is being deleted. Once more to end at once.\n"


class Abandoned(BaseException):
    """A second signal: end at once, without cleaning up. No `Exception`, so that no step's edge catches it."""


class Stop:
    """What signals ask for: after the first one the run cleans up; the second one raises `Abandoned`."""

    def __init__(self) -> None:
        self.signo = 0

    def __call__(self, signo: int, _frame: FrameType | None) -> None:
        if self.signo:
            raise Abandoned
        self.signo = signo
        with suppress(OSError):
            os.write(2, STOPPING)  # not sys.stderr: a handler may run in the middle of a buffered write

    @property
    def name(self) -> str:
        return signal.Signals(self.signo).name if self.signo else ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGINT and SIGTERM come here until the end of the block."""
        before = {signo: signal.signal(signo, self) for signo in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signo, handler in before.items():
                signal.signal(signo, handler)


def main(argv: list[str]) -> int:
    """Play; returns the exit status (see --help)."""
    try:
        options = parse(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    stop = Stop()
    run = _play(options, stop)
    screen = Screen(sys.stdout)
    if options.json:
        screen.write(document(run))
    elif run.error:
        Screen(sys.stderr).write(f"{run.error}\n")
    else:
        screen.write(text(run))
    if stop.signo:
        return SIGNALED + stop.signo
    return 0 if run.ok else 1


def _play(options: Options, stop: Stop) -> Result:
    steps = plan(options.tenant, unregister=not options.keep_registration)
    player = Player(
        client=Client(options.base, options.timeout, options.tls),
        region=options.base.path + options.region,
        steps=steps,
        given={"run": secrets.token_hex(4), "tenant_name": options.tenant},
        patience=Patience(options.timeout),
        watch=_watch(options.json, len(steps)),
        stopped=lambda: stop.signo != 0,
    )
    error = ""
    with stop.listening():
        try:
            player.play()
        except Unreachable as unreachable:
            error = str(unreachable)
        except Abandoned:
            pass
    return Result(options.base.url + options.region, player.outcomes, player.left_behind, stop.name, error)


def _watch(as_json: bool, total: int) -> Watch:
    """With --json the progress is for a person at a terminal only, and never between the document's lines."""
    screen = Screen(sys.stderr if as_json else sys.stdout)
    return NoProgress() if as_json and not screen.terminal else Progress(screen, total)
