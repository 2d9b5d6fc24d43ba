"""The interface of a measured system."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from bench.processes import Program
from bench.site import Site


class Running(NamedTuple):
    """A system that serves: where, and the program whose processes its requests cost."""

    port: int
    program: Program


Start = Callable[[Site], AbstractContextManager[Running]]
"""Serves within the context; raises `NotStartedError`."""

VIM_TYPES, FORWARD, STREAM = "vim_types", "forward", "stream"
ALL = frozenset({VIM_TYPES, FORWARD, STREAM})


@dataclass(frozen=True)
class System:
    """`kind` is `ours`, `limit`, `seed` or `usual`; `does` is what it can be asked for, `STREAM` is a body of 1 GiB;
    `settings` says how it was started."""

    name: str
    kind: str
    settings: str
    start: Start
    does: frozenset[str] = ALL
