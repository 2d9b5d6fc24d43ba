"""check_vim_capacity: asks all VIMs at once, and answers with those that have room."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

from app.core import capacity
from app.core.address import Destination
from app.core.message import Headers
from app.core.origin import Origin
from app.core.region import Region
from app.errors import BrokerError
from app.upstream.client import Answer

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CapacitySettings:
    """At most so many VIMs are asked at once for a request; seconds to connect to each, and for the whole answer."""

    concurrency: int
    connect_timeout: float
    timeout: float


class Out(NamedTuple):
    """A VIM that is not in the answer; `why` is empty where it simply has no room."""

    why: str = ""


class Client(Protocol):
    """Who asks plugins."""

    def fetch(
        self,
        origin: Origin,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        *,
        connect_timeout: float,
        response_timeout: float,
    ) -> Answer:
        """A small request and its whole answer. Raises the errors of `app.errors`."""  # fmt: skip


LATE = Out("it did not answer in time")
NO_REGION = Out("it is no region's id")

Asked = list[Any] | Out
"""The availability zones of a VIM with room, or why it is out."""


class Gather(Protocol):
    """Runs functions side by side, at most `at_once`; results in order, None of what has not ended after `seconds`."""

    def __call__(
        self, functions: Sequence[Callable[[], Asked]], at_once: int, seconds: float
    ) -> Sequence[Asked | None]: ...


class CapacityCheck:
    """Of one worker. `locate` finds where a region's request goes: region, raw target, request id."""

    def __init__(
        self,
        client: Client,
        gather: Gather,
        settings: CapacitySettings,
        locate: Callable[[Region, bytes, str], Destination],
    ) -> None:
        self._client = client
        self._gather = gather
        self._settings = settings
        self._locate = locate

    def answer(self, version: str, document: Any, request_id: str) -> dict[str, object]:
        """The answer to a request's document: one VIM that fails or lingers drops out and is logged, never the rest.

        A VIM that is named several times is asked once.
        """
        settings = self._settings
        wanted = capacity.parse(version, document)
        deadline = time.monotonic() + settings.timeout
        regions = list(dict.fromkeys(vim.region for vim in wanted.vims if vim.region is not None))
        asking = [partial(self._ask, version, region, wanted.body, request_id, deadline) for region in regions]
        results = self._gather(asking, settings.concurrency, settings.timeout)
        found = {region: LATE if asked is None else asked for region, asked in zip(regions, results, strict=True)}
        zones: list[list[Any] | None] = []
        for vim in wanted.vims:
            asked = NO_REGION if vim.region is None else found[vim.region]
            if isinstance(asked, Out) and asked.why:
                LOG.warning("request %s: VIM %.200s drops out: %s", request_id, vim.named, asked.why)
            zones.append(None if isinstance(asked, Out) else asked)
        return capacity.answer(version, wanted.vims, zones)

    def _ask(self, version: str, region: Region, body: bytes, request_id: str, deadline: float) -> Asked:
        try:
            where = self._locate(region, capacity.target(version, region), request_id)
            left = deadline - time.monotonic()
            if left <= 0:
                return LATE
            headers = [(b"Content-Type", b"application/json"), (b"X-ONAP-RequestID", request_id.encode())]
            answer = self._client.fetch(
                where.origin, "POST", where.target, headers, body,
                connect_timeout=self._settings.connect_timeout, response_timeout=left,
            )  # fmt: skip
            zones = capacity.zones(answer.status, answer.body)
        except BrokerError as error:
            return Out(error.message)
        except (ValueError, RecursionError) as error:
            return Out(f"its plugin's answer is of no use: {error}")
        return Out() if zones is None else zones
