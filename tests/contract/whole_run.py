"""Everything that a broker does, by requests that hold secrets wherever a secret may be."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from app.web.api import builtin
from tests.conftest import ROOT, until
from tests.contract.conftest import BASE, V0, Simulated, told
from tests.contract.evidence import AUTHORIZATIONS, QUERY, Client, S, headers
from tests.contract.test_declared import path_of

BODY = {"password": S["RequestBody"], "auth": {"identity": {"password": {"user": {"password": S["RequestBody"]}}}}}

FAILURES = 20
"""In a row, after which a plugin is left alone; fewer are made of a plugin that is needed."""


def drive(client: Client, plugin: Simulated, aai: Simulated) -> None:
    """Everything that the broker does."""
    declared(client)
    errors_of_the_broker(client)
    failing_plugins(client)
    failing_inventory(client, aai)
    capacity(client, plugin)
    dead_plugin(client)
    overload(client)
    busy_plugin(client)
    leaving(client)
    pages(client)
    volte(client)


def declared(client: Client) -> None:
    for route in builtin().routes:
        for method in route.operations:
            client.ask(method, path_of(route), BODY if method in ("POST", "PUT", "PATCH") else None, own=route.own)
    said = told(
        201,
        ("X-Subject-Token", S["SubjectToken"]),
        ("Set-Cookie", f"session={S['SetCookie']}"),
        ("Location", f"http://u:{quote(S['Userinfo'], safe='')}@elsewhere/"),
        body=S["AnswerBody"].encode(),
        reason=S["ReasonPhrase"],
    )
    client.ask("POST", V0 + "/identity/v3/auth/tokens", BODY, X_Answer=said)
    client.ask("POST", V0 + "/registry", f"password={quote_plus(S['RequestBody'])}".encode())


def errors_of_the_broker(client: Client) -> None:
    userinfo, secret = quote(S["Userinfo"], safe=""), S["Userinfo"]
    for path in (f"{BASE}/v0/nounderscore", f"{BASE}/v1/own.er/x/y", V0 + "/../x", f"{BASE}/v3/x", "/", f"{BASE}/v0/CloudOwner_Nowhere/x",
                 f"{BASE}/v0/CloudOwner_Typeless/x", f"{BASE}/v0/CloudOwner_Unserved/x", f"{BASE}/v0/k8s_cluster-1/x"):  # fmt: skip
        client.ask("POST", path, BODY)
    client.ask("PUT", f"{BASE}/v0/vim_types", BODY)
    client.raw(f"GET http://user:{userinfo}@broker{V0}/x HTTP/1.1")
    client.raw(f"GET http://user:{secret}@broker{V0}/x HTTP/1.1")
    client.raw(f"GET {V0}/x?password={secret}# HTTP/1.1")
    client.raw(f"GET {V0}/x HTTP/1.1", f"Host: user:{secret}@broker")
    client.raw(f"BREW {V0}/x HTTP/1.1")
    client.raw(f"GET {V0}/x?password={QUERY} HTTP/2.0")
    client.raw(f"GET {V0}/x HTTP/1.1", "Expect: 200-ok")
    client.raw(f"GET {V0}/x?password={QUERY}{'x' * 9000} HTTP/1.1")
    client.raw(f"GET {V0}/x HTTP/1.1", f"X-Long: {S['AuthToken'] * 4000}")
    client.raw(f"GET {V0}/x HTTP/1.1", f"X-Auth-Token: {S['AuthToken']}\x00")
    client.raw(f"GET {V0}/x HTTP/1.1", f"X Auth Token: {S['AuthToken']}")
    client.raw(f"GET {V0}/x HTTP/1.1", f" folded: {S['AuthToken']}")
    client.raw(f"POST {V0}/x HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked")
    client.raw(f"POST {V0}/x HTTP/1.1", "Transfer-Encoding: chunked", rest=f"{S['RequestBody']}\r\n".encode())
    client.raw(f"POST {V0}/x HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close", own=False,
               rest=b"1;a=" + S["RequestBody"].encode() + b"\r\nx\r\n0\r\nX-Trailer: " + S["Trailer"].encode() + b"\r\n\r\n")  # fmt: skip
    client.raw(f"POST {V0}/x HTTP/1.1", "Content-Length: 999", rest=S["RequestBody"].encode())  # too slow: 408
    client.raw(S["BearerToken"])
    client.raw(f"\x16\x03\x01{S['BearerToken']}")


def failing_plugins(client: Client) -> None:
    for fault in (
        "close",
        "reset",
        "garbage",
        "cut",
        "cut-at-head",
        "cut-chunked",
        "switch",
        "extra",
        "early-hints",
        "delay=3",
        "status=500",
    ):
        client.ask("GET", V0 + "/x", X_Fault=fault)
        client.ask("POST", V0 + "/x", BODY, X_Fault=fault)
    token = S["SubjectToken"]
    for name, value in (("X Bad", token), ("X-Bad", f"{token}\x00"), ("X-Bad", f"{token}\r\n folded"), ("Content-Length", token), ("", token),
                        ("Transfer-Encoding", token), ("Set-Cookie", f"a={S['SetCookie']}\r\n\r\nX")):  # fmt: skip
        client.ask("GET", V0 + "/x", X_Answer=told(200, (name, value), body=S["AnswerBody"].encode()))
    client.ask("GET", V0 + "/x", X_Answer=told(200, reason=f"\x01{S['ReasonPhrase']}"))
    client.ask("GET", f"{BASE}/v0/CloudOwner_Dead/x")
    client.ask("GET", f"{BASE}/v0/CloudOwner_Untrusted/x")
    client.ask("GET", f"{BASE}/v0/CloudOwner_NoTls/x")


def failing_inventory(client: Client, aai: Simulated) -> None:
    for fault in ("status=401", "status=403", "status=500", "close", "garbage", "cut", "switch", "delay=3"):
        aai.faults({"path": "cloud-region/", "fault": fault})
        client.ask("POST", f"{BASE}/v0/CloudOwner_RegionOne/x", BODY)
    aai.faults()


def capacity(client: Client, plugin: Simulated) -> None:
    own = {
        "vCPU": 1,
        "Memory": S["RequestBody"],
        "VIMs": ["vmware_fake", "CloudOwner_Dead", "CloudOwner_Nowhere", "no region", 1],
    }
    for body in (own, {**own, "VIMs": own["VIMs"][:4]}, BODY, {"VIMs": S["RequestBody"]}, {"VIMs": [BODY]}, [S["RequestBody"]],
                 {**own, "VIMs": [], "vCPU": [S["RequestBody"]]}, S["RequestBody"].encode(), b'{"a": ' + S["RequestBody"].encode(), b"x" * 1_100_000):  # fmt: skip
        for version in ("v0", "v1"):
            client.ask("POST", f"{BASE}/{version}/check_vim_capacity", body, own=True)
    for fault in ("status=500", "garbage", "close"):
        plugin.faults({"path": "capacity_check", "fault": fault})
        client.ask("POST", f"{BASE}/v0/check_vim_capacity", {"VIMs": ["vmware_fake"]}, own=True)
    plugin.faults()


def dead_plugin(client: Client) -> None:
    for _ in range(FAILURES + 1):
        client.ask("POST", f"{BASE}/v0/CloudOwner_Dead/x?password={QUERY}", BODY)


def busy_plugin(client: Client) -> None:
    """Two requests are with it, one waits, and there is one more."""
    with slow_requests(client, V0, V0, V0):
        until(lambda: (client.ask("POST", V0 + "/x", BODY), "Plugin-Busy" in client.evidence.reasons)[1])


def overload(client: Client) -> None:
    """REQUESTS_MAX requests that take their time, and more."""
    with slow_requests(client, V0, V0, f"{BASE}/v0/CloudOwner_RegionOne", f"{BASE}/v0/CloudOwner_RegionOne"):
        until(lambda: (client.ask("GET", V0 + "/x"), "Service-Unavailable" in client.evidence.reasons)[1])


@contextlib.contextmanager
def slow_requests(client: Client, *regions: str) -> Iterator[None]:
    """They are answered after the block."""
    with contextlib.ExitStack() as stack:
        slow = [(region, stack.enter_context(client.broker.connect())) for region in regions]
        for region, sock in slow:
            target = f"{region}/x?password={QUERY}"
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nX-Fault: delay=0.4\r\n\r\n".encode())
        yield
        for _, sock in slow:
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def leaving(client: Client) -> None:
    """In the middle of an upload, and of an answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(AUTHORIZATIONS[1]).items())
    for more, rest in (("Content-Length: 99\r\n", S["RequestBody"]), ("X-Fault: delay=0.3\r\n", "")):
        with client.broker.connect() as sock:
            sock.sendall(f"POST {V0}/left?password={QUERY} HTTP/1.1\r\nHost: x\r\n{lines}{more}\r\n{rest}".encode())
        client.broker.read_until("/left.* 499")


def pages(client: Client) -> None:
    for path in (
        "/livez",
        "/readyz?verbose",
        "/startupz",
        "/healthz?verbose",
        "/metrics",
        f"{BASE}/v0/swagger.json",
        f"{BASE}/v1/swagger.json",
    ):
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            client.ask(method, path, own=True)


def volte(client: Client) -> None:
    url = f"http://127.0.0.1:{client.broker.port}"
    for arguments in ((url, "--json"), (url,), (url, "--region", "CloudOwner/Nowhere"), (url, "--region", "CloudOwner/Dead", "--json"),
                      (f"http://user:{S['Userinfo']}@127.0.0.1:{client.broker.port}",)):  # fmt: skip
        client.evidence.add(f"volte {arguments[1:]}", run("volte", *arguments))


def run(*arguments: str) -> str:
    """All that a command says."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BROKER_", "AAI_", "MSB_"))}
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=clean)
    return done.stdout + done.stderr
