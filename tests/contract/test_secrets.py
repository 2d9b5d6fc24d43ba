"""No secret is in a log line, an error, a page, a file of ours or a process' title: a whole run, at debug level."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from app import errors
from app.simulators.processes import SimulatorProcess
from app.simulators.regions import REGIONS, provider_plugins
from tests.conftest import Process, children, needs_source, started
from tests.contract.conftest import BASE, V0, Simulated
from tests.contract.evidence import QUERY, SECRETS, Client, Evidence, S
from tests.contract.failing import PLACES
from tests.contract.whole_run import BODY, FAILURES, drive


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
        "BROKER_UPSTREAM_BREAKER_FAILURES": str(FAILURES),
        "BROKER_UPSTREAM_BREAKER_RATE_PERCENT": "0",
        "BROKER_UPSTREAM_BULKHEAD_MAX": "2",
        "BROKER_UPSTREAM_BULKHEAD_WAITING": "1",
        "BROKER_UPSTREAM_BULKHEAD_WAIT": "10",
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
    assert {error.reason for error in every_error()} - NOT_IN_A_RUN - evidence.reasons == set()
    assert any(name.startswith("the file multicloud-") for name in evidence.texts)  # the rendered configuration
    assert any(name.startswith("the file ") and ".db" in name for name in evidence.texts)  # the metrics
    asked = [of for one in simulators["aai"].asked() for name, of in one["headers"] if name == "Authorization"]
    assert base64.b64encode(f"multicloud:{S['AaiPassword']}".encode()).decode() in asked[-1]  # it was in use
    assert evidence.leaks() == []


NOT_IN_A_RUN = {
    errors.ConfigurationError.reason,
    errors.UpstreamError.reason,
    errors.BrokerError.reason,
    errors.Unauthorized.reason,
    errors.Forbidden.reason,
    errors.TooManyRequests.reason,
    errors.InventoryUnavailable.reason,
}
"""Of the start, of no error itself, and of what nobody has foreseen: the tests below. The next three are of what is off
by default: `test_auth_floods.py` searches for what callers authenticate by; the other two quote nothing, nor does the
last: a run that remembers no failure has no outage."""


def every_error(of: type[errors.BrokerError] = errors.BrokerError) -> Iterator[type[errors.BrokerError]]:
    yield of
    for below in of.__subclasses__():
        yield from every_error(below)


@needs_source
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
