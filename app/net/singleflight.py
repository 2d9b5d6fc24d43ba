"""One call for many: whoever asks for what is being fetched already waits for that."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, cast

from eventlet.event import Event

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Coalesces equal calls of one worker's greenlets."""

    def __init__(self) -> None:
        self._flights: dict[K, Event] = {}

    def run(self, key: K, function: Callable[[], V]) -> V:
        """The result, or the error, of `function`, or of the call that is under way for this key.

        If the greenlet that makes the call is ended from without, the call is made anew by one that waits.
        """
        while (flight := self._flights.get(key)) is not None:
            outcome = flight.wait()
            if outcome is not None:
                value, error = outcome
                if error is not None:
                    raise error.with_traceback(None)
                return cast("V", value)
        flight = self._flights[key] = Event()
        outcome = None
        try:
            value = function()
            outcome = (value, None)
            return value
        except Exception as error:
            outcome = (None, error)
            raise
        finally:
            del self._flights[key]
            flight.send(outcome)
