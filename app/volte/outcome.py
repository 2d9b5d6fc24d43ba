"""What a step came to, and how long is waited for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "failed", "skipped", "left"]


@dataclass(frozen=True)
class Outcome:
    """A row of the result. `path` is the whole one that was asked for, or the template below the region of a step not
    played; `left` is a clean-up that was none of this run's business; `request_id` is the last request's."""

    step: str
    method: str
    path: str
    status: int | None
    ms: float
    state: State
    detail: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class Patience:
    """How long is waited for what changes by itself, in seconds; the pauses grow from `first` to `most`."""

    limit: float
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    first: float = 0.1
    most: float = 1.0

    def rounds(self) -> Iterator[None]:
        """Yields at once, then after each pause until the limit has passed; the last pause is cut to end with it."""
        yield
        end, length = self.clock() + self.limit, self.first
        while (left := end - self.clock()) > 0:
            self.pause(min(length, left))
            length = min(2 * length, self.most)
            yield


def count(outcomes: Iterable[Outcome], state: State) -> int:
    return sum(outcome.state == state for outcome in outcomes)
