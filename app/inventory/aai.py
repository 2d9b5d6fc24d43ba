"""Regions from A&AI (contract, section 4)."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from app.core.message import Headers
from app.core.origin import Origin
from app.core.region import Region
from app.errors import (
    ConfigurationError,
    InventoryError,
    InventoryTimeout,
    RegionNotFound,
    UpstreamError,
    UpstreamTimeout,
)
from app.inventory.model import Cloud, cloud_of

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AaiSettings:
    """Where A&AI is, its schema's version (`v13`), and its time limits in seconds."""

    origin: Origin
    schema_version: str
    connect_timeout: float
    response_timeout: float


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
        response_timeout: float,
    ) -> Answer: ...  # fmt: skip


class Aai:
    """Asks A&AI for each region. `credentials` are read when they are needed, so that a new password counts."""

    def __init__(
        self,
        settings: AaiSettings,
        fetch: Fetch,
        credentials: Callable[[], tuple[str, str]],
        asked: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`asked` is told how many seconds each request took."""
        self.settings = settings
        self._fetch = fetch
        self.credentials = credentials
        self._asked = asked

    def find(self, region: Region, request_id: str) -> Cloud:
        headers = self._headers(request_id)
        started = time.perf_counter()
        try:
            answer = self._ask(region, headers)
            if answer.status == 401 and (renewed := self._headers(request_id)) != headers:
                answer = self._ask(region, renewed)  # the password was renewed in between
        except UpstreamTimeout as error:
            raise InventoryTimeout(f"A&AI at {self.settings.origin} did not answer in time: {error.message}") from None
        except UpstreamError as error:
            raise InventoryError(f"A&AI at {self.settings.origin} failed: {error.message}") from None
        finally:
            self._asked(time.perf_counter() - started)
        return self._read(region, answer.status, answer.body)

    def forget(self, region: Region) -> None:
        """Nothing is remembered here."""

    def _headers(self, request_id: str) -> Headers:
        headers = [
            (b"Accept", b"application/json"),
            (b"X-FromAppId", b"MultiCloud"),
            (b"X-TransactionId", request_id.encode()),
        ]
        try:
            user, password = self.credentials()
        except ConfigurationError as error:  # a file that is gone for a moment while it is renewed; its path is ours
            LOG.error("request %s: %s", request_id, error.message)
            raise InventoryError("The broker cannot read its password for A&AI; its log says why.") from None
        if user:
            headers.append((b"Authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode())))
        return headers

    def _ask(self, region: Region, headers: Headers) -> Answer:
        settings = self.settings
        owner, region_id = quote(region.owner, safe=""), quote(region.region_id, safe="")
        target = (
            f"/aai/{settings.schema_version}/cloud-infrastructure/cloud-regions/cloud-region/{owner}/{region_id}"
        ).encode()
        return self._fetch(
            settings.origin,
            "GET",
            target,
            headers,
            connect_timeout=settings.connect_timeout,
            response_timeout=settings.response_timeout,
        )

    def _read(self, region: Region, status: int, body: bytes) -> Cloud:
        if status == 404:
            raise RegionNotFound(f"A&AI has no region {region.vim_id}; register it there first.")
        if status in (401, 403):
            raise InventoryError(f"A&AI refused the broker's login ({status}); check AAI_USERNAME and AAI_PASSWORD.")
        if status != 200:
            raise InventoryError(f"A&AI answered {status} for region {region.vim_id}; see its log.")
        try:
            entry = json.loads(body)
        except (ValueError, RecursionError):
            raise InventoryError(f"A&AI's answer for region {region.vim_id} is no JSON; see its log.") from None
        if not isinstance(entry, dict):
            raise InventoryError(f"A&AI's answer for region {region.vim_id} is no cloud-region object; see its log.")
        return cloud_of(region, entry, "A&AI")
