"""The whole scene: A&AI and plugin simulators, and a broker under each framework, all in processes of their own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from app.simulators.processes import SimulatorProcess
from app.simulators.regions import provider_plugins
from tests.conftest import FRAMEWORKS, NO_BREAKER, Process, a_broker

PASSWORD = "s3cret-of-a&ai"
BASE = "/api/multicloud"
V0 = f"{BASE}/v0/vmware_fake"
V1 = f"{BASE}/v1/CloudOwner/RegionOne"


class Simulated:
    """A simulator as the tests use it: what it was asked, what it shall do wrong."""

    def __init__(self, process: SimulatorProcess) -> None:
        self.port = process.port

    def control(self, method: str, path: str, document: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(document))
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 300, body
            return json.loads(body) if body else None

    def asked(self, holding: str = "") -> list[dict[str, Any]]:
        """The requests whose target holds a text; bodies decoded."""
        found = [one for one in self.control("GET", "/_recorded") if holding in one["target"]]
        return [{**one, "body": base64.b64decode(one["body"])} for one in found]

    def faults(self, *rules: dict[str, object]) -> None:
        self.control("PUT", "/_faults", list(rules))

    def clear(self) -> None:
        self.control("DELETE", "/_recorded")
        self.faults()


@pytest.fixture(scope="session")
def _aai() -> Iterator[Simulated]:
    with SimulatorProcess("aai", "--username", "multicloud", password=PASSWORD) as process:
        yield Simulated(process)


@pytest.fixture(scope="session")
def _plugin() -> Iterator[Simulated]:
    with SimulatorProcess("plugin", "--settle", "0") as process:
        yield Simulated(process)


@pytest.fixture
def aai(_aai: Simulated) -> Iterator[Simulated]:
    _aai.clear()
    yield _aai
    _aai.faults()


@pytest.fixture
def plugin(_plugin: Simulated) -> Iterator[Simulated]:
    _plugin.clear()
    yield _plugin
    _plugin.faults()


@pytest.fixture(scope="session")
def scene(_aai: Simulated, _plugin: Simulated, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that leads a broker to the simulators."""
    map_file = tmp_path_factory.mktemp("map") / "provider-plugin.json"
    map_file.write_text(json.dumps(provider_plugins(f"http://127.0.0.1:{_plugin.port}")))
    return {
        "AAI_PROTOCOL": "http",
        "AAI_ADDR": "127.0.0.1",
        "AAI_PORT": str(_aai.port),
        "AAI_USERNAME": "multicloud",
        "AAI_PASSWORD": PASSWORD,
        "BROKER_PLUGINS_MAP_FILE": str(map_file),
        **NO_BREAKER,
    }


@pytest.fixture(scope="session")
def both(scene: dict[str, str]) -> Iterator[dict[str, Process]]:
    """A broker of two workers under each framework."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(a_broker(name, 2, **scene)) for name in FRAMEWORKS}


@pytest.fixture
def broker(both: dict[str, Process], framework: str) -> Process:
    return both[framework]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for localhost, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "cert.crt", folder / "cert.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(crt)], check=True, capture_output=True)
    return str(crt), str(key)


def told(status: int, *headers: tuple[str, str], body: bytes = b"", chunked: bool = False, reason: str = "") -> str:
    """The `X-Answer` that makes the plugin answer so."""
    document = {"status": status, "headers": headers, "chunked": chunked, "reason": reason}
    return base64.b64encode(json.dumps({**document, "body": base64.b64encode(body).decode()}).encode()).decode()


def of(record: dict[str, Any], name: str) -> list[str]:
    """The values of a recorded header."""
    return [value for key, value in record["headers"] if key.lower() == name.lower()]
