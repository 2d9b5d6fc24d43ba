"""A simulator of A&AI: the cloud-regions, read, made and deleted (contract, section 4)."""

from __future__ import annotations

import base64
import hmac
import re
import threading
from collections.abc import Iterable

from app.simulators.http import Answer, Asked
from app.simulators.regions import Entry

PATH = re.compile(r"/aai/v\d+/cloud-infrastructure/cloud-regions(?:/cloud-region/([^/]+)/([^/]+))?/?")


class Aai:
    """The application: answers for its regions. Where `username` is not empty, Basic authentication is asked for."""

    def __init__(self, regions: Iterable[Entry], username: str = "", password: str = "") -> None:
        self._regions = {(entry["cloud-owner"], entry["cloud-region-id"]): entry for entry in regions}
        self._lock = threading.Lock()
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._authorization = f"Basic {token}" if username else ""

    def __call__(self, asked: Asked) -> Answer:
        if not hmac.compare_digest(asked.header("Authorization") or "", self._authorization) and self._authorization:
            return _error(401, "SVC3300", "Unauthorized")
        for name in ("X-FromAppId", "X-TransactionId"):
            if not asked.header(name):
                return _error(400, "SVC4009", f"Missing header {name}")
        match = PATH.fullmatch(asked.path)
        if match is None:
            return _error(404, "SVC3002", "Unrecognized AAI object path")
        with self._lock:
            if match[1] is None:
                return Answer(200, {"cloud-region": list(self._regions.values())})
            return self._one(asked, (match[1], match[2]))

    def _one(self, asked: Asked, key: tuple[str, str]) -> Answer:
        if asked.method == "PUT":
            new = key not in self._regions
            self._regions[key] = {"cloud-owner": key[0], "cloud-region-id": key[1], **asked.json()}
            return Answer(201 if new else 200)
        if key not in self._regions:
            return _error(404, "SVC3001", "Resource not found for %1 using id %2 (msg=%3) (ec=%4)")
        if asked.method == "DELETE":
            del self._regions[key]
            return Answer(204)
        return Answer(200, self._regions[key])


def _error(status: int, message_id: str, text: str) -> Answer:
    """A fault as A&AI words it."""
    exception = {"messageId": message_id, "text": text, "variables": ["GET", "cloud-infrastructure"]}
    return Answer(status, {"requestError": {"serviceException": exception}})
