"""Reading answers: tolerant of what plugins leave out, never of what contradicts. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

PENDING = frozenset(
    {"build", "building", "creating", "downloading", "importing", "pending", "pending_create", "queued", "rebuild",
     "saving", "spawning", "uploading"}
)  # fmt: skip
"""The statuses of Nova, Glance, Cinder and Neutron that end by themselves. A port's DOWN is none: it is not plugged."""

BROKEN = ("error", "killed", "failed", "deleted")
"""How the statuses begin that never become ready."""

DETAIL = 200
"""Characters of a body that are shown where it has no message that we know."""

Document = Mapping[str, object]
Readiness = Literal["ready", "pending", "broken"]


class Failure(Exception):
    """A step did not work; the text says why, in a clause."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""

    def document(self) -> Document:
        """The JSON object of the body, empty for an empty body. Raises `Failure`."""
        if not self.body.strip():
            return {}
        try:
            document = json.loads(self.body)
        except ValueError:
            raise Failure(f"answered {self.status} with a body that is not JSON: {_excerpt(self.body)}") from None
        if not isinstance(document, dict):
            raise Failure(f"answered {self.status} with JSON that is not an object")
        return document

    def in_use(self) -> bool:
        """What VF-C looks for before it tries a DELETE again."""
        return self.status == HTTPStatus.CONFLICT and b"InUse" in self.body

    def refusal(self, expected: Collection[int]) -> str:
        """Why the step failed, with the message of the broker's or the plugin's error where there is one."""
        wanted = " or ".join(map(str, sorted(expected)))
        told = _message(self.body)
        return f"answered {self.status}, not {wanted}" + (f": {told}" if told else "")


def _message(body: bytes) -> str:
    """The broker's `{"error": {"message"}}`, or the body's beginning."""
    try:
        document = json.loads(body)
    except ValueError:
        return _excerpt(body)
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return printable(error)[:DETAIL] if isinstance(error, str) else _excerpt(body)


def _excerpt(body: bytes) -> str:
    return printable(body[:DETAIL].decode("utf-8", "replace"))


def printable(text: str) -> str:
    """One line without control characters: it goes to a terminal."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def identifier(document: Document) -> str:
    """The id, as text. Raises `Failure`."""
    found = document.get("id")
    if found is None or isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise Failure("the answer has no id")
    return str(found)


def existed(document: Document) -> bool:
    """Whether a creation found its resource there already; without a returnCode it is new."""
    return str(document.get("returnCode")) == "0"


def items(document: Document, plural: str) -> list[Document]:
    """The objects of a list's answer. Raises `Failure`."""
    found = document.get(plural)
    if not isinstance(found, list):
        raise Failure(f"the answer has no list of {plural}")
    return [item for item in found if isinstance(item, dict)]


def listed(document: Document, plural: str, id_: str) -> bool:
    """Whether a list has the id; one that is shown as deleted is not there. Raises `Failure`."""
    return any(
        str(item.get("id")) == id_ and not status_of(item).startswith("deleted") for item in items(document, plural)
    )


def named(document: Document, plural: str, name: object) -> str | None:
    """The id of the object of that name, if there is one. Raises `Failure`."""
    return next((identifier(item) for item in items(document, plural) if item.get("name") == name), None)


def pick_tenant(document: Document, wanted: str) -> str:
    """The id of the tenant of that name or id, or of the first one. Raises `Failure`."""
    tenants = items(document, "tenants")
    for tenant in tenants:
        if wanted in ("", tenant.get("name"), tenant.get("id")):
            return identifier(tenant)
    raise Failure(f"there is no tenant {wanted}" if wanted else "the region has no tenants")


def status_of(document: Document) -> str:
    """The status in lower case, empty where there is none."""
    status = document.get("status")
    return printable(status).lower() if isinstance(status, str) else ""


def readiness(status: str, states: Collection[str] = ()) -> Readiness:
    """What a status means where one of `states`, or else anything that is not under way, is waited for."""
    if not status or status in states:
        return "ready"
    if status.startswith(BROKEN):
        return "broken"
    return "pending" if states or status in PENDING else "ready"
