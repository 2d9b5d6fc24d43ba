"""Both frameworks answer byte for byte alike, apart from dates and ids; what they pass on is alike too."""

from __future__ import annotations

import re

import pytest

from tests.conftest import FRAMEWORKS, Process
from tests.contract.conftest import BASE, V0, V1, Simulated, told

VARIES = re.compile(rb"(?<=\r\nDate: )[^\r]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")


def request(method: str, path: str, *headers: str, body: str = "", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: broker.example", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join([*lines, "", ""]) + body).encode("latin-1")


OWN = [
    f"{BASE}/{version}/{name}"
    for version in ("v0", "v1")
    for name in ("vim_types", "swagger.json", "check_vim_capacity")
]
ACCEPTS = ("", "Accept: application/json", "Accept: text/html", "Accept: image/x-odd;q=0", "Accept: ")
CASES = [
    *(request(method, path) for path in OWN for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND")),
    *(request("GET", path + tail) for path in OWN for tail in ("/", "/x", "?", "?a=%FF&b", ";x", "%2F", "//", ".json")),
    *(request("GET", path, accept) for path in (OWN[0], V0 + "/x", f"{BASE}/v2/x") for accept in ACCEPTS),
    *(request("GET", path) for path in ("/", "//", "/api", "/api/", BASE, f"{BASE}/", f"{BASE}/v0", f"{BASE}/v0/", f"{BASE}/v1",
        f"{BASE}/v1/", f"{BASE}/v1/a", f"{BASE}/v1/a/", f"{BASE}/v3/x", "/favicon.ico", "/api/other/v0/x", "/*", "/%61pi/multicloud/v0/vim_types",
        f"{BASE}/v0/%76im_types", f"{BASE}//v0/vim_types", f"{BASE}/V0/vim_types", "/metrics/", "/livez/", "/healthz/x")),
    *(request("GET", f"{BASE}/v0/{vim_id}{tail}") for vim_id in ("nounderscore", "a_b", "_", "a_", "_b", "a%5Fb", "a.b_c", "caf%E9_x")
        for tail in ("", "/", "/x", "/x.txt")),
    *(request("GET", where + rest) for where in (V0, V1) for rest in ("", "/", "//", "/a%2Fb", "/x.rpm", "/x/", "/%FF", "?q", "/x?a=%FF",
        "/../x", "/%2e%2e/x", "/a;b", "/vim_types", "/swagger.json", "/t/limits", "/t/hosts", "/extensions", "/tenants?name=volte")),
    *(request(method, V0 + "/x", body="{}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT", "M-SEARCH")),
    *(request("POST", f"{BASE}/{version}/check_vim_capacity", kind, body=body) for version in ("v0", "v1") for kind in ("Content-Type: application/json",
        "Content-Type: text/plain", "Content-Type: multipart/form-data; boundary=x", "Content-Type: application/x-www-form-urlencoded", "X: y")
        for body in ("", "{", "[]", "{}", "a=1", '{"VIMs": []}', '{"VIMs": ["vmware_fake"]}', '{"VIMs": [{"cloud-owner": "vmware", "cloud-region-id": "fake"}]}')),
    *(request("GET", V0 + "/x", f"X-Answer: {told(status, ('X-A', '1'), ('Link', 'a'), ('Link', 'b'), body=b'body' if status not in (204, 304) else b'')}")
        for status in (200, 201, 202, 204, 206, 301, 304, 400, 404, 409, 418, 500, 503)),
    *(request("HEAD", V0 + "/x", f"X-Answer: {told(status, ('Content-Type', 'x/y'), ('Content-Length', '12'))}") for status in (200, 404)),
    *(request("GET", V0 + "/x", f"X-Fault: {fault}") for fault in ("close", "garbage", "switch", "status=500", "early-hints")),
    *(request("POST", V1 + "/infra_workload", kind, body="\xff\x00--x") for kind in ("Content-Type: multipart/form-data; boundary=--x", "Content-Type: application/json",
        "Content-Type: application/x-www-form-urlencoded", "Content-Type: ;;;")),
    *(request("GET", path, version="1.0") for path in (OWN[0], V0 + "/x")),
    *(request("GET", f"{BASE}/v0/CloudOwner_{region}/x") for region in ("RegionOne", "Typeless", "Unserved", "Nowhere")),
    request("GET", V0 + "/x", "X-ONAP-RequestID: mine"),
    request("GET", V0 + "/x", "Expect: 200-maybe"),
    request("GET", "http://absolute.example" + OWN[0]),
    request("OPTIONS", "*"),
    b"garbage\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
]  # fmt: skip


def test_there_are_many_cases() -> None:
    assert len(CASES) > 250


@pytest.mark.parametrize("part", range(8))
def test_both_frameworks_are_alike(both: dict[str, Process], aai: Simulated, plugin: Simulated, part: int) -> None:
    for case in CASES[part::8]:
        answers, passed_on = [], []
        for name in FRAMEWORKS:
            plugin.control("DELETE", "/_recorded")
            answers.append(VARIES.sub(b"*", both[name].raw(case)))
            passed_on.append(
                [(one["method"], one["target"], one["body"], len(one["headers"])) for one in plugin.asked()]
            )
        assert answers[0] == answers[1], case
        assert passed_on[0] == passed_on[1], case
        assert re.match(rb"HTTP/1\.[01] \d{3} ", answers[0]), case
        assert b" 500 Internal" not in answers[0] or b"status=500" in case or b"X-Answer" in case, case
