"""No secret is in a log line, an error, a page, a file of ours or a process' title: a whole run, at debug level.

To add a secret: name it in `SECRETS`, and use it in `headers` (sent with every request), in `drive` or in `BAD`; a
broker's own goes into `settings`. Then every text that the broker made, in every form below, is searched for it.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from app import errors
from app.simulators.processes import SimulatorProcess
from app.simulators.regions import REGIONS, provider_plugins
from app.web.api import builtin
from tests.conftest import ROOT, Process, children, read_all, started, until
from tests.contract.conftest import BASE, V0, Simulated, told
from tests.contract.failing import PLACES
from tests.contract.test_declared import path_of

SECRETS: Mapping[str, str] = {
    name: f"{name.lower()}-s3/cr&t+{number}x7~q"
    for number, name in enumerate(
        (
            "AaiPassword",
            "BasicPassword",
            "BearerToken",
            "AuthToken",
            "SubjectToken",
            "Cookie",
            "SetCookie",
            "Query",
            "RequestBody",
            "AnswerBody",
            "Userinfo",
            "ProxyPassword",
            "Trailer",
            "ReasonPhrase",
        )
    )
}
"""Each with characters that are not the same percent-encoded."""

S = SECRETS
BASIC = base64.b64encode(f"so:{S['BasicPassword']}".encode()).decode()
QUERY = quote(S["Query"], safe="")


def headers(authorization: str) -> dict[str, str]:
    """With every request; the request's id is the client's own, by which its log lines are found."""
    return {
        "Authorization": authorization,
        "X-Auth-Token": S["AuthToken"],
        "X-Subject-Token": S["SubjectToken"],
        "Cookie": f"session={S['Cookie']}; other=1",
        "Proxy-Authorization": f"Basic {base64.b64encode(S['ProxyPassword'].encode()).decode()}",
        "Content-Type": "application/json",
    }


AUTHORIZATIONS = (f"Basic {BASIC}", f"Bearer {S['BearerToken']}")


def forms(secret: str) -> dict[str, str]:
    """How a secret may look in a text: what stands in base64 may be a part of something longer, at any of 3 places."""
    data = secret.encode()
    found = {
        "itself": secret,
        "JSON": json.dumps(secret)[1:-1],
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded in lower case": re.sub("%..", lambda code: code[0].lower(), quote(secret, safe="")),
        "percent-encoded as a path": quote(secret),
        "a form's field": quote_plus(secret),
        "hexadecimal": data.hex(),
    }
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data + b"\0\0")
        whole = encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6].decode()
        found[f"base64 {shift}"] = whole
        found[f"base64url {shift}"] = whole.replace("+", "-").replace("/", "_")
    return found


class Evidence:
    """Every text that the broker made, by where it was found."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.reasons: set[str] = set()
        self._count = itertools.count(1)

    def add(self, where: str, text: str | bytes) -> None:
        self.texts[f"{where} #{next(self._count)}"] = text if isinstance(text, str) else text.decode("latin-1")

    def answer(self, where: str, head: str, body: bytes, *, own: bool = False) -> None:
        """An answer, if it is the broker's own: an error of its own, or a page. What a plugin said is the client's."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            error = json.loads(body)["error"]
            self.reasons.add(error["reason"])
            own = own or "request_id" in error
        if own:
            self.add(where, head)
            self.add(where, body)

    def leaks(self) -> list[str]:
        return [
            f"{name} ({form}) in {where}"
            for name, secret in SECRETS.items()
            for form, text in forms(secret).items()
            for where, found in self.texts.items()
            if text in found
        ]


class Client:
    """Asks a broker, with all the secrets that a client has, and keeps what it made of them."""

    def __init__(self, broker: Process, evidence: Evidence, tls: ssl.SSLContext | None = None) -> None:
        self.broker = broker
        self.evidence = evidence
        self._tls = tls
        self._authorizations = itertools.cycle(AUTHORIZATIONS)

    def ask(self, method: str, path: str, body: object = None, *, own: bool = False, **more: str) -> None:
        """With each kind of authorization in turn."""
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        target = path + ("&" if "?" in path else "?") + f"password={QUERY}"
        extra = {name.replace("_", "-"): value for name, value in more.items()}
        connection = self._connection()
        with contextlib.closing(connection), contextlib.suppress(http.client.HTTPException, ConnectionError):
            connection.request(method, target, payload, {**headers(next(self._authorizations)), **extra})
            answer = connection.getresponse()
            self.evidence.answer(f"{method} {path}", str(answer.headers), answer.read(), own=own)

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.broker.port, timeout=20)
        return http.client.HTTPSConnection("127.0.0.1", self.broker.port, timeout=20, context=self._tls)

    def raw(self, first: str, *lines: str, rest: bytes = b"", own: bool = True) -> None:
        """Bytes as they are, with the secrets in the head."""
        head = [
            first,
            "Host: broker",
            *(f"{name}: {value}" for name, value in headers(AUTHORIZATIONS[0]).items()),
            *lines,
        ]
        with self.broker.connect(20) as sock:
            sock.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + rest)
            answer = read_all(sock)
        before, _, body = answer.partition(b"\r\n\r\n")
        self.evidence.answer(first, before.decode("latin-1"), body, own=own)


BODY = {"password": S["RequestBody"], "auth": {"identity": {"password": {"user": {"password": S["RequestBody"]}}}}}


def drive(client: Client, plugin: Simulated, aai: Simulated) -> None:
    """Everything that the broker does."""
    declared(client)
    errors_of_the_broker(client)
    failing_plugins(client)
    failing_inventory(client, aai)
    capacity(client, plugin)
    overload(client)
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


def overload(client: Client) -> None:
    """REQUESTS_MAX requests that take their time, and more."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(client.broker.connect()) for _ in range(4)]
        for sock in slow:
            sock.sendall(f"GET {V0}/x?password={QUERY} HTTP/1.1\r\nHost: x\r\nX-Fault: delay=0.4\r\n\r\n".encode())
        until(lambda: (client.ask("GET", V0 + "/x"), "Service-Unavailable" in client.evidence.reasons)[1])
        for sock in slow:
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


def run(*arguments: str, **env: str) -> str:
    """All that a command says."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BROKER_", "AAI_", "MSB_"))}
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={**clean, **env}
    )
    return done.stdout + done.stderr


# The scenes.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def simulators(folder: Path, certificate: tuple[str, str]) -> Iterator[dict[str, Simulated]]:
    regions = [
        *REGIONS,
        *({"cloud-owner": "CloudOwner", "cloud-region-id": name, "cloud-type": name} for name in ENDPOINTS),
    ]
    (folder / "regions.json").write_text(json.dumps(regions))
    tls = ("--certificate", certificate[0], "--key", certificate[1])
    login = ("--regions", str(folder / "regions.json"), "--username", "multicloud")
    with (
        SimulatorProcess("aai", *login, password=S["AaiPassword"]) as aai,
        SimulatorProcess("aai", *login, *tls, password=S["AaiPassword"]) as aai_tls,
        SimulatorProcess("plugin", "--settle", "0") as plugin,
        SimulatorProcess("plugin", *tls) as plugin_tls,
    ):
        named = {"aai": aai, "aai_tls": aai_tls, "plugin": plugin, "plugin_tls": plugin_tls}
        yield {name: Simulated(process) for name, process in named.items()}


ENDPOINTS = {
    "Dead": "http://127.0.0.1:{dead}",
    "Untrusted": "https://127.0.0.1:{plugin_tls}",
    "NoTls": "https://127.0.0.1:{plugin}",
}
"""Plugins that cannot be reached, by the type of their regions."""


@pytest.fixture(scope="module")
def settings(folder: Path, simulators: dict[str, Simulated]) -> dict[str, str]:
    """The broker's environment, but for its password."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        ports = {"dead": closed.getsockname()[1], **{name: one.port for name, one in simulators.items()}}
    plugins = {
        name: {"provider_plugin": f"p-{name}", "endpoint": url.format(**ports)} for name, url in ENDPOINTS.items()
    }
    (folder / "map.json").write_text(json.dumps({**provider_plugins(f"http://127.0.0.1:{ports['plugin']}"), **plugins}))
    short = (
        "UPSTREAM_CONNECT_TIMEOUT",
        "UPSTREAM_RESPONSE_TIMEOUT",
        "UPSTREAM_IDLE_TIMEOUT",
        "AAI_RESPONSE_TIMEOUT",
        "SERVER_BODY_TIMEOUT",
        "SERVER_HEADER_TIMEOUT",
    )
    return {
        "AAI_PROTOCOL": "http",
        "AAI_ADDR": "127.0.0.1",
        "AAI_PORT": str(ports["aai"]),
        "AAI_USERNAME": "multicloud",
        "BROKER_PLUGINS_MAP_FILE": str(folder / "map.json"),
        "BROKER_LOGS_LEVEL": "DEBUG",
        "BROKER_INVENTORY_CACHE_TTL": "0",
        "BROKER_INVENTORY_NEGATIVE_TTL": "0",
        "BROKER_SERVER_PORT": "0",
        "BROKER_SERVER_WORKERS": "1",
        "BROKER_SERVER_REQUESTS_MAX": "4",
        **{f"BROKER_{name}": "0.7" for name in short},
    }


ENTRYPOINT = "import os; os.execv('/bin/sh', ['sh', 'entrypoint.sh'])"


def examine(evidence: Evidence, broker: Process, directory: Path) -> None:
    """What is there while it runs: titles of all processes, the simulators' included, and files; then its log."""
    for pid in (below for top in children(os.getpid()) for below in (top, *children(top))):
        for file in (f"/proc/{pid}/cmdline", *map(str, Path(f"/proc/{pid}/task").glob("*/comm"))):
            with contextlib.suppress(FileNotFoundError):
                evidence.add(file, Path(file).read_bytes())
    for path in directory.rglob("*"):
        evidence.add(path.name, str(path))
        if path.is_file():
            evidence.add(f"the file {path.name}", path.read_bytes())
    assert broker.end() == 0
    evidence.add("the log", "".join(broker.lines))


@pytest.mark.parametrize(("source", "log_format"), [("environment", "json"), ("file", "plain")])
def test_no_secret_is_told_anywhere(
    framework: str,
    settings: dict[str, str],
    simulators: dict[str, Simulated],
    tmp_path: Path,
    source: str,
    log_format: str,
) -> None:
    run_dir, password = tmp_path / "run", tmp_path / "password"
    run_dir.mkdir()
    password.write_text(S["AaiPassword"] + "\n")
    own = {"AAI_PASSWORD": S["AaiPassword"]} if source == "environment" else {"AAI_PASSWORD_FILE": str(password)}
    env = {
        **settings,
        **own,
        "WEB_FRAMEWORK": framework,
        "BROKER_LOGS_FORMAT": log_format,
        "BROKER_RUN_DIR": str(run_dir),
        "BROKER_METRICS_DIRECTORY": str(run_dir / "metrics"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
    }
    evidence = Evidence()
    with started("-c", ENTRYPOINT, env=env) as broker:
        drive(Client(broker, evidence), simulators["plugin"], simulators["aai"])
        examine(evidence, broker, run_dir)
    assert evidence.reasons >= {error.reason for error in every_error()} - NOT_IN_A_RUN
    assert any(name.startswith("the file multicloud-") for name in evidence.texts)  # the rendered configuration
    assert any(name.startswith("the file ") and ".db" in name for name in evidence.texts)  # the metrics
    asked = [of for one in simulators["aai"].asked() for name, of in one["headers"] if name == "Authorization"]
    assert base64.b64encode(f"multicloud:{S['AaiPassword']}".encode()).decode() in asked[-1]  # it was in use
    assert evidence.leaks() == []


NOT_IN_A_RUN = {errors.ConfigurationError.reason, errors.UpstreamError.reason, errors.BrokerError.reason}
"""Of the start, of no error itself, and of what nobody has foreseen: the tests below."""


def every_error(of: type[errors.BrokerError] = errors.BrokerError) -> Iterator[type[errors.BrokerError]]:
    yield of
    for below in of.__subclasses__():
        yield from every_error(below)


def test_no_secret_is_in_a_traceback_and_none_is_told_by_tls(
    framework: str,
    settings: dict[str, str],
    simulators: dict[str, Simulated],
    certificate: tuple[str, str],
    tmp_path: Path,
) -> None:
    """What fails unforeseen, at every place of a request's way; A&AI and clients that fail in TLS."""
    crt, key = certificate
    env = {
        **settings,
        "AAI_PASSWORD": S["AaiPassword"],
        "AAI_PROTOCOL": "https",
        "AAI_PORT": str(simulators["aai_tls"].port),
        "WEB_FRAMEWORK": framework,
        "SSL_ENABLED": "true",
        "BROKER_TLS_CERTIFICATE": crt,
        "BROKER_TLS_KEY": key,
        "BROKER_SERVER_GRACE_PERIOD": "1",
        "BROKER_METRICS_DIRECTORY": str(tmp_path / "metrics"),
    }
    evidence = Evidence()
    with started("-m", "tests.contract.failing", env=env) as broker:
        client = Client(broker, evidence, ssl.create_default_context(cafile=crt))
        for place in PLACES:
            region = "fail-in-inventory_x" if place == "inventory" else "vmware_fake"
            client.ask("POST", f"{BASE}/v0/{region}/fail-in-{place}", BODY)
        client.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")  # A&AI's certificate is of no known authority
        Client(broker, evidence).raw(f"GET {V0}/x?password={QUERY} HTTP/1.1")  # no TLS
        with broker.connect() as sock, pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
        examine(evidence, broker, tmp_path)
    log = "".join(broker.lines)
    told_by = {place: f"DeliberateError: {place}" for place in PLACES} | {"body": "a response was cut: body"}
    assert [place for place in PLACES if told_by[place] not in log] == []
    assert evidence.reasons == {errors.BrokerError.reason, errors.InventoryError.reason}
    assert "certificate" in log
    assert evidence.leaks() == []


A, U = S["AaiPassword"], S["Userinfo"]
BAD: tuple[dict[str, str], ...] = (
    {"AAI_PASSWORD": A, "BROKER_AAI_PASSWORD": A + "x"},
    {"AAI_PASSWORD": A, "AAI_PASSWORD_FILE": A},
    {"AAI_PASSWORD": A, "AAI_ADDR": "aai"},
    {"AAI_PASSWORD": f"{A}\n", "AAI_ADDR": "aai", "AAI_USERNAME": "u", "AAI_PORT": "x"},
    {"AAI_USERNAME": f"user:{A}", "AAI_ADDR": "aai"},
    {"AAI_ADDR": f"user:{U}@aai", "AAI_PASSWORD": A},
    {"AAI_ADDR": f"https://user:{U}@aai:8443/"},
    {"MSB_ADDR": f"user:{U}@msb"},
    {"MSB_ADDR": f"user:{U}@msb", "BROKER_MSB_ADDRESS": f"user:{U}@other"},
    {"BROKER_AAI_PASWORD": A},
    {"BROKER_SERVER_HOST": f"user:{U}@here"},
    {"BROKER_PLUGINS_MAP_FILE": "{map}"},
    {"BROKER_INVENTORY_REGIONS_FILE": "{regions}"},
    {"BROKER_INVENTORY_REGIONS_FILE": "{password}"},
    {"BROKER_PLUGINS_MAP_FILE": "{password}"},
    {"BROKER_TLS_CERTIFICATE": "{password}", "BROKER_TLS_KEY": "{password}", "SSL_ENABLED": "true"},
    {"BROKER_AAI_CA_FILE": "{password}"},
)
"""What an operator may write in the wrong place, or wrongly in the right one."""

FILES = {
    "map": json.dumps({"a": {"provider_plugin": "p", "endpoint": f"http://user:{U}@plugin/"}}),
    "regions": f"- cloud-owner: a\n  esr-system-info: {{password: {U}: {{",
    "password": A,
}
CONFIGURATIONS = (
    f"[aai]\npassword = {A}\nport = x\n",
    f"[aai]\npassword {A}\n",
    f"[aai]\nusername = u\n  password = {A}\n",
    f"[aai]\npasword = {A}\n",
    f"[ai]\npassword = {A}\n",
    f"password = {A}\n",
    f"[aai]\naddress = user:{U}@aai\npassword = {A}\n",
    f"[aai\npassword = {A}\n",
)


RUNS = """
import json, os, sys
from app.cli import main
for arguments, env in json.load(sys.stdin):
    os.environ.update(env)
    main(arguments)
    for name in env:
        del os.environ[name]
    sys.stderr.flush()
    print("=====", flush=True)
"""


def each(verb: str, *runs: tuple[Sequence[str], Mapping[str, str]]) -> list[str]:
    """All that a verb says, run for run, in one process: arguments and environment of each."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BROKER_", "AAI_", "MSB_"))}
    given = json.dumps([((verb, *arguments), env) for arguments, env in runs])
    command = (sys.executable, "-W", "ignore", "-c", RUNS)
    done = subprocess.run(
        command, cwd=ROOT, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=True, env=clean
    )  # fmt: skip
    said = done.stdout.split("=====\n")
    assert len(said) == len(runs) + 1
    return said[:-1]


@pytest.mark.parametrize("verb", ["check-config", "show-config", "render-config", "serve"])
def test_a_command_that_refuses_a_configuration_tells_no_secret(verb: str, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for number, text in enumerate(CONFIGURATIONS):
        (tmp_path / f"{number}.conf").write_text(text)
    places = {name: str(tmp_path / name) for name in FILES}
    runs = [((), {name: text.format(**places) for name, text in bad.items()}) for bad in BAD]
    files = [(("--config-file", str(tmp_path / f"{number}.conf")), {}) for number in range(len(CONFIGURATIONS))]
    said = each(verb, *runs, *(files if verb != "render-config" else ()))
    evidence = Evidence()
    for number, text in enumerate(said):
        evidence.add(f"run {number} of {verb}", text)
    assert evidence.leaks() == []
    assert all(said)
    if verb in ("check-config", "serve"):
        assert [text for text in said if len(text.splitlines()) != 1] == []


@pytest.mark.parametrize("verb", ["check-config", "show-config", "render-config"])
def test_a_command_that_takes_a_configuration_tells_no_secret(verb: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(A)
    (tmp_path / "good.conf").write_text(f"[aai]\npassword = {A}\n")
    common = {"AAI_ADDR": "aai", "AAI_USERNAME": "u"}
    own = {"AAI_PASSWORD": A, "AAI_PASSWORD_FILE": str(tmp_path / "password"), "BROKER_AAI_PASSWORD": A}
    said = each(verb, *(((), {**common, name: value}) for name, value in own.items()))
    assert [name in text for name, text in zip(own, said, strict=True)] == [verb != "check-config"] * 3
    if verb != "render-config":
        said += each(verb, (("--config-file", str(tmp_path / "good.conf")), common))
    evidence = Evidence()
    for number, text in enumerate(said):
        evidence.add(f"run {number} of {verb}", text)
    assert evidence.leaks() == []


# The search itself: it finds what it is for.


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_in_whatever_form_it_is_told(name: str) -> None:
    secret = SECRETS[name]
    tellings = [
        f"it is {secret}!",
        json.dumps({"a": secret}),
        repr({"Authorization": secret}),
        f"GET /x?a={quote(secret, safe='')}&b",
        f"GET /x?a={quote(secret, safe='').lower().replace('%7e', '~')}&b",
        f"a={quote_plus(secret)}",
        *(base64.b64encode(f"{'x' * shift}{secret}{'y' * after}".encode()).decode() for shift in range(4) for after in range(4)),
        base64.urlsafe_b64encode(f"user:{secret}".encode()).decode(),
        secret.encode().hex(),
    ]  # fmt: skip
    for telling in tellings:
        evidence = Evidence()
        evidence.add("a log", f"before {telling} after")
        assert any(leak.startswith(f"{name} (") for leak in evidence.leaks()), telling


def test_nothing_else_is_found() -> None:
    evidence = Evidence()
    evidence.add("a log", "user multicloud asked for /api/multicloud/v0/vmware_fake with session, Basic and Bearer")
    assert evidence.leaks() == []
    assert len(set(SECRETS.values())) == len(SECRETS)
