"""The configuration in force, in one process, and how what is there now takes its place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from oslo_config import cfg

from app.assembly.sources import Sources
from app.conf.options import Key
from app.conf.reloading import Configuration, renew
from app.net.files import Watched
from app.observability import logs
from app.observability.once import Once

LOG = logging.getLogger(__name__)

Commit = Callable[[], None]


class _State(NamedTuple):
    configuration: Configuration
    sources: Sources


class Configured:
    """Of the bootstrap process, which its workers begin with, and from then on of each by itself.

    What is new is made as a whole, which may fail, before any of it counts: it is put in the place of the former by
    assignments, within one call from the hub, so that a request sees the one or the other.
    """

    def __init__(
        self, configuration: Configuration, files: Sequence[str], environ: Mapping[str, str], once: Once
    ) -> None:
        """Raises `ConfigurationError`."""
        self.prepare: Callable[[Sources], Commit] = lambda _: _nothing
        """Makes what serves by new sources, and returns what puts it in place."""
        self.tried: Callable[[bool], None] = lambda _: None
        """Told after each reload whether all is as the files have it."""
        self._files = files
        self._environ = environ
        self._once = once
        self._configuration = configuration
        self.sources = Sources(configuration.options, once, self._replaced)
        self._commit = _nothing
        self._watched = Watched(
            "the configuration", [Path(file) for file in files], self._load, once, always=True, described=_described
        )
        self._watched.replaced.append(self._take)
        self._take(self._watched.current)

    @property
    def options(self) -> cfg.ConfigOpts:
        return self.sources.options

    def look(self, now: float) -> None:
        """From a tick: take what has changed."""
        tried = [watched.look(now) for watched in self._all()]
        if any(tried):
            self._tell()

    def reload(self) -> None:
        """Somebody asks for it: take what has changed, or failed, at once."""
        now = time.monotonic()
        for watched in self._all():
            watched.reload(now)
        self._tell()

    def begin_worker(self, tried: Callable[[bool], None]) -> None:
        """In a worker that has just been forked: take what has changed since the bootstrap process looked."""
        now = time.monotonic()
        self.prepare, self.tried = (lambda _: _nothing), tried
        for watched in self._all():
            watched.refresh(now)
        self._tell()

    def problem(self) -> str:
        """What is not as the files have it, and why; empty if all is."""
        problems = [*([self._watched.problem] if self._watched.problem else []), *self.sources.problems()]
        waiting = self._configuration.waiting
        return "; ".join([*problems, *([_waiting(waiting)] if waiting else [])])

    def _all(self) -> list[Watched[object]]:
        return [self._watched, *self.sources.watched.values()]

    def _tell(self) -> None:
        self.tried(not self._watched.problem and not self.sources.problems())

    def _load(self) -> _State:
        configuration = renew(self._configuration, self._files, self._environ)
        sources = Sources(configuration.options, self._once, self._replaced, self.sources)
        self._commit = self.prepare(sources)
        return _State(configuration, sources)

    def _take(self, state: _State) -> None:
        commit, self._commit = self._commit, _nothing
        commit()
        self._configuration, self.sources = state
        logs.adjust(state.sources.options.logs.format, state.sources.options.logs.level)
        if state.configuration.waiting:
            self._once.log(LOG, logging.WARNING, _waiting(state.configuration.waiting))

    def _replaced(self) -> None:
        """What a file holds has been replaced."""
        self.prepare(self.sources)()


def _nothing() -> None:
    """Where nothing is to be put in place."""


def _described(state: _State) -> str:
    changed = state.configuration.changed
    return f": {_names(changed)} changed" if changed else ": no option has changed"


def _waiting(waiting: Sequence[Key]) -> str:
    return f"{_names(waiting)} changed in the configuration, which needs a restart; what was set before counts on"


def _names(keys: Sequence[Key]) -> str:
    return ", ".join(map(str, keys))
