"""The set of keys of a URL: fetched ahead of its use, in the background; the last good one serves while that fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from app.auth.jwk import KeySet, parse_keys
from app.core.message import Headers
from app.core.origin import Origin, parse_origin
from app.errors import BrokerError, Unavailable

LOG = logging.getLogger(__name__)

LARGEST = 262144
"""Bytes of a set."""

COOLDOWN = 5.0
"""Seconds between two fetches that tokens of unknown keys may cause, and before the first try after a failure."""

MOST_WAITING = 32
"""Requests that wait for a fetch; more are answered 503: tokens of unknown keys must not hold a worker's requests."""

ACCEPT: Headers = [(b"Accept", b"application/jwk-set+json, application/json")]


class Answer(Protocol):
    """A response read whole."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Fetch(Protocol):
    """Sends a small request and reads its answer whole; raises `UpstreamError`s."""

    def __call__(
        self, origin: Origin, method: str, target: bytes, headers: Headers, *, connect_timeout: float,
        response_timeout: float, limit: int,
    ) -> Answer: ...  # fmt: skip


class Background(Protocol):
    """Runs a function in a greenlet of its own, once at a time."""

    @property
    def running(self) -> bool: ...
    @property
    def waiting(self) -> int: ...
    def begin(self) -> None: ...
    def wait(self, seconds: float, error: Exception, /) -> None: ...


class RemoteSettings(NamedTuple):
    """Seconds: for a whole answer; between two fetches."""

    url: str
    timeout: float
    refresh: float


class RemoteKeys:
    """Of one worker. `background` makes what runs `fetch`, for a function."""

    def __init__(
        self,
        settings: RemoteSettings,
        fetch: Fetch,
        background: Callable[[Callable[[], None]], Background],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._origin, self._target = place(settings.url)
        self._fetch = fetch
        self._background = background(self._ask)
        self._clock = clock
        self._keys: KeySet | None = None
        self._text = b""
        self._due = 0.0
        self._cool = 0.0
        self._failures = 0

    def current(self) -> KeySet | None:
        return self._keys

    def renewed(self) -> KeySet:
        """After a fetch, if there has been none for an unknown key just before.

        Raises `Unavailable` if there has never been a set, or where the fetch takes too long.
        """
        if not self._background.running and self._clock() >= self._cool:
            self._cool = self._clock() + COOLDOWN
            self._background.begin()
        if self._background.running:
            if self._background.waiting >= MOST_WAITING:
                raise _unavailable()
            self._background.wait(self.settings.timeout + 1, _unavailable())
        if self._keys is None:
            raise _unavailable()
        return self._keys

    def tick(self, now: float) -> None:
        """From the hub: fetch the set when it is time."""
        if now >= self._due and not self._background.running:
            self._background.begin()

    def _ask(self) -> None:
        try:
            self._take(self._answer())
        except (BrokerError, ValueError) as error:
            self._failures += 1
            LOG.warning("no key set from %s: %s; what was known before stays in force", self._origin, error)
            pause = min(self.settings.refresh, COOLDOWN * 2 ** min(self._failures - 1, 20))
        else:
            self._failures = 0
            pause = self.settings.refresh
        self._due = self._clock() + pause

    def _answer(self) -> bytes:
        timeout = self.settings.timeout
        answer = self._fetch(
            self._origin, "GET", self._target, ACCEPT, connect_timeout=timeout, response_timeout=timeout, limit=LARGEST
        )
        if answer.status != 200:
            raise ValueError(f"it answered {answer.status}")
        return answer.body

    def _take(self, text: bytes) -> None:
        """The same text is the same set: tokens that it has verified are remembered on."""
        if self._keys is None or text != self._text:
            self._keys, self._text = parse_keys(text), text
            LOG.info("a key set from %s: %d keys", self._origin, len(self._keys.keys))


def place(url: str) -> tuple[Origin, bytes]:
    """Where a URL leads: an origin and a target. Raises `ValueError`."""
    parts = urlsplit(url)
    origin, _ = parse_origin(f"{parts.scheme}://{parts.netloc}")
    return origin, ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode()


def _unavailable() -> Unavailable:
    return Unavailable("The keys that verify tokens cannot be had now; send this request again later.", 5)
