"""A simulator of provider plugins: VoLTE's resources, registration, identity, capacity and workloads.

One of them serves any number of plugins, as `/api/{plugin}/v0/{vim_id}/...` and `/api/{plugin}/v1/{owner}/{id}/...`,
and, at the root, `/{owner}/{id}/...` as the k8s plugin does. What it does not know it echoes: method, target, headers,
and the body's length and digest. A request may say what to answer: `X-Answer` is the base64 of
`{"status", "reason", "headers": [[name, value]], "body": base64, "chunked"}`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from typing import Any
from urllib.parse import parse_qs

from app.simulators.http import Answer, Asked
from app.simulators.resources import STATUS, Cloud, InUse, Missing, tenants

V0 = re.compile(r"/api/[^/]+/v0/([^/]+)(/.*)?")
V1 = re.compile(r"/api/[^/]+/v1/([^/]+)/([^/]+)(/.*)?")
ROOT = re.compile(r"/(?!api/)([^/]+)/([^/]+)(/.*)?")
RESOURCE = re.compile(rf"/([^/]+)/({'|'.join(STATUS)})(?:/([^/]+))?(/action|/os-interface(?:/[^/]+)?)?")
WORKLOAD = re.compile(r"/infra_workload(?:/([^/]+))?")
LIMITS = {"maxTotalCores": 64, "maxTotalRAMSize": 131072, "maxTotalInstances": 32}


class Plugin:
    """The application. `cloud` holds the resources."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._registered: dict[str, Any] = {}
        self._capacity: dict[str, Any] = {}
        self._workloads: dict[tuple[str, str], dict[str, Any]] = {}

    def __call__(self, asked: Asked) -> Answer:
        told = asked.header("X-Answer")
        if told is not None:
            return _told(told)
        vim_id, rest = _region(asked.path)
        if vim_id is None:
            return Answer(404, {"error": f"{asked.path} is below no region"})
        try:
            return self._serve(asked, vim_id, rest.rstrip("/"))
        except Missing as error:
            return Answer(404, {"error": f"there is no {error}"})
        except InUse as error:
            return Answer(409, {"error": str(error)})
        except ValueError as error:
            return Answer(400, {"error": str(error)})

    def _serve(self, asked: Asked, vim_id: str, rest: str) -> Answer:
        if rest == "/registry":
            return self._registry(asked, vim_id)
        if rest == "" and asked.method == "DELETE":
            self._registered.pop(vim_id, None)
            return Answer(204)
        if rest == "/tenants" and asked.method == "GET":
            wanted = _name(asked)
            found = [tenant for tenant in tenants(vim_id) if wanted in (None, tenant["name"])]
            return Answer(200, {"vimId": vim_id, "vimName": vim_id, "tenants": found})
        if rest == "/capacity_check":
            return self._capacity_check(asked, vim_id)
        if rest == "/extensions":
            return Answer(200, {"vimId": vim_id, "extensions": []})
        if rest.startswith("/identity/"):
            return _identity(asked, vim_id, rest)
        if match := WORKLOAD.fullmatch(rest):
            return self._workload(asked, vim_id, match[1])
        if match := RESOURCE.fullmatch(rest):
            return self._resource(asked, vim_id, match)
        return _described(asked, vim_id, rest)

    def _registry(self, asked: Asked, vim_id: str) -> Answer:
        with self._lock:
            if asked.method == "POST":
                self._registered[vim_id] = asked.body.decode("latin-1")
                return Answer(202)
            if vim_id not in self._registered:
                raise Missing(f"registration of {vim_id}")
            return Answer(200, {"vimId": vim_id, "registered": True})

    def _capacity_check(self, asked: Asked, vim_id: str) -> Answer:
        """PUT sets what a region answers; POST asks. Without a word set, there is room."""
        with self._lock:
            if asked.method == "PUT":
                self._capacity[vim_id] = asked.json()
                return Answer(204)
            asked.json()
            return Answer(200, self._capacity.get(vim_id, {"result": True, "AZs": [{"availability-zone-name": "az1"}]}))

    def _workload(self, asked: Asked, vim_id: str, id_: str | None) -> Answer:
        with self._lock:
            if id_ is None and asked.method == "POST":
                id_ = uuid.uuid4().hex
                self._workloads[vim_id, id_] = {"template_type": "heat", "workload_id": id_, "template_response": []}
                return Answer(201, self._workloads[vim_id, id_])
            if id_ is None:
                found = [one for (region, _), one in self._workloads.items() if region == vim_id]
                return Answer(200, {"workloads": found})
            if (vim_id, id_) not in self._workloads:
                raise Missing(f"workload {id_}")
            if asked.method == "DELETE":
                del self._workloads[vim_id, id_]
                return Answer(204)
            return Answer(202 if asked.method == "POST" else 200, self._workloads[vim_id, id_])

    def _resource(self, asked: Asked, vim_id: str, match: re.Match[str]) -> Answer:
        tenant, kind, id_, below = match.groups()
        key = (vim_id, tenant, kind)
        common = {"vimId": vim_id, "vimName": vim_id, "tenantId": tenant}
        if below == "/action":
            self._cloud.act(key, id_, next(iter(asked.json_object()), ""))
            return Answer(202)
        if below is not None:
            return self._interfaces(asked, key, id_, below.removeprefix("/os-interface").strip("/"))
        if asked.method == "POST" and id_ is None:
            return Answer(200, {**self._cloud.create(key, asked.json()), **common})
        if asked.method == "DELETE" and id_ is not None:
            self._cloud.delete(key, id_)
            return Answer(204)
        if asked.method not in ("GET", "HEAD"):
            return Answer(405, {"error": f"{asked.method} is not for {kind}"}, [("Allow", "GET, POST, DELETE")])
        if id_ is not None:
            return Answer(200, {**self._cloud.get(key, id_), **common})
        return Answer(200, {**common, kind: self._cloud.list(key, _name(asked))})

    def _interfaces(self, asked: Asked, key: tuple[str, str, str], server: str, port: str) -> Answer:
        if asked.method == "POST":
            port = str(asked.json_object().get("portId"))
            self._cloud.attach(key, server, port)
            return Answer(200, {"portId": port})
        if asked.method == "DELETE":
            self._cloud.detach(key, server, port)
            return Answer(202)
        nics = self._cloud.get(key, server).get("nicArray", [])
        if port:
            found = [nic for nic in nics if nic["portId"] == port]
            return Answer(200, found[0]) if found else Answer(404, {"error": f"there is no interface {port}"})
        return Answer(200, {"interfaces": nics})


def _region(path: str) -> tuple[str | None, str]:
    """The vim_id of a path, and what follows."""
    if match := V0.fullmatch(path):
        return match[1], match[2] or ""
    match = V1.fullmatch(path) or ROOT.fullmatch(path)
    return (f"{match[1]}_{match[2]}", match[3] or "") if match else (None, "")


def _name(asked: Asked) -> str | None:
    return next(iter(parse_qs(asked.target.partition("?")[2]).get("name", [])), None)


def _told(text: str) -> Answer:
    told = json.loads(base64.b64decode(text))
    headers = [(name, value) for name, value in told.get("headers", [])]
    body = base64.b64decode(told.get("body", ""))
    return Answer(
        told["status"], headers=headers, body=body, reason=told.get("reason", ""), chunked=told.get("chunked", False)
    )


def _identity(asked: Asked, vim_id: str, rest: str) -> Answer:
    """Keystone's v3 discovery and token, and v2's token; the catalog leads back through the broker."""
    base = f"http://{asked.header('Host')}{asked.path[: -len(rest)]}"
    if rest == "/identity/v3":
        links = [{"rel": "self", "href": f"{base}/identity/v3"}]
        return Answer(200, {"version": {"id": "v3.14", "status": "stable", "links": links, "media-types": []}})
    tenant = tenants(vim_id)[0]
    if rest == "/identity/v3/auth/tokens" and asked.method == "POST":
        asked.json()
        token = {
            "methods": ["password"],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "u1", "name": "volte", "domain": {"id": "default", "name": "Default"}},
            "project": {**tenant, "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r1", "name": "member"}],
            "catalog": [],
        }
        return Answer(201, {"token": token}, [("X-Subject-Token", uuid.uuid4().hex), ("Vary", "X-Auth-Token")])
    if rest == "/identity/v2.0/tokens" and asked.method == "POST":
        asked.json()
        token = {"id": uuid.uuid4().hex, "expires": "2099-01-01T00:00:00Z", "tenant": tenant}
        return Answer(200, {"access": {"token": token, "serviceCatalog": []}})
    return _described(asked, vim_id, rest)


def _described(asked: Asked, vim_id: str, rest: str) -> Answer:
    """Hosts and limits of a tenant; an echo of anything else."""
    segments = rest.split("/")
    if len(segments) > 2 and segments[2] == "hosts":
        hosts = [{"name": name, "cpu": 32, "memoryMb": 65536, "diskGb": 1000} for name in ("compute-1", "compute-2")]
        if len(segments) == 3:
            return Answer(200, {"vimId": vim_id, "tenantId": segments[1], "hosts": hosts})
        found = [host for host in hosts if host["name"] == segments[3]]
        return Answer(200, {"host": found}) if found else Answer(404, {"error": f"there is no host {segments[3]}"})
    if len(segments) == 3 and segments[2] == "limits":
        return Answer(200, {"vimId": vim_id, "tenantId": segments[1], **LIMITS})
    return Answer(200, {key: value for key, value in asked.as_dict().items() if key != "body"})
