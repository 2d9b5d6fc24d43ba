"""httplint, the engine of REDbot, on every kind of answer of the broker."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conformance.conftest import HERE, run
from tests.conftest import FRAMEWORKS, Process, a_broker, read_all, until
from tests.contract.callers import users
from tests.contract.conftest import BASE, V0, Simulated, told

Exchange = tuple[bytes, bytes, float]
"""A request, its answer, and when that came."""

IMPATIENT = {
    "BROKER_SERVER_HEADER_TIMEOUT": "1",
    "BROKER_SERVER_BODY_TIMEOUT": "1",
    "BROKER_UPSTREAM_RESPONSE_TIMEOUT": "1",
}


def request(method: str, target: str, *headers: str, body: str = "", version: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {target} {version}", "Host: broker", "User-Agent: test", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


CHECK = f"{BASE}/v0/check_vim_capacity"
JSON = '{"vCPU": 1, "VIMs": ["vmware_fake"]}'
LENGTH = f"Content-Length: {len(JSON)}"

OWN = {
    **{
        f"{method} {path}": (200, request(method, path))
        for method in ("GET", "HEAD")
        for path in (
            *(f"{BASE}/{version}/{name}" for version in ("v0", "v1") for name in ("vim_types", "swagger.json")),
            *("/livez", "/readyz", "/startupz", "/healthz", "/healthz?verbose", "/metrics"),
        )
    },
    "a probe in JSON": (200, request("GET", "/healthz?verbose", "Accept: application/json")),
    "HTTP/1.0": (200, request("GET", f"{BASE}/v0/vim_types", version="HTTP/1.0")),
    "capacity": (200, request("POST", CHECK, LENGTH, body=JSON)),
    "no JSON": (400, request("POST", CHECK, "Content-Length: 1", body="x")),
    "no vim_id": (400, request("GET", f"{BASE}/v0/nope/x")),
    "no HTTP": (400, b"GET  / HTTP/1.1\r\n\r\n"),
    "two framings": (400, request("POST", "/", LENGTH, "Transfer-Encoding: chunked")),
    "no such path": (404, request("GET", "/nowhere")),
    "no such region": (404, request("GET", f"{BASE}/v0/no_region/x")),
    "HEAD of no such region": (404, request("HEAD", f"{BASE}/v0/no_region/x")),
    "own endpoint's method": (405, request("POST", f"{BASE}/v0/vim_types", "Content-Length: 0")),
    "probe's method": (405, request("DELETE", "/healthz")),
    "head in time": (408, b"GET / HTTP/1.1\r\nHost: x\r\n"),
    "body in time": (408, request("POST", CHECK, LENGTH, body="{")),
    "large": (413, request("POST", CHECK, "Content-Length: 1100000", body=" " * 1100000)),
    "long": (414, request("GET", "/" + "x" * 9000)),
    "expectation": (417, request("POST", CHECK, "Expect: 200-ok", LENGTH)),
    "fields": (431, request("GET", "/", *(f"X-{number}: y" for number in range(200)))),
    "TRACE": (501, request("TRACE", "/")),
    "unknown method": (501, request("BREW", "/")),
    "garbled": (502, request("GET", f"{V0}/x", "X-Fault: garbage")),
    "cut": (502, request("GET", f"{V0}/x", "X-Fault: close")),
    "incomplete": (502, request("GET", f"{BASE}/v0/CloudOwner_Typeless/x")),
    "unserved": (502, request("GET", f"{BASE}/v0/CloudOwner_Unserved/x")),
    "late": (504, request("GET", f"{V0}/x", "X-Fault: delay=5")),
    "version": (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
}
"""Each kind of answer of the broker's own: its status, and the request that it is for."""

FORWARDED = {
    "tenants": (200, request("GET", f"{V0}/tenants")),
    "HEAD": (200, request("HEAD", f"{V0}/x", f"X-Answer: {told(200, ('Content-Length', '12'))}")),
    "made": (201, request("POST", f"{V0}/identity/v3/auth/tokens", "Content-Length: 2", body="{}")),
    "registered": (202, request("POST", f"{V0}/registry", "Content-Length: 2", body="{}")),
    "unregistered": (204, request("DELETE", V0)),
    "unchanged": (304, request("GET", f"{V0}/x", f"X-Answer: {told(304, ('ETag', chr(34) * 2))}")),
    "chunked": (200, request("GET", f"{V0}/x", f"X-Answer: {told(200, body=b'12', chunked=True)}")),
    "in use": (409, request("GET", f"{V0}/x", f"X-Answer: {told(409, body=b'{}')}")),
}
"""Answers of a plugin that says little: what is bad in them would be the broker's doing."""

SAYS_THE_STATUS = {
    "STATUS_BAD_REQUEST": 400,
    "STATUS_URI_TOO_LONG": 414,
    "STATUS_VERSION_NOT_SUPPORTED": 505,
}
"""Notes that say no more than that the answer is an error, which it is meant to be, and the status that they go with."""

PLUGINS_TO_SAY = {
    "FRESHNESS_HEURISTIC",  # whether a plugin's answer may be cached, and how long
    "CREATED_WITHOUT_LOCATION",  # where what it made is; Keystone's tokens have no place
}
"""Notes on what a plugin left out; the broker adds nothing to what a plugin says."""


@pytest.fixture(scope="module")
def impatient(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    """Brokers whose time limits a test can wait for."""
    with a_broker("django", **scene, **IMPATIENT) as django, a_broker("pecan", **scene, **IMPATIENT) as pecan:
        yield dict(zip(FRAMEWORKS, (django, pecan), strict=True))


def complaints(answers: Mapping[str, Exchange]) -> dict[tuple[str, str], str]:
    """What httplint warns of or calls bad, by the answer's name and the note's."""
    coded = [(b64encode(one).decode(), b64encode(other).decode(), when) for one, other, when in answers.values()]
    status, said = run("python", str(HERE / "lint.py"), stdin=json.dumps(coded))
    assert status == 0, said
    return {
        (name, note["name"]): note["summary"]
        for name, notes in zip(answers, json.loads(said), strict=True)
        for note in notes
        if note["level"] in ("bad", "warning")
    }


def answered(broker: Process, table: Mapping[str, tuple[int, bytes]]) -> dict[str, Exchange]:
    """The answer to each request of a table; fails on one of another status."""
    exchanges = {}
    for name, (status, wanted) in table.items():
        answer = broker.raw(wanted)
        assert answer.startswith(b"HTTP/1.1 %d " % status), (name, answer[:200])
        exchanges[name] = (wanted, answer, time.time())
    return exchanges


def test_httplint_has_no_complaint_of_the_brokers_own_answers(
    impatient: dict[str, Process], plugin: Simulated, framework: str
) -> None:
    found = complaints(answered(impatient[framework], OWN))
    meant = {(name, note) for name, note in found if SAYS_THE_STATUS.get(note) == OWN[name][0]}
    assert {key: summary for key, summary in found.items() if key not in meant} == {}
    assert {note for _, note in meant} == set(SAYS_THE_STATUS)  # it does look


def test_httplint_has_no_complaint_of_what_the_broker_does_to_a_plugins_answers(
    impatient: dict[str, Process], plugin: Simulated, framework: str
) -> None:
    found = complaints(answered(impatient[framework], FORWARDED))
    assert {key: summary for key, summary in found.items() if key[1] not in PLUGINS_TO_SAY} == {}


@pytest.mark.parametrize(
    ("limit", "status"), [("BROKER_SERVER_REQUESTS_MAX", 503), ("BROKER_CLIENTS_REQUESTS_MAX", 429)]
)
def test_httplint_has_no_complaint_of_a_refusal_for_load(
    scene: dict[str, str], plugin: Simulated, framework: str, limit: str, status: int
) -> None:
    with a_broker(framework, **{**scene, limit: "1"}) as broker, broker.connect() as first:
        first.sendall(request("GET", f"{V0}/held", "X-Fault: delay=3"))
        until(lambda: plugin.asked("held"))
        refused = answered(broker, {"shed": (status, request("GET", f"{V0}/x"))})
        assert b"\r\nRetry-After: " in refused["shed"][1]
        assert complaints(refused) == {}
        assert read_all(first).startswith(b"HTTP/1.1 200 ")


def test_httplint_has_no_complaint_of_a_refusal_of_callers(
    scene: dict[str, str], framework: str, tmp_path: Path
) -> None:
    wanted = f"{BASE}/v0/vim_types"
    callers = {
        "nobody": (401, request("GET", wanted)),
        "a wrong password": (401, request("GET", wanted, f"Authorization: Basic {b64encode(b'alice:no').decode()}")),
        "a wrong token": (401, request("GET", wanted, "Authorization: Bearer a.b.c")),
        "two at once": (400, request("GET", wanted, "Authorization: Basic YTpi", "Authorization: Basic YTpi")),
        "the right one": (200, request("GET", wanted, f"Authorization: Basic {b64encode(b'alice:pass').decode()}")),
    }
    with a_broker(framework, **scene, BROKER_AUTH_BASIC_FILE=users(tmp_path / "users", alice="pass")) as broker:
        found = complaints(answered(broker, callers))
    assert set(found) <= {("two at once", "STATUS_BAD_REQUEST")}, found
