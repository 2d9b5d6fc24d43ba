"""What a simulated cloud holds: VoLTE's resources of a region's tenants, with the rules of who uses whom."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import fastjsonschema

from app.web.schemas import CREATE

Resource = dict[str, Any]
Key = tuple[str, str, str]
"""Region's vim_id, tenant id, kind (plural)."""

TENANTS = ("volte", "admin")
STATUS = {  # of each kind: while it settles, and then
    "images": ("queued", "active"),
    "networks": ("BUILD", "ACTIVE"),
    "subnets": ("ACTIVE", "ACTIVE"),
    "ports": ("DOWN", "ACTIVE"),
    "flavors": None,
    "servers": ("BUILD", "ACTIVE"),
    "volumes": ("creating", "available"),
}
CHECKS = {kind: fastjsonschema.compile(dict(schema)) for kind, schema in CREATE.items()}
ACTIONS = {"os-stop": "SHUTOFF", "os-start": "ACTIVE", "reboot": "ACTIVE"}


class Missing(LookupError):
    """There is no such resource."""


class Invalid(ValueError):
    """The body lacks something, or names what does not exist."""


class InUse(Exception):
    """It cannot be deleted: something else uses it."""


def tenants(vim_id: str) -> list[Resource]:
    """The tenants of a region: always the same ids for the same region."""
    return [{"id": uuid.uuid5(uuid.NAMESPACE_URL, f"{vim_id}/{name}").hex, "name": name} for name in TENANTS]


class Cloud:
    """The resources of every region; `settle` seconds pass until what was made is ready, or what was deleted gone."""

    def __init__(self, settle: float = 0.0) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._kinds: dict[Key, dict[str, Resource]] = {}

    def create(self, key: Key, wanted: object) -> Resource:
        """A new resource, or the one of that name with returnCode 0. Raises `Invalid`."""
        kind = key[2]
        body = _checked(kind, wanted)
        with self._lock:
            held = self._kinds.setdefault(key, {})
            for resource in self._present(key):
                same = resource["name"] == body["name"] and resource.get("networkId") == body.get("networkId")
                if same:
                    return {**self._shown(kind, resource), "returnCode": 0}
            self._refer(key, body)
            resource = {**body, "id": str(uuid.uuid4()), "_made": time.monotonic(), "_gone": None}
            held[resource["id"]] = resource
            return {**self._shown(kind, resource), "returnCode": 1}

    def list(self, key: Key, name: str | None = None) -> list[Resource]:
        with self._lock:
            found = [self._shown(key[2], one) for one in self._present(key)]
        return [one for one in found if name in (None, one["name"])]

    def get(self, key: Key, id_: str) -> Resource:
        """Raises `Missing`."""
        with self._lock:
            return self._shown(key[2], self._find(key, id_))

    def delete(self, key: Key, id_: str) -> None:
        """Raises `Missing` and `InUse`."""
        with self._lock:
            resource = self._find(key, id_)
            for kind in STATUS:
                for other in self._present((key[0], key[1], kind)):
                    if id_ in _uses(kind, other):
                        raise InUse(f"{key[2].removesuffix('s').capitalize()}InUse: {kind} {other['id']} uses {id_}")
            resource["_gone"] = time.monotonic() + (self._settle if key[2] == "servers" else 0)

    def act(self, key: Key, id_: str, action: str) -> None:
        """Start, stop or reboot a server. Raises `Missing` and `Invalid`."""
        if action not in ACTIONS:
            raise Invalid(f"action is one of {', '.join(ACTIONS)}")
        with self._lock:
            self._find(key, id_)["_status"] = ACTIONS[action]

    def attach(self, key: Key, id_: str, port: str) -> None:
        """A port to a server. Raises `Missing`."""
        with self._lock:
            self._find((key[0], key[1], "ports"), port)
            server = self._find(key, id_)
            server["nicArray"] = [*server.get("nicArray", []), {"portId": port}]

    def detach(self, key: Key, id_: str, port: str) -> None:
        """Raises `Missing`."""
        with self._lock:
            server = self._find(key, id_)
            left = [nic for nic in server.get("nicArray", []) if nic.get("portId") != port]
            if left == server.get("nicArray", []):
                raise Missing(port)
            server["nicArray"] = left

    def forget(self, vim_id: str) -> None:
        """A region was unregistered: what it held is its own affair, but no longer ours."""
        with self._lock:
            for key in [key for key in self._kinds if key[0] == vim_id]:
                del self._kinds[key]

    # With the lock held.

    def _present(self, key: Key) -> Iterator[Resource]:
        now = time.monotonic()
        for resource in self._kinds.get(key, {}).values():
            if resource["_gone"] is None or resource["_gone"] > now:
                yield resource

    def _find(self, key: Key, id_: str) -> Resource:
        for resource in self._present(key):
            if resource["id"] == id_:
                return resource
        raise Missing(id_)

    def _shown(self, kind: str, resource: Resource) -> Resource:
        shown = {name: value for name, value in resource.items() if not name.startswith("_")}
        status = STATUS[kind]
        if status is not None:
            ready = time.monotonic() - resource["_made"] >= self._settle
            shown["status"] = resource.get("_status", status[1]) if ready else status[0]
        return shown

    def _refer(self, key: Key, body: Resource) -> None:
        """Whatever a new resource names has to exist."""
        for plural, id_ in _references(body):
            try:
                self._find((key[0], key[1], plural), id_)
            except Missing:
                raise Invalid(f"{plural.removesuffix('s')} {id_} does not exist") from None


def _checked(kind: str, wanted: object) -> Resource:
    if not isinstance(wanted, dict):
        raise Invalid("send a JSON object")
    required = CREATE[kind]["required"]
    assert isinstance(required, list)
    missing = [name for name in required if name not in wanted]
    if missing:
        raise Invalid(f"{', '.join(missing)} missing")
    try:
        CHECKS[kind](wanted)
    except fastjsonschema.JsonSchemaValueException as error:
        raise Invalid(error.message) from None
    return wanted


def _references(body: Resource) -> Iterator[tuple[str, str]]:
    names = {"networkId": "networks", "subnetId": "subnets", "flavorId": "flavors"}
    yield from ((plural, body[name]) for name, plural in names.items() if body.get(name))
    boot = body.get("boot", {})
    yield from ((plural, boot[name]) for name, plural in BOOT.items() if boot.get(name))
    yield from (("ports", nic["portId"]) for nic in body.get("nicArray", []) if nic.get("portId"))


BOOT = {"volumeId": "volumes", "imageId": "images"}


def _uses(kind: str, resource: Resource) -> set[str]:
    """Ids that cannot be deleted while this resource is there; a flavor and an image may go."""
    keeps = {"subnets": {"networks"}, "ports": {"networks", "subnets"}, "servers": {"ports", "volumes"}}.get(
        kind, set()
    )
    return {id_ for plural, id_ in _references(resource) if plural in keeps}
