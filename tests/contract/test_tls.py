"""TLS on both sides: the broker's own, and A&AI's (contract, section 4)."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from app.simulators.processes import SimulatorProcess
from tests.conftest import a_broker
from tests.contract.conftest import BASE


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


def test_the_broker_serves_https(framework: str, certificate: tuple[str, str]) -> None:
    crt, key = certificate
    with a_broker(framework, SSL_ENABLED="true", BROKER_TLS_CERTIFICATE=crt, BROKER_TLS_KEY=key) as broker:
        context = ssl.create_default_context(cafile=crt)
        connection = http.client.HTTPSConnection("127.0.0.1", broker.port, context=context, timeout=10)
        for _ in range(3):
            connection.request("GET", f"{BASE}/v0/swagger.json")
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["swagger"]) == (200, "2.0")
        connection.close()
        with (
            broker.connect() as plain,
            context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as sock,
        ):
            sock.sendall(f"GET {BASE}/v0/vim_types HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            while sock.recv(65536):  # the end is TLS's own, or this raises
                pass
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(crt)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with broker.connect() as sock, pytest.raises(OSError, match=r"(?i)version|protocol|reset|eof"):
            old.wrap_socket(sock, server_hostname="localhost")
        assert b"HTTP" not in broker.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # no plain HTTP there
        connection = http.client.HTTPSConnection("127.0.0.1", broker.port, context=context, timeout=10)
        connection.request("POST", f"{BASE}/v0/check_vim_capacity", b" " * 300_000 + b'{"VIMs": []}')
        assert connection.getresponse().read() == b'{"VIMs": []}'
        connection.close()


def test_a_missing_certificate_ends_the_start_with_one_line(framework: str) -> None:
    with pytest.raises(AssertionError, match=r"tls\.certificate"), a_broker(framework, SSL_ENABLED="true"):
        pass


@pytest.mark.parametrize(
    ("environ", "status", "named"),
    [({"BROKER_AAI_CA_FILE": "crt"}, 200, ""), ({"BROKER_AAI_VERIFY": "false"}, 200, ""), ({}, 502, "CA file")],
    ids=["with its CA file", "verification off", "unknown CA"],
)
def test_aai_over_https(
    framework: str,
    certificate: tuple[str, str],
    plugin: object,
    scene: dict[str, str],
    environ: dict[str, str],
    status: int,
    named: str,
) -> None:
    crt, key = certificate
    environ = {name: crt if value == "crt" else value for name, value in environ.items()}
    with SimulatorProcess("aai", "--certificate", crt, "--key", key) as aai:
        settings = {**scene, "AAI_PROTOCOL": "https", "AAI_PORT": str(aai.port), **environ}
        with a_broker(framework, **settings) as broker:
            got, _, body = broker.ask("GET", f"{BASE}/v0/CloudOwner_RegionOne/x")
    assert got == status, body
    assert named in body.decode()
    assert Path(crt).exists()
